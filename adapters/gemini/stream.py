"""Streamed answers, as they come from an upstream."""

import re
from collections.abc import Callable
from itertools import count
from typing import Any

import orjson

from adapters.contract import Context
from adapters.gemini.arguments import with_exact_numbers
from adapters.gemini.deltas import CandidateDeltas
from adapters.gemini.errors import decode_stream_error
from adapters.gemini.fields import CHUNK_FIELDS, NAME
from adapters.gemini.framing import ChunkFrames
from adapters.gemini.response import answer_extra, blocked_text, is_empty
from adapters.gemini.usage import decode_usage
from adapters.model.error import ApiError, DecodeError, ErrorKind, Fault
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
from adapters.model.message import Json, Refusal
from adapters.model.response import FinishReason
from adapters.wire.body import MAX_DEPTH, read_object
from adapters.wire.fields import wrong_type

_REASON = re.compile(rb'"finishReason"\s*:\s*"')

_INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the upstream's stream ended before its end mark",
    Fault.UPSTREAM,
    code="stream_interrupted",
)


class GeminiStreamDecoder:
    """Turns the bytes of a stream into events, whichever of the two forms it has.

    There is no end mark in server-sent events, and a ``finishReason`` is none: models of before 2.0 write one into
    every chunk, and later ones leave a ``STOP`` in the middle when they run code. So an answer is complete when the
    body ends in order and every candidate has a reason that nothing followed; if the connection breaks it is not, even
    after such a chunk. Until one or the other is known, what may be the last chunk is held: read with the next one, or
    at the end. An array is complete with its bracket.
    """

    __slots__ = (
        "_blocked", "_candidates", "_context", "_counts", "_frames", "_held", "_next_index", "_over", "_seen",
        "_started", "_usage",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._frames = ChunkFrames()
        self._held: list[bytes] = []
        self._next_index: Callable[[], int] = count().__next__
        self._candidates: dict[int, CandidateDeltas] = {}
        self._blocked: str | None = None
        self._usage: Any = None  # as it stood last
        self._counts: UsageReported | None = None
        self._seen: Json = {}  # fields of the answer as a whole, as they stood last
        self._started = False
        self._over = False

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to a chunk that is not complete yet, or that is a failure."""
        return self._frames.pending

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by these bytes; a chunk that cannot be read ends in ``StreamFailed``."""
        if self._over:
            return []
        events: list[Event] = []
        frames = self._frames.feed(data)
        left = len(frames)
        try:
            for frame in frames:
                if self._frames.endless and self._may_be_last(frame):
                    if not self._held:
                        self._frames.hold(left)
                    self._held.append(frame)
                else:
                    self._read_held(events)
                    self._read(frame, events)
                if self._over:
                    break
                left -= 1
        except DecodeError as error:
            self._fail(_unreadable(error), events)
        if self._frames.ended and not self._over:
            self._end(events, whole=True)
        if events and isinstance(events[-1], StreamFailed):
            self._frames.unread(left)
        return events

    def close(self, *, clean: bool) -> list[Event]:
        """The last events: the end, if the answer is complete, else the failure."""
        if self._over:
            return []
        events: list[Event] = []
        try:
            self._read_held(events)
        except DecodeError as error:
            self._fail(_unreadable(error), events)
        try:
            for frame in self._frames.finish():
                if not self._over:
                    self._read(frame, events)
        except DecodeError:
            self._fail(_INTERRUPTED, events)  # half a chunk
        if self._over:
            return events
        self._end(events, whole=self._frames.ended or (clean and self._frames.endless))
        return events

    def _may_be_last(self, frame: bytes) -> bool:
        """Whether a chunk gives a reason, or after one only counts."""
        if _REASON.search(frame):
            return True
        return bool(self._held) and b'"candidates"' not in frame and b'"error"' not in frame

    def _read_held(self, events: list[Event]) -> None:
        """Read the chunks that turned out not to be the last ones, or to be them."""
        held, self._held = self._held, []
        for frame in held:
            if not self._over:
                self._read(frame, events)
        if held and not self._over:
            self._frames.release()

    def _read(self, frame: bytes, events: list[Event]) -> None:
        chunk = _loads(frame)
        if "error" in chunk:
            self._fail(decode_stream_error(chunk), events)
            return
        if not self._started:
            self._start(chunk, events)
        elif not chunk.keys() <= CHUNK_FIELDS:
            self._add_news(chunk, events)
        candidates = chunk.get("candidates")
        if candidates is not None:
            if type(candidates) is not list:
                raise wrong_type("candidates", "an array", candidates)
            for position, candidate in enumerate(candidates):
                self._add(candidate, position, events)
        usage = chunk.get("usageMetadata")
        if usage is not None and usage != self._usage:
            self._usage = usage
            decoded = decode_usage(usage)
            if decoded is not None:
                self._counts = UsageReported(decoded)
                events.append(self._counts)

    def _add(self, candidate: Any, position: int, events: list[Event]) -> None:
        path = f"candidates[{position}]"
        if type(candidate) is not dict:
            raise wrong_type(path, "an object", candidate)
        number = candidate.get("index", position)
        state = self._candidates.get(number) if type(number) is int else None
        if state is None:
            if type(number) is not int or number < 0:
                raise wrong_type(f"{path}.index", "a number from 0 on", number)
            state = self._candidates[number] = CandidateDeltas(number, self._context, self._next_index)
        state.add(candidate, path, events)

    def _start(self, chunk: Json, events: list[Event]) -> None:
        self._started = True
        extra = answer_extra(chunk)
        self._seen = dict(extra[NAME]) if extra else {}
        self._blocked = blocked_text(chunk)
        identity, model = chunk.get("responseId"), chunk.get("modelVersion")
        events.append(
            StreamStarted(
                identity if type(identity) is str and identity else None,
                model if type(model) is str and model else None,
                None,
                extra,
            )
        )

    def _add_news(self, chunk: Json, events: list[Event]) -> None:
        """Fields of the answer as a whole that came late or changed."""
        self._blocked = self._blocked or blocked_text(chunk)
        news = {
            name: item
            for name, item in chunk.items()
            if name not in CHUNK_FIELDS and not is_empty(item) and self._seen.get(name) != item
        }
        if news:
            self._seen |= news
            events.append(ForeignEvent(NAME, news))

    def _end(self, events: list[Event], *, whole: bool) -> None:
        finished = all(candidate.word is not None for candidate in self._candidates.values())
        if not whole or not finished or not (self._candidates or self._blocked):
            self._fail(_INTERRUPTED, events)
            return
        for candidate in self._candidates.values():
            candidate.finish(events)
        if self._candidates:
            if self._counts is not None:  # once more, beside the reasons: clients look for them in the last chunk
                events.append(self._counts)
        else:
            index = self._next_index()
            events.append(PartStarted(index, Refusal("")))
            events.append(TextDelta(index, self._blocked or ""))
            events.append(PartEnded(index))
            events.append(ChoiceFinished(0, FinishReason.CONTENT_FILTER))
        events.append(StreamEnded())
        self._over = True

    def _fail(self, error: ApiError, events: list[Event]) -> None:
        events.append(StreamFailed(error))
        self._over = True


def _loads(frame: bytes) -> Json:
    if frame.count(b"{") + frame.count(b"[") > MAX_DEPTH:
        chunk = read_object(frame)
    else:
        try:
            chunk = orjson.loads(frame)
        except orjson.JSONDecodeError:
            raise DecodeError("a chunk of the stream is not valid JSON", code="invalid_json") from None
        if type(chunk) is not dict:
            raise wrong_type("a chunk", "an object", chunk)
    return with_exact_numbers(chunk, frame) if b'"functionCall"' in frame else chunk


def _unreadable(error: DecodeError) -> ApiError:
    return ApiError(
        ErrorKind.BAD_UPSTREAM,
        f"the upstream's stream cannot be read: {error.message}",
        Fault.UPSTREAM,
        code=error.code,
    )
