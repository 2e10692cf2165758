"""What we write on ``POST /chat/stream``: for each kind of event, keys that both first-party readers take alike."""

import orjson

from adapters.bedrock_sse.errors import encode_stream_error
from adapters.bedrock_sse.extra import kept_in, with_kept
from adapters.bedrock_sse.fields import NAME, READ_ANYWHERE, REQUEST_ID_PREFIX
from adapters.bedrock_sse.response import encode_answer
from adapters.contract import Context
from adapters.model.event import (
    Event,
    ForeignEvent,
    PartEnded,
    PartStarted,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
)
from adapters.model.fold import Collector
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Refusal, Text
from adapters.wire.sse import one_line


class BedrockSseEncoder:
    """Writes the stream, byte for byte in the documented form.

    The answer is collected while its text goes out: calls, the reason and the usage are written at the end (Q7, Q10),
    by the same rules as the buffered answer, and so are its losses.
    """

    __slots__ = ("_collector", "_context", "_ended", "_number", "_open", "_over", "_waiting", "losses")

    breaks_off = False

    def __init__(self, context: Context) -> None:
        self.losses: list[Loss] = []
        self._context = context
        self._collector = Collector()
        self._number = 0
        self._over = False
        # All text goes into one string, so a text that starts before the one being written has ended waits for it.
        self._open: int | None = None
        self._waiting: dict[int, list[str]] = {}
        self._ended: set[int] = set()

    def encode(self, event: Event) -> bytes:
        """The bytes for this event. Raises ``EncodeError`` at the end for an answer that is none here (Q9)."""
        if type(event) is TextDelta and event.index == self._open:
            self._collector.add(event)
            return self._content(event.text)
        if self._over:
            return b""
        if isinstance(event, StreamFailed):
            self._over, self._open = True, None
            return self._event(b"error", encode_stream_error(event.error, self._request_id()))
        self._collector.add(event)
        if isinstance(event, StreamStarted):
            return b""  # Q5: it goes out with what follows, so that a real status can be given until then
        return (b"" if self._number else self._start()) + self._encode_other(event)

    def keepalive(self) -> bytes:
        """A comment, which uses no id (Q15)."""
        return b": keepalive\n\n"

    def _encode_other(self, event: Event) -> bytes:
        match event:
            case PartStarted(choice=0, part=Text(text=text) | Refusal(text=text)):
                self._waiting[event.index] = [text]
                return b"" if self._open is not None else self._next_text()
            case TextDelta() if event.index in self._waiting:
                self._waiting[event.index].append(event.text)
            case PartEnded() if event.index == self._open:
                return self._next_text()
            case PartEnded() if event.index in self._waiting:
                self._ended.add(event.index)
            case ForeignEvent():
                return self._foreign(event)
            case StreamEnded():
                return self._end()
            case _:
                pass
        return b""

    def _next_text(self) -> bytes:
        """What has waited: every text that is complete by now, and the next one as far as it has come."""
        self._open = None
        written = b""
        while self._waiting and self._open is None:
            index = next(iter(self._waiting))
            written += self._content("".join(self._waiting.pop(index)))
            if index not in self._ended:
                self._open = index
        return written

    def _content(self, text: str) -> bytes:
        if not text:
            return b""  # Q13
        number = self._number
        self._number = number + 1
        delta = one_line(orjson.dumps(text))
        return b'id: chunk-%d\nevent: content\ndata: {"delta":%b,"complete":false}\n\n' % (number, delta)

    def _event(self, name: bytes, value: Json) -> bytes:
        number = self._number
        self._number = number + 1
        return b"id: chunk-%d\nevent: %b\ndata: %b\n\n" % (number, name, one_line(orjson.dumps(value)))

    def _request_id(self) -> str:
        return REQUEST_ID_PREFIX + self._context.request_id

    def _start(self) -> bytes:
        started = self._collector.started
        model = {} if started.model is None else {"model": started.model}
        written: Json = {"requestId": self._request_id(), **model, "streaming": True}
        return self._event(b"start", _without_read_anywhere(with_kept(written, kept_in(started.extra))))

    def _foreign(self, event: ForeignEvent) -> bytes:
        payload = event.payload
        name, value = payload.get("event"), payload.get("data")
        if event.dialect == NAME and isinstance(name, str) and isinstance(value, dict):
            return self._event(name.encode(), _without_read_anywhere(value))
        self._say([Loss("events", LossReason.FOREIGN, f"only {event.dialect} understands it")])
        return b""

    def _end(self) -> bytes:
        response = self._collector.response()
        answer, losses = encode_answer(response)
        self._say(losses)
        written = b""
        if response.choices[0].index != 0:
            written += self._content(answer.content)  # it was not known to be the only one
        usage = {"usage": answer.usage} if answer.usage else {}
        done: Json = {"complete": True, **usage, "finishReason": answer.reason}
        if answer.calls:
            done["response"] = answer.message()
        if answer.requested:
            for call in answer.requested:
                written += self._event(b"tool_request", _without_read_anywhere(call))
            done = {"complete": False, "stopReason": "tool_request", "finishReason": answer.reason}
            done |= {"response": answer.message(), **usage}
        written += self._event(b"done", with_kept(done, answer.kept))
        self._over = True
        return written

    def _say(self, losses: list[Loss]) -> None:
        said = {loss.field for loss in self.losses}
        self.losses += [loss for loss in losses if loss.field not in said]


def _without_read_anywhere(value: Json) -> Json:
    return {name: inner for name, inner in value.items() if name not in READ_ANYWHERE}
