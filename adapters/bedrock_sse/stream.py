"""The event stream of ``POST /chat/stream``: ``start``, ``content``, ``done`` (section 5 of dialects/quant.md).

There are two first-party readers. APP goes by event names; DRU ignores them and goes by keys: any ``delta`` is text,
any ``toolUse`` or ``response.toolUse`` is a call, ``complete: true`` is the end. What we write serves both, and what
we read may be meant for either.
"""

from dataclasses import replace

import orjson

from adapters.bedrock_sse.calls import CallsTold, WireCall, decode_call, decode_calls, with_exact_inputs
from adapters.bedrock_sse.errors import decode_error, decode_stream_error
from adapters.bedrock_sse.extra import keep
from adapters.bedrock_sse.fields import INFORMATION_EVENTS, NAME
from adapters.bedrock_sse.response import decode_reason, decode_response, decode_usage, settle_reason
from adapters.contract import CodecError, Context, DecodeError, WireResponse
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.event import (
    ArgumentsDelta,
    ChoiceFinished,
    Event,
    ForeignEvent,
    PartEnded,
    PartStarted,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.fold import explode
from adapters.model.message import Json, Text, ToolCall
from adapters.model.response import FinishReason
from adapters.wire.body import MAX_DEPTH, read_object
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.sse import MAX_EVENT_BYTES, SseDecoder, SseEvent

_INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM, "the upstream's stream ended before its end mark", Fault.UPSTREAM, code="stream_interrupted"
)
_NOT_FINISHED = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the upstream ended its stream without saying that the answer is complete",
    Fault.UPSTREAM,
    code="upstream_invalid_response",
)
_CONTINUES_ELSEWHERE = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the upstream goes on with server-run tools at a place to poll, which is not supported",
    Fault.UPSTREAM,
    code="unsupported_feature",
)
_TEXT = 0  # the index of the one text part; calls have those after it
_HEAD_BYTES = 64
_BLANKS = b"\xef\xbb\xbf \t\r\n"  # a byte order mark, and white space


