"""Streamed answers, as clients get them."""

import orjson

from adapters.contract import Context
from adapters.model.error import ApiError
from adapters.model.event import Event, StreamEnded, StreamFailed, StreamStarted, TextDelta
from adapters.model.loss import Loss
from adapters.model.message import Json
from adapters.openai_responses.errors import encode_error_body, encode_failure
from adapters.openai_responses.output import Output
from adapters.wire.sse import one_line

_KEEPALIVE = b": keepalive\n\n"
_DELTA = b"event: response.output_text.delta\ndata: "


class ResponsesStreamEncoder:
    """Writes events with their names, numbered from 0 without a gap (RSP-02, hard-cases.md)."""

    breaks_off = False

    def __init__(self, context: Context) -> None:
        self._output = Output(context)
        self.losses: list[Loss] = self._output.losses
        self._number = 0
        self._flowing = -1  # the text that got the last delta, and what goes before its next
        self._head = b""
        self._pieces: list[str] = []

    def encode(self, event: Event) -> bytes:
        """The events for this event. Raises ``EncodeError`` for an answer that ended in a way there is no word for."""
        output = self._output
        if type(event) is TextDelta:
            if event.index == self._flowing and event.text:
                self._pieces.append(event.text)
                number = self._number
                self._number = number + 1
                text = one_line(orjson.dumps(event.text))
                return b'%b%b,"logprobs":[],"sequence_number":%d}\n\n' % (self._head, text, number)
            raw = self._frames(output.take(event))
            self._flow(event.index)
            return raw
        if type(event) is StreamEnded:
            output.count()
            status = output.answer["status"]
            kind = "response.incomplete" if status == "incomplete" else "response.completed"
            return self._frame({"type": kind, "response": output.snapshot()})
        if type(event) is StreamFailed:
            return self._fail(event.error)
        return self._frames(output.take(event))

    def keepalive(self) -> bytes:
        """A comment."""
        return _KEEPALIVE

    def _flow(self, index: int) -> None:
        """Remember what goes before the next delta of this text, if its deltas can be sent at once."""
        message = self._output.flowing(index)
        self._flowing = -1
        if message is not None:
            blank = message.event("output_text.delta", content_index=message.content_index)
            self._flowing, self._pieces = index, message.pieces
            self._head = _DELTA + one_line(orjson.dumps(blank))[:-1] + b',"delta":'

    def _fail(self, error: ApiError) -> bytes:
        """Codex waits for ``response.failed``, and the SDK raises only on a nested ``error`` (ERR-03)."""
        raw = b"" if self._output.answer else self._frames(self._output.take(StreamStarted()))
        self._output.count()
        failed = self._output.snapshot(status="failed", error=encode_failure(error))
        raw += self._frame({"type": "response.failed", "response": failed})
        nested = encode_error_body(error)
        flat = {name: nested["error"][name] for name in ("code", "message", "param")}
        return raw + self._frame({"type": "error", **flat, **nested})

    def _frames(self, events: list[Json]) -> bytes:
        return b"".join([self._frame(event) for event in events])

    def _frame(self, event: Json) -> bytes:
        number = self._number
        self._number = number + 1
        data = one_line(orjson.dumps(event | {"sequence_number": number}))
        return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data)
