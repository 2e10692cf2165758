"""Streamed answers, as they come from an upstream."""

from typing import Any

import orjson

from adapters.anthropic.blocks import Block, read_block
from adapters.anthropic.errors import decode_error, decode_stream_error
from adapters.anthropic.extras import keep, said, unread
from adapters.anthropic.fields import CHOICE_FIELDS, NAME
from adapters.anthropic.finish import decode_finish
from adapters.anthropic.names import client_names
from adapters.anthropic.response import ERROR_IN_200, decode_response
from adapters.anthropic.usage import decode_usage
from adapters.contract import Context, DecodeError, WireResponse
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.event import (
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
from adapters.model.message import Json, Refusal, Text, ToolCall
from adapters.wire.body import MAX_DEPTH, read_object
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.sse import MAX_EVENT_BYTES, SseDecoder, SseEvent

_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_NO_TEXT = object()
"""Equal to no index on the wire."""

_MESSAGE_FIELDS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage", "delta"}
)
"""What is read by name, wherever it stands."""

_INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the upstream's stream ended before its end mark",
    Fault.UPSTREAM,
    code="stream_interrupted",
)


class AnthropicStreamDecoder:
    """Turns the bytes of a stream into events; a JSON body in its place is taken for the answer that it is (SSE-17)."""

    __slots__ = (
        "_blocks",
        "_body",
        "_called",
        "_context",
        "_finished",
        "_head",
        "_kept",
        "_names",
        "_next_index",
        "_over",
        "_seen",
        "_sse",
        "_started",
        "_text",
        "_text_index",
        "_usage",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = client_names(context.request)
        self._sse = SseDecoder()
        self._head: bytes | None = b""  # as long as it is not clear whether this is SSE or JSON
        self._body: bytearray | None = None
        self._blocks: dict[int, Block] = {}
        self._seen: set[int] = set()
        self._text: object = _NO_TEXT  # number on the wire of the text block that deltas go to, and its part
        self._text_index = 0
        self._next_index = 0
        self._usage: Json = {}
        self._kept: Json = {}
        self._called = self._started = self._finished = self._over = False

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
        """The last events. Only ``message_stop`` ends an answer well, however the connection ended (FIN-17)."""
        if self._over:
            return []
        events: list[Event] = []
        try:
            if self._body is not None:
                self._read_body(bytes(self._body), events)
            for frame in self._sse.finish():
                self._read(frame, events)
        except DecodeError:
            pass  # half a frame
        if not self._over:
            self._fail(_INTERRUPTED, events)
        return events

    # --- which of the two it is

    def _sorted_out(self, data: bytes) -> bytes:
        """What of the bytes goes to the SSE decoder."""
        if self._body is not None:
            self._body += data
            if len(self._body) > MAX_EVENT_BYTES:
                raise DecodeError(f"the body is larger than {MAX_EVENT_BYTES} bytes", code="event_too_large")
            return b""
        head = (self._head or b"") + data
        start = head.lstrip(_BEFORE_JSON)
        if not start and len(head) < MAX_EVENT_BYTES:
            self._head = head
            return b""
        self._head = None
        if start[:1] == b"{":
            self._body = bytearray(start)
            return b""
        return head

    def _read_body(self, raw: bytes, events: list[Event]) -> None:
        wire = WireResponse(200, raw)
        try:
            events += explode(decode_response(wire, self._context))
            self._over = True
        except DecodeError as error:
            if error.code != ERROR_IN_200:
                raise
            self._fail(decode_error(wire), events)

    # --- frames

    def _read(self, frame: SseEvent, events: list[Event]) -> None:
        data = frame.data
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            _check_empty(data)
            return
        if type(event) is not dict:
            raise wrong_type("an event's data", "an object", event)
        kind = event.get("type")
        if kind == "content_block_delta":
            delta = event.get("delta")
            if event.get("index") == self._text and type(delta) is dict and delta.get("type") == "text_delta":
                text = delta.get("text")
                if type(text) is str:
                    if text:
                        events.append(TextDelta(self._text_index, text))
                    return
        if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
            read_object(data)  # refuses what is nested too deep to be handed on
        self._read_any(kind if type(kind) is str else frame.event.decode("ascii", "replace"), event, events)

    def _read_any(self, kind: str, event: Json, events: list[Event]) -> None:
        if kind == "ping":
            return
        if kind == "error" or (not kind and "error" in event):
            self._fail(decode_stream_error(event), events)
        elif kind == "message_start":
            self._start(event, events)
        elif not self._started:
            raise DecodeError("the stream does not begin with message_start", "type", "bad_event")
        elif kind == "content_block_start":
            self._start_block(event, events)
        elif kind == "content_block_delta":
            self._add(event, events)
        elif kind == "content_block_stop":
            self._end_block(_index(event), events)
        elif kind == "message_delta":
            self._change(event, events)
        elif kind == "message_stop":
            self._finish({}, events)
            self._over = True
            events.append(StreamEnded())
        else:
            events.append(ForeignEvent(NAME, {"type": kind} | event))

    def _start(self, event: Json, events: list[Event]) -> None:
        if self._started:
            raise DecodeError("message_start comes twice", "type", "bad_event")
        fields = Fields(event.get("message"), "message")
        identity, model = fields.string("id") or None, fields.string("model") or None
        content, usage = fields.array("content") or [], fields.object("usage")
        for name in ("type", "role", "stop_reason", "stop_sequence", "stop_details"):
            fields.any(name)
        self._kept = {name: value for name in CHOICE_FIELDS if (value := fields.any(name)) is not None}
        events.append(StreamStarted(identity, model, extra=keep(unread(fields))))
        self._started = True
        self._count(usage, events)
        for index, value in enumerate(content):
            self._start_block({"index": index, "content_block": value}, events)
            self._end_block(index, events)

    def _change(self, event: Json, events: list[Event]) -> None:
        """``message_delta``: the counts so far, and why the answer ended."""
        fields = Fields(event)
        usage, delta = fields.object("usage"), fields.object("delta") or {}
        fields.any("type")
        self._count(usage, events)
        news = said(delta) | unread(fields)
        self._kept |= {name: value for name, value in news.items() if name not in _MESSAGE_FIELDS}
        if delta.get("stop_reason") is not None:
            self._finish(delta, events)

    def _count(self, usage: Json | None, events: list[Event]) -> None:
        """Totals so far: what a later report leaves out stays as it was (USE-13)."""
        if usage:
            self._usage |= said(usage)
            counted = decode_usage(self._usage)
            if counted is not None:
                events.append(UsageReported(counted))

    def _finish(self, delta: Json, events: list[Event]) -> None:
        if self._finished:
            return
        for number in list(self._blocks):
            self._end_block(number, events)
        finish = decode_finish(Fields({**delta}, "delta"), called=self._called)
        if finish.refusal is not None:
            index = self._take_index()
            events += (PartStarted(index, Refusal("")), TextDelta(index, finish.refusal.text), PartEnded(index))
        self._finished = True
        extra = keep(finish.kept | self._kept)
        events.append(ChoiceFinished(0, finish.reason, finish.stop_sequence, extra))

    # --- blocks

    def _start_block(self, event: Json, events: list[Event]) -> None:
        number = _index(event)
        if number in self._seen or self._finished:
            raise DecodeError("a block begins out of order", "index", "bad_event")
        self._seen.add(number)
        block = read_block(event.get("content_block"), self._take_index(), self._names, self._context)
        self._blocks[number] = block
        self._called = self._called or isinstance(block.part, ToolCall)
        block.begin(events)
        self._let_flow(number, block)

    def _add(self, event: Json, events: list[Event]) -> None:
        number = _index(event)
        block, delta = self._blocks.get(number), event.get("delta")
        if block is None:
            raise DecodeError("a delta belongs to no open block", "index", "bad_event")
        if type(delta) is not dict:
            raise wrong_type("delta", "an object", delta)
        block.add(delta, event, events)
        self._let_flow(number, block)

    def _let_flow(self, number: int, block: Block) -> None:
        """From now on, further text of the block needs no look at it."""
        if block.started and type(block.part) is Text:
            self._text, self._text_index = number, block.index

    def _end_block(self, number: int, events: list[Event]) -> None:
        block = self._blocks.pop(number, None)
        if block is None:
            raise DecodeError("a block ends that is not open", "index", "bad_event")
        if self._text == number:
            self._text = _NO_TEXT
        block.end(events)

    def _take_index(self) -> int:
        self._next_index += 1
        return self._next_index - 1

    def _fail(self, error: ApiError, events: list[Event]) -> None:
        self._over = True
        events.append(StreamFailed(error))


def _index(event: Json) -> int:
    index: Any = event.get("index")
    if type(index) is not int:
        raise wrong_type("index", "an integer", index)
    return index


def _check_empty(data: bytes) -> None:
    """Keep-alives in data lines: nothing, a comment, or the end mark of another API (reliability.md, section 3)."""
    line = data.strip()
    if line and not line.startswith((b":", b"[DONE]")):
        raise DecodeError("an event's data is not JSON", code="bad_event")


def _unreadable(error: DecodeError) -> ApiError:
    return ApiError(ErrorKind.BAD_UPSTREAM, error.message, Fault.UPSTREAM, code=error.code or "bad_event")