class BedrockSseDecoder:
    """Reads the stream of a Quant upstream, liberally (Q34)."""

    __slots__ = ("_calls", "_content", "_context", "_early", "_frames", "_head", "_over", "_started", "_text", "_whole")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._frames = SseDecoder()
        self._head: bytes | None = b""
        self._whole: bytearray | None = None
        self._started = False
        self._text = False
        self._over = False
        self._early: list[Event] = []
        self._calls = CallsTold()
        self._content = ""

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to no event yet, to a failing one, or to what follows the end."""
        return len(self._head or b"") + len(self._whole or b"") + self._frames.pending

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by these bytes; an event that no such stream can hold ends it with a failure."""
        events: list[Event] = []
        if self._over:
            return events
        if self._head is not None:
            data = self._look_at_head(data)
        if self._whole is not None:
            self._collect(data)
            return events
        frames = self._frames.feed(data)
        left = len(frames)
        try:
            for frame in frames:
                self._read(frame, events)
                if self._over:
                    break
                left -= 1
        except DecodeError as error:
            self._fail(_invalid(error), events)
        if self._over:
            self._frames.unread(left - isinstance(events[-1], StreamEnded))
        return events

    def close(self, *, clean: bool) -> list[Event]:
        """What is left at end of input; without ``done`` the last event is a failure, however the connection ended."""
        events: list[Event] = []
        if self._over:
            return events
        if self._whole is not None:
            self._read_whole(bytes(self._whole), events)
            return events
        try:
            for frame in self._frames.finish():
                self._read(frame, events)
        except DecodeError:
            pass  # half an event, cut where the stream was
        if not self._over:
            self._fail(_INTERRUPTED, events)
        return events

    def _look_at_head(self, data: bytes) -> bytes:
        """Tells an answer that is one JSON body from a stream: no line of a stream starts with a brace (SSE-17)."""
        data = (self._head or b"") + data
        seen = data[:_HEAD_BYTES].lstrip(_BLANKS)
        if not seen and len(data) < _HEAD_BYTES:
            self._head = data
            return b""
        self._head = None
        if seen.startswith(b"{"):
            self._whole = bytearray()
        return data

    def _collect(self, data: bytes) -> None:
        assert self._whole is not None
        self._whole += data
        if len(self._whole) > MAX_EVENT_BYTES:
            raise DecodeError(f"the answer is larger than {MAX_EVENT_BYTES} bytes", code="event_too_large")

    def _read_whole(self, raw: bytes, events: list[Event]) -> None:
        self._over = True
        wire = WireResponse(200, raw.lstrip(_BLANKS))
        try:
            body = read_object(wire.body)
        except DecodeError:
            events.append(StreamFailed(_INTERRUPTED))
            return
        if body.get("error"):
            events.append(StreamFailed(decode_error(wire)))
            return
        try:
            events += explode(decode_response(wire, self._context))
        except CodecError as error:
            events.append(StreamFailed(_invalid(error)))

    def _read(self, frame: SseEvent, events: list[Event]) -> None:
        name = frame.event
        value = _load(frame.data, name)
        if value is None:
            return
        if name in _NAMED:
            self._read_named(name, with_exact_inputs(value, frame.data), events)
            return
        delta = value.get("delta")
        if type(delta) is str:
            if delta:
                if not self._text:
                    self._open_text(events)
                events.append(TextDelta(_TEXT, delta))
            if len(value) <= 2 and value.get("complete") is not True:
                return
        elif delta is not None:
            raise wrong_type("delta", "a string", delta)
        self._read_more(name, with_exact_inputs(value, frame.data), events)

    def _read_named(self, name: bytes, value: Json, events: list[Event]) -> None:
        if name == b"start":
            self._start(events, value)
        elif name == b"tool_request":
            self._calls.add_requested(decode_call(value, ""))
        elif name == b"error":
            self._fail(decode_stream_error(value), events)
        elif name != b"keepalive":
            self._add_foreign(name, value, events)

    def _read_more(self, name: bytes, value: Json, events: list[Event]) -> None:
        """What an event says by its keys beside the text, as DRU reads it."""
        if value.get("error"):
            self._fail(decode_stream_error(value), events)
        elif name == b"done" or not _ANSWER_KEYS.isdisjoint(value):
            self._read_answer(name, value, events)
        elif "streaming" in value:
            self._start(events, value)
        elif "delta" not in value and name != b"content":
            self._add_foreign(name, value, events)

    def _read_answer(self, event: bytes, value: Json, events: list[Event]) -> None:
        orchestration = value.get("orchestration")
        if isinstance(orchestration, dict) and orchestration.get("pollUrl"):
            self._fail(_CONTINUES_ELSEWHERE, events)
            return
        body = Fields(value)
        body.any("delta")
        complete = body.boolean("complete")
        answer = body.fields("response") or body
        self._content = answer.string("content") or self._content
        for place, name in ((answer, "toolUse"), (body, "toolUse"), (body, "pendingTools")):
            self._calls.add_carried(decode_calls(place.any(name), place.path_of(name)))
        answer.any("role")
        usage = decode_usage(body)
        reason, words = decode_reason(body)
        if not complete and reason in (None, FinishReason.OTHER):
            if event == b"done":
                self._fail(_NOT_FINISHED, events)
            elif usage is not None:
                self._start(events)
                events.append(UsageReported(usage))
            return
        if not self._started:
            self._start(events, {name: body.any(name) for name in ("requestId", "model")})
        calls = self._calls.all()
        self._end_parts(calls, events)
        beside = {} if answer is body else answer.rest()
        reason = settle_reason(reason, calls)
        events.append(ChoiceFinished(0, reason, extra=keep(body.rest() | words, response=beside)))
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(StreamEnded())
        self._over = True

    def _start(self, events: list[Event], value: Json | None = None) -> None:
        if self._started:
            return
        start = Fields(value or {})
        identity, model = start.string("requestId"), start.string("model")
        start.any("streaming")
        self._started = True
        events.append(StreamStarted(identity, model, extra=keep(start.rest())))
        events += self._early

    def _open_text(self, events: list[Event]) -> None:
        self._start(events)
        self._text = True
        events.append(PartStarted(_TEXT, Text("")))

    def _add_foreign(self, name: bytes, value: Json, events: list[Event]) -> None:
        """Keeps an event that only this dialect has; before ``start`` it waits for it."""
        payload: Json = {"event": name.decode("utf-8", "replace") or "message", "data": value}
        (events if self._started else self._early).append(ForeignEvent(NAME, payload))

    def _end_parts(self, calls: list[WireCall], events: list[Event]) -> None:
        """The parts that are still open or unsaid: the text of the last event if no delta came, and all calls."""
        if self._content and not self._text:
            self._open_text(events)
            events.append(TextDelta(_TEXT, self._content))
        if self._text:
            events.append(PartEnded(_TEXT))
        for index, call in enumerate(calls, _TEXT + 1):
            part = call.part(self._context)
            if isinstance(part, ToolCall):
                events.append(PartStarted(index, replace(part, arguments="")))
                events.append(ArgumentsDelta(index, part.arguments))
            else:
                events.append(PartStarted(index, part))
            events.append(PartEnded(index))

    def _fail(self, error: ApiError, events: list[Event]) -> None:
        self._over = True
        events.append(StreamFailed(error))


_NAMED = INFORMATION_EVENTS | {b"start", b"tool_request", b"error", b"keepalive"}
_ANSWER_KEYS = frozenset({"complete", "content", "finishReason", "orchestration", "response", "stopReason", "toolUse"})


def _load(data: bytes, name: bytes) -> Json | None:
    """The object in an event's data; ``None`` where there is nothing to read."""
    if len(data) > 2 * MAX_DEPTH:  # shorter data cannot be nested too deep
        return read_object(data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        if name in _MAY_BE_WORDLESS or data.strip() in (b"", b"[DONE]"):
            return None
        raise DecodeError("an event's data is not valid JSON", code="invalid_json") from None
    if type(value) is dict:
        return value
    if name in _MAY_BE_WORDLESS:
        return None
    raise DecodeError("an event's data must be a JSON object", code="invalid_json")


_MAY_BE_WORDLESS = INFORMATION_EVENTS | {b"keepalive"}


def _invalid(error: CodecError) -> ApiError:
    code = error.code if error.code == "unsupported_feature" else "upstream_invalid_response"
    return ApiError(ErrorKind.BAD_UPSTREAM, error.message, Fault.UPSTREAM, code=code, param=error.param)
