"""The event stream of ``converse-stream``, as it comes from an upstream.

Complete is a stream with ``messageStop``, which says why the answer ended, and ``metadata`` behind it with the counts
(USE-14). If the connection ends in order between the two, nothing of the answer is missing and it counts as complete;
a connection that breaks there does not.
"""

from dataclasses import replace
from typing import Any

import orjson

from adapters.bedrock_converse.answer import MODEL_FIELDS, decode_reason, kept_reason, take_stop_sequence
from adapters.bedrock_converse.errors import decode_error, decode_stream_error
from adapters.bedrock_converse.extra import keep
from adapters.bedrock_converse.fields import BROKEN_REASONS, NAME
from adapters.bedrock_converse.incoming import Incoming
from adapters.bedrock_converse.response import decode_response
from adapters.bedrock_converse.usage import decode_usage
from adapters.contract import CodecError, Context, DecodeError, WireResponse
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.event import (
    ChoiceFinished,
    Event,
    ForeignEvent,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    UsageReported,
)
from adapters.model.fold import explode
from adapters.model.message import Json
from adapters.wire.body import MAX_DEPTH, read_object
from adapters.wire.eventstream import MAX_FRAME_BYTES, EventStreamDecoder, Frame
from adapters.wire.fields import wrong_type

_INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM, "the upstream's stream ended before its end mark", Fault.UPSTREAM, code="stream_interrupted"
)
_BROKEN = ApiError(ErrorKind.BAD_UPSTREAM, "the model's output does not have the form it must have", Fault.UPSTREAM)
_BLANKS = b"\xef\xbb\xbf \t\r\n"  # a byte order mark, and white space
_HEAD_BYTES = 64
_PADDING = "p"
"""Random letters in every event, so that nobody can tell its length from outside (SEEN, families.py)."""


