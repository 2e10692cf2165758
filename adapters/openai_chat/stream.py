"""Streamed answers, as they come from an upstream."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from itertools import count
from typing import Any

import orjson

from adapters.contract import Context, WireResponse
from adapters.model.error import ApiError, DecodeError, ErrorKind, Fault
from adapters.model.event import (
    Event,
    ForeignEvent,
    LogprobsReported,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.fold import explode
from adapters.model.message import Json
from adapters.openai_chat.deltas import ChoiceDeltas
from adapters.openai_chat.errors import decode_error, decode_stream_error, has_error, is_error
from adapters.openai_chat.fields import CHOICE_FIELDS, CHUNK_FIELDS, NAME
from adapters.openai_chat.response import decode_created, decode_logprobs, decode_response
from adapters.openai_chat.usage import decode_usage
from adapters.wire.body import MAX_DEPTH, read_object
from adapters.wire.fields import wrong_type
from adapters.wire.sse import MAX_EVENT_BYTES, SseDecoder

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_HEAD = 1024

_INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the upstream's stream ended before its end mark",
    Fault.UPSTREAM,
    code="stream_interrupted",
)


class ChatStreamDecoder:
    """Turns the bytes of a stream into events; a JSON body in its place is taken for the answer that it is."""

    __slots__ = (
        "_body",
        "_choices",
        "_context",
        "_frame",
        "_head",
        "_known",
        "_next_index",
        "_over",
        "_seen",
        "_sse",
        "_started",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sse = SseDecoder()
        self._head: bytes | None = b""  # as long as it is not clear whether this is SSE or JSON
        self._body: bytearray | None = None
        self._next_index: Callable[[], int] = count().__next__
        self._choices: dict[int, ChoiceDeltas] = {}
        self._frame = b""  # the one being read
        self._known: AbstractSet[str] = CHUNK_FIELDS
        self._seen: Json = {}  # fields of the answer as a whole, as they stood last
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
        left = 0
        try:
            if self._head is not None or self._body is not None:
                data = self._sorted_out(data)
            frames = self._sse.feed(data)
            left = len(frames)
            for frame in frames:
                self._read(frame.data, events)
                if self._over:
                    break
                left -= 1
        except DecodeError as error:
            self._fail(_unreadable(error), events)
        if self._over:
            ended = isinstance(events[-1], StreamEnded)
            self._sse.unread(left - 1 if ended else left)
        return events

    def close(self, *, clean: bool) -> list[Event]:
        """The last events: complete with ``[DONE]``, or if all choices had ended and the connection ended in order."""
        if self._over:
            return []
        events: list[Event] = []
        try:
            if self._body is not None:
                self._read_body(bytes(self._body), events)
            for frame in self._sse.finish():
                self._read(frame.data, events)
                if self._over:
                    return events
        except DecodeError as error:
            if self._body is not None and error.code != "invalid_json":
                self._fail(_unreadable(error), events)
            clean = False  # half a frame
        if not self._over:
            # No [DONE], but nothing is missing either: reliability.md, section 3.
            whole = clean and bool(self._choices) and all(choice.finished for choice in self._choices.values())
            if whole:
                self._over = True
                events.append(StreamEnded())
            else:
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

    def _read(self, data: bytes, events: list[Event]) -> None:
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            self._read_mark(data.strip(), events)
            return
        if type(chunk) is not dict:
            raise wrong_type("a data line", "an object", chunk)
        if not self._started or not chunk.keys() <= self._known or not self._seen.items() <= chunk.items():
            if is_error(chunk):
                self._fail(decode_stream_error(chunk), events)
                return
            self._frame = data
            self._read_top(chunk, events)
        usage = chunk.get("usage")
        if usage is not None:
            self._report_usage(usage, events)
        choices = chunk.get("choices")
        if type(choices) is list:
            self._frame = data
            for position, choice in enumerate(choices):
                self._read_choice(choice, position, events)
        elif choices is not None:
            raise wrong_type("choices", "an array", choices)

    def _read_mark(self, data: bytes, events: list[Event]) -> None:
        """``[DONE]``, or a keep-alive: nothing, or a comment inside a data line (reliability.md, section 3)."""
        if data.startswith(b"[DONE]"):
            self._end(events)
        elif data and not data.startswith(b":"):
            raise DecodeError("a data line is not JSON", code="bad_event")

    def _check_depth(self) -> None:
        """Refuse a frame that is nested too deep for what it holds to be handed on."""
        if self._frame.count(b"{") + self._frame.count(b"[") > MAX_DEPTH:
            read_object(self._frame)

    def _read_top(self, chunk: Json, events: list[Event]) -> None:
        """The fields of the answer as a whole: those of the first chunk start the stream, changes are handed on."""
        news = {
            name: value
            for name, value in chunk.items()
            if name not in CHUNK_FIELDS and value is not None and self._seen.get(name) != value
        }
        if news:
            self._check_depth()
            self._seen |= news
            self._known = CHUNK_FIELDS | self._seen.keys()
        if not self._started:
            self._start(chunk, events)
        elif news:
            events.append(ForeignEvent(NAME, {"choices": [], **news}))
        groq = news.get("x_groq")
        if type(groq) is dict and type(groq.get("usage")) is dict and chunk.get("usage") is None:
            self._report_usage(groq["usage"], events)

    def _start(self, chunk: Json, events: list[Event]) -> None:
        identity, model = chunk.get("id"), chunk.get("model")
        if not (identity or chunk.get("choices") or chunk.get("usage")):
            return  # Azure sends what its filters found in the prompt before the first real chunk
        for name, value in (("id", identity), ("model", model)):
            if value is not None and type(value) is not str:
                raise wrong_type(name, "a string", value)
        extra = {NAME: dict(self._seen)} if self._seen else None
        events.append(StreamStarted(identity or None, model or None, decode_created(chunk.get("created")), extra))
        self._started = True

    def _report_usage(self, value: Any, events: list[Event]) -> None:
        usage = decode_usage(value)
        if usage is not None and self._started:
            events.append(UsageReported(usage))

    def _read_choice(self, choice: Any, position: int, events: list[Event]) -> None:
        if type(choice) is not dict:
            raise wrong_type("choices[]", "an object", choice)
        index, delta = choice.get("index"), choice.get("delta")
        state = self._choices.get(index) if type(index) is int else None
        if (
            state is not None
            and type(delta) is dict
            and len(delta) == 1
            and choice.get("finish_reason") is None
            and choice.get("logprobs") is None
            and choice.keys() <= CHOICE_FIELDS
        ):
            text = delta.get("content")
            if type(text) is str and state.text_index >= 0:
                if text:
                    events.append(TextDelta(state.text_index, text))
                return
            calls = delta.get("tool_calls")
            if type(calls) is list and not state.finished:
                self._check_depth()
                state.add_calls(calls, events)
                return
        self._read_any_choice(choice, position if index is None else index, events)

    def _read_any_choice(self, choice: Json, index: Any, events: list[Event]) -> None:
        self._check_depth()
        delta = choice.get("delta")
        if delta is None:
            delta = choice.get("message") or {}  # a server that streams its unary answer in one frame
        if type(delta) is not dict:
            raise wrong_type("choices[].delta", "an object", delta)
        state = self._choice(index)
        unread = state.add(delta, events)
        logprobs = decode_logprobs(choice.get("logprobs"), "choices[].logprobs")
        if logprobs is not None:
            events.append(LogprobsReported(index, logprobs))
        rest = {name: value for name, value in choice.items() if name not in CHOICE_FIELDS and value is not None}
        word = choice.get("finish_reason")
        if word is not None and type(word) is not str:
            raise wrong_type("choices[].finish_reason", "a string", word)
        if word and not state.finished:
            state.finish(word, rest | ({"message": unread} if unread else {}), events)
        elif unread or rest:
            payload = {"index": index, **({"delta": unread} if unread else {}), **rest}
            events.append(ForeignEvent(NAME, {"choices": [payload]}))

    def _choice(self, index: Any) -> ChoiceDeltas:
        if type(index) is not int or index < 0:
            raise wrong_type("choices[].index", "an integer of at least 0", index)
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = ChoiceDeltas(index, self._context, self._next_index)
        return state

    # --- ends

    def _end(self, events: list[Event]) -> None:
        """The end mark: a choice that said something but not why it ended has ended all the same."""
        choices = self._choices.values()
        if not choices or not all(choice.finished or choice.begun for choice in choices):
            raise DecodeError("the stream ended without an answer", code="empty_answer")
        for choice in choices:
            if not choice.finished:
                choice.finish(None, {}, events)
        self._over = True
        events.append(StreamEnded())

    def _fail(self, error: ApiError, events: list[Event]) -> None:
        self._over = True
        events.append(StreamFailed(error))


def _unreadable(error: DecodeError) -> ApiError:
    message = f"the upstream's stream cannot be read: {error.message}"
    return ApiError(ErrorKind.BAD_UPSTREAM, message, Fault.UPSTREAM, code=error.code or "bad_event")
