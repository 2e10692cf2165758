"""Streamed answers, as they come from an upstream."""

from typing import Any

import orjson

from adapters.contract import Context, WireResponse
from adapters.model.error import ApiError, DecodeError, ErrorKind, Fault
from adapters.model.event import (
    ChoiceFinished,
    Event,
    ForeignEvent,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.fold import explode
from adapters.model.message import Json
from adapters.openai_responses.errors import decode_error, decode_stream_error, has_error
from adapters.openai_responses.fields import FINISHING, NAME, STARTING
from adapters.openai_responses.open_items import OpenItems
from adapters.openai_responses.response import decode_created, decode_end, decode_response
from adapters.openai_responses.stream_items import StreamItems
from adapters.openai_responses.usage import decode_usage
from adapters.wire.body import MAX_DEPTH, read_object
from adapters.wire.fields import wrong_type
from adapters.wire.sse import MAX_EVENT_BYTES, SseDecoder, SseEvent

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_HEAD = 1024
_PINGS = ("keepalive", "ping")

_INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the upstream's stream ended before its end mark",
    Fault.UPSTREAM,
    code="stream_interrupted",
)


class ResponsesStreamDecoder:
    """Turns the bytes of a stream into events; a JSON body in its place is taken for the answer that it is."""

    __slots__ = ("_body", "_context", "_head", "_items", "_open", "_over", "_sse", "_started")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sse = SseDecoder()
        self._head: bytes | None = b""  # as long as it is not clear whether this is SSE or JSON
        self._body: bytearray | None = None
        self._open = OpenItems()
        self._items = StreamItems(context, self._open)
        self._started = False
        self._over = False

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to a frame that is not complete yet."""
        waiting = self._head if self._body is None else self._body
        return self._sse.pending if waiting is None else len(waiting)

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by these bytes; what cannot be read ends in ``StreamFailed``."""
        if self._over:
            return []
        events: list[Event] = []
        try:
            if self._head is not None or self._body is not None:
                data = self._sorted_out(data)
            for frame in self._sse.feed(data):
                self._read(frame, events)
                if self._over:
                    break
        except DecodeError as error:
            self._fail(_unreadable(error), events)
        return events

    def close(self, *, clean: bool) -> list[Event]:
        """The last events: without an event that ends the answer, it is not complete."""
        if self._over:
            return []
        events: list[Event] = []
        try:
            if self._body is not None:
                self._read_body(bytes(self._body), events)
            for frame in self._sse.finish():
                self._read(frame, events)
                if self._over:
                    return events
        except DecodeError as error:
            if self._body is not None and error.code != "invalid_json":
                self._fail(_unreadable(error), events)
        if not self._over:
            self._fail(_INTERRUPTED, events)
        return events

    # --- which of the two it is

    def _sorted_out(self, data: bytes) -> bytes:
        """What of the bytes goes to the SSE decoder; a body that begins with a bracket is JSON (SSE-17)."""
        if self._body is not None:
            self._body += data
            if len(self._body) > MAX_EVENT_BYTES:
                raise DecodeError(f"the body is larger than {MAX_EVENT_BYTES} bytes", code="event_too_large")
            return b""
        head = (self._head or b"") + data
        start = head[:_LONGEST_HEAD].removeprefix(_BYTE_ORDER_MARK).lstrip(b" \t\r\n")
        if len(head) < _LONGEST_HEAD and (not start or _BYTE_ORDER_MARK.startswith(head)):
            self._head = head
            return b""
        self._head = None
        if start[:1] in (b"{", b"["):
            self._body = bytearray(head)
            return b""
        return head

    def _read_body(self, raw: bytes, events: list[Event]) -> None:
        raw = raw.removeprefix(_BYTE_ORDER_MARK)
        wire = WireResponse(200, raw)
        if has_error(raw):
            self._fail(decode_error(wire), events)
            return
        events += explode(decode_response(wire, self._context))
        self._over = True

    # --- frames

    def _read(self, frame: SseEvent, events: list[Event]) -> None:
        try:
            event = orjson.loads(frame.data)
        except orjson.JSONDecodeError:
            data = frame.data.strip()
            if data and not data.startswith((b"[DONE]", b":")):
                raise DecodeError("a data line is not JSON", code="bad_event") from None
            return  # the mark that other formats end with, or a keep-alive
        if type(event) is not dict:
            raise wrong_type("a data line", "an object", event)
        kind = event.get("type")
        if kind == "response.output_text.delta":
            opened = self._open
            text = event.get("delta")
            if (
                event.get("content_index") == opened.flowing_content
                and event.get("output_index") == opened.flowing_output
                and type(text) is str
                and not event.get("logprobs")
            ):
                if text:
                    events.append(TextDelta(opened.flowing_part, text))
                return
        self._read_any(event, kind or frame.event.decode(errors="replace"), frame.data, events)

    def _read_any(self, event: Json, kind: Any, raw: bytes, events: list[Event]) -> None:
        if kind == "error" or event.get("error"):
            self._fail(decode_stream_error(event), events)
            return
        if type(kind) is not str or not kind:
            raise DecodeError("an event has no type", code="bad_event")
        if kind in _PINGS:
            return
        if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
            read_object(raw)
        if kind in STARTING:
            self._start(_answer(event), events)
        elif kind in FINISHING:
            self._end(_answer(event), events)
        elif kind == "response.failed":
            self._fail(decode_stream_error(_answer(event)), events)
        else:
            self._start({}, events)
            if not self._items.read(kind, event, events):
                kept = {name: value for name, value in event.items() if name != "sequence_number"}
                events.append(ForeignEvent(NAME, {"type": kind, **kept}))

    def _start(self, answer: Json, events: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        identity, model = answer.get("id"), answer.get("model")
        for name, value in (("id", identity), ("model", model)):
            if value is not None and type(value) is not str:
                raise wrong_type(f"response.{name}", "a string", value)
        events.append(StreamStarted(identity or None, model or None, decode_created(answer.get("created_at"))))

    def _end(self, answer: Json, events: list[Event]) -> None:
        self._start(answer, events)
        status = answer.get("status")
        if answer.get("error") or status in ("failed", "cancelled"):
            self._fail(decode_stream_error(answer), events)
            return
        self._items.finish(answer.get("output"), events)
        reason, extra = decode_end(answer, self._open.parts)
        usage = decode_usage(answer.get("usage"), "response.usage")
        if usage is not None:
            events.append(UsageReported(usage))
        events += (ChoiceFinished(0, reason, extra=extra), StreamEnded())
        self._over = True

    def _fail(self, error: ApiError, events: list[Event]) -> None:
        self._over = True
        events.append(StreamFailed(error))


def _answer(event: Json) -> Json:
    answer = event.get("response")
    if type(answer) is not dict:
        raise wrong_type("response", "an object", answer)
    if event.get("type") == "response.incomplete" and answer.get("status") != "incomplete":
        return {**answer, "status": "incomplete"}
    return answer


def _unreadable(error: DecodeError) -> ApiError:
    message = f"the upstream's stream cannot be read: {error.message}"
    return ApiError(ErrorKind.BAD_UPSTREAM, message, Fault.UPSTREAM, code=error.code or "bad_event")