class ConverseStreamDecoder:
    """Turns the bytes of a stream into events; a JSON body in its place is taken for what it is (SSE-15, SSE-17)."""

    __slots__ = (
        "_body",
        "_broken",
        "_context",
        "_early",
        "_frames",
        "_head",
        "_incoming",
        "_metadata",
        "_over",
        "_started",
        "_stopped",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._frames = EventStreamDecoder()
        self._head: bytes | None = b""
        self._body: bytearray | None = None
        self._incoming = Incoming(context.request)
        self._early: list[Event] = []
        self._broken: str | None = None
        self._started = self._stopped = self._metadata = self._over = False

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to a frame that is not complete yet."""
        return len(self._head or b"") + len(self._body or b"") + self._frames.pending

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by these bytes; what cannot be read ends in ``StreamFailed``."""
        events: list[Event] = []
        if self._over:
            return events
        try:
            if self._head is not None or self._body is not None:
                data = self._sorted_out(data)
            for frame in self._frames.read(data):
                self._read(frame, events)
                if self._over:
                    break
        except DecodeError as error:
            self._fail(_unreadable(error), events)
        return events

    def close(self, *, clean: bool) -> list[Event]:
        """What is left at end of input; half a frame, or no ``messageStop``, is a failure."""
        events: list[Event] = []
        if self._over:
            return events
        if self._body is not None:
            self._read_body(bytes(self._body), events)
        elif clean and self._stopped and self._frames.pending == 0:
            self._end(events)
        else:
            self._fail(_INTERRUPTED, events)
        return events

    # --- frames or JSON

    def _sorted_out(self, data: bytes) -> bytes:
        """What of the bytes are frames. A frame begins with its length, which never begins with a brace or a blank."""
        if self._body is not None:
            self._body += data
            if len(self._body) > MAX_FRAME_BYTES:
                raise DecodeError(f"the body is larger than {MAX_FRAME_BYTES} bytes", code="frame_too_large")
            return b""
        data = (self._head or b"") + data
        seen = data[:_HEAD_BYTES].lstrip(_BLANKS)
        if not seen and len(data) < _HEAD_BYTES:
            self._head = data
            return b""
        self._head = None
        if seen[:1] == b"{":
            self._body = bytearray(data)
            return b""
        if data[0] > MAX_FRAME_BYTES >> 24:
            raise DecodeError("there are no event stream frames in it", code="not_event_stream")
        return data

    def _read_body(self, raw: bytes, events: list[Event]) -> None:
        self._over = True
        wire = WireResponse(200, raw.lstrip(_BLANKS))
        try:
            body = read_object(wire.body)
        except DecodeError:
            events.append(StreamFailed(_INTERRUPTED))
            return
        if body.get("output") is None:
            events.append(StreamFailed(decode_error(wire)))
            return
        try:
            events += explode(decode_response(wire, self._context))
        except CodecError as error:
            events.append(StreamFailed(_unreadable(error)))

    # --- events

    def _read(self, frame: Frame, events: list[Event]) -> None:
        headers, payload = frame
        kind = headers.get(":message-type", "event")
        if kind != "event":
            self._fail(decode_stream_error(headers, payload), events)
            return
        name = headers.get(":event-type", "")
        value = _load(payload)
        if name == "contentBlockDelta" and self._started and not self._stopped:
            self._incoming.add_delta(value, events)
        elif name == "messageStart":
            self._start(events, value)
        elif name == "contentBlockStart":
            self._start(events)
            self._demand_open(name)
            self._incoming.start(value, events)
        elif name == "contentBlockDelta":
            self._start(events)
            self._demand_open(name)
            self._incoming.add_delta(value, events)
        elif name == "contentBlockStop":
            self._incoming.stop(value, events)
        elif name == "messageStop":
            self._stop(value, events)
        elif name == "metadata":
            self._report(value, events)
        else:
            self._add_foreign(name, value, events)

    def _demand_open(self, name: str) -> None:
        if self._stopped:
            raise DecodeError(f"{name} comes after messageStop", name, "content_after_finish")

    def _start(self, events: list[Event], value: Json | None = None) -> None:
        if self._started:
            return
        rest = {name: item for name, item in (value or {}).items() if name not in ("role", _PADDING)}
        self._started = True
        events.append(StreamStarted(model=self._context.request.model, extra=keep(rest)))
        events += self._early

    def _stop(self, value: Json, events: list[Event]) -> None:
        if self._stopped:
            raise DecodeError("messageStop comes twice", "messageStop", "content_after_finish")
        self._start(events)
        self._incoming.stop_all(events)
        word = value.get("stopReason")
        if not isinstance(word, str):
            raise wrong_type("messageStop.stopReason", "a string", word)
        self._stopped = True
        if word in BROKEN_REASONS:
            self._broken = word  # told with the counts, as these tokens were spent all the same
            if self._metadata:
                self._end(events)
            return
        reason = decode_reason(word, called=self._incoming.called)
        stop_sequence, model_fields = take_stop_sequence(value.get(MODEL_FIELDS))
        rest = {name: item for name, item in value.items() if name not in ("stopReason", MODEL_FIELDS, _PADDING)}
        kept = kept_reason(word, reason, stop_sequence) | rest
        if model_fields is not None:
            kept[MODEL_FIELDS] = model_fields
        events.append(ChoiceFinished(0, reason, stop_sequence, keep(kept)))
        if self._metadata:
            self._end(events)

    def _report(self, value: Json, events: list[Event]) -> None:
        self._start(events)
        around = {name: item for name, item in value.items() if name not in ("usage", _PADDING)}
        usage = decode_usage(value.get("usage"), around, "metadata.usage")
        if usage is not None:
            events.append(UsageReported(usage))
        self._metadata = True
        if self._stopped:
            self._end(events)

    def _add_foreign(self, name: str, value: Json, events: list[Event]) -> None:
        """Keeps an event that is newer than this code; before ``messageStart`` it waits for it."""
        event = ForeignEvent(NAME, {"event": name, "data": value})
        (events if self._started else self._early).append(event)

    def _end(self, events: list[Event]) -> None:
        if self._broken is not None:
            self._fail(replace(_BROKEN, code=self._broken), events)
            return
        self._over = True
        events.append(StreamEnded())

    def _fail(self, error: ApiError, events: list[Event]) -> None:
        self._over = True
        events.append(StreamFailed(error))


def _load(payload: bytes) -> Json:
    if payload.count(b"{") + payload.count(b"[") > MAX_DEPTH:
        return read_object(payload)  # refuses what is nested too deep to be handed on
    try:
        value: Any = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise DecodeError("an event's payload is not valid JSON", code="invalid_json") from None
    if type(value) is not dict:
        raise wrong_type("an event's payload", "an object", value)
    return value


def _unreadable(error: CodecError) -> ApiError:
    message = f"the upstream's stream cannot be read: {error.message}"
    return ApiError(ErrorKind.BAD_UPSTREAM, message, Fault.UPSTREAM, code=error.code or "bad_event", param=error.param)
