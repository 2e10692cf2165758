"""One candidate of a streamed answer, put together from its chunks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from adapters.contract import Context
from adapters.gemini.answer import AnswerParts
from adapters.gemini.fields import CANDIDATE_FIELDS, NAME
from adapters.gemini.finish import decode_finish_reason
from adapters.gemini.logprobs import decode_logprobs
from adapters.gemini.parts import SIGNATURE
from adapters.gemini.response import candidate_extra, candidate_parts, is_empty
from adapters.model.event import (
    ArgumentsDelta,
    ChoiceFinished,
    Event,
    LogprobsReported,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
)
from adapters.model.message import Json, Part, Reasoning, Text, ToolCall
from adapters.wire.fields import wrong_type

_TEXT_FIELDS = frozenset({"text", "thought", SIGNATURE})


class CandidateDeltas:
    """Turns the chunks of one candidate into events. ``word`` is its finish reason, if the last chunk left it there.

    Text goes on from chunk to chunk until something else comes; two texts in one chunk are two parts.
    """

    __slots__ = ("_kind", "_left", "_logprobs_left", "_next_index", "_number", "_open", "_reader", "word")

    def __init__(self, number: int, context: Context, next_index: Callable[[], int]) -> None:
        self.word: str | None = None
        self._number = number
        self._next_index = next_index
        self._reader = AnswerParts(context, number)
        self._open = -1
        self._kind: type[Part] | None = None
        self._left: Json = {}
        self._logprobs_left: Json = {}

    def add(self, candidate: Json, path: str, events: list[Event]) -> None:
        """Take the candidate's share of a chunk."""
        before = len(events)
        parts = candidate_parts(candidate, path)
        previous: type[Part] | None = None
        for place, part in enumerate(parts):
            previous = self._add_part(part, previous, f"{path}.content.parts[{place}]", events)
        word = candidate.get("finishReason")
        if word:
            if type(word) is not str:
                raise wrong_type(f"{path}.finishReason", "a string", word)
            self.word = word
        elif len(events) > before:
            # Tools that Google runs leave a STOP in the middle, after which the answer goes on.
            self.word = None
        if not candidate.keys() <= CANDIDATE_FIELDS:
            self._left |= {
                name: item for name, item in candidate.items() if name not in CANDIDATE_FIELDS and not is_empty(item)
            }
        logprobs = candidate.get("logprobsResult")
        if logprobs is not None:
            self._add_logprobs(logprobs, f"{path}.logprobsResult", events)

    def finish(self, events: list[Event]) -> None:
        """End the candidate and its open part."""
        self._close(events)
        reason, raw = decode_finish_reason(self.word, called=self._reader.called)
        extra = candidate_extra(self._left, raw, self._logprobs_left)
        events.append(ChoiceFinished(self._number, reason, None, extra))

    def _add_part(self, part: Any, previous: type[Part] | None, path: str, events: list[Event]) -> type[Part] | None:
        """Take one part after one of kind ``previous`` in the same chunk; gives back its own kind if it is text."""
        if type(part) is not dict:
            raise wrong_type(path, "an object", part)
        text = part.get("text")
        if type(text) is str and len(part) == 1:
            if text:
                events.append(TextDelta(self._part(Text, previous, events), text))
            return Text
        thought, signature = part.get("thought"), part.get(SIGNATURE)
        if type(text) is not str or not part.keys() <= _TEXT_FIELDS or not _are_flags(thought, signature):
            self._close(events)
            for whole in self._reader.decode(part, path):
                self._add_whole(whole, events)
            return None
        if not thought:
            if text:
                events.append(TextDelta(self._part(Text, previous, events), text))
            if signature:
                self._close(events)
                self._add_whole(Reasoning("", signature, origin=NAME), events)
            return Text
        if text or signature:
            index = self._part(Reasoning, previous, events)
            if text:
                events.append(ReasoningDelta(index, text))
            if signature:
                events.append(SignatureDelta(index, signature))
                self._close(events)
        return Reasoning

    def _part(self, kind: type[Text] | type[Reasoning], previous: type[Part] | None, events: list[Event]) -> int:
        """The open part of this kind, a new one if need be."""
        if self._open >= 0 and self._kind is kind and previous is not kind:
            return self._open
        self._close(events)
        self._open, self._kind = self._next_index(), kind
        part = Reasoning("", origin=NAME) if kind is Reasoning else Text("")
        events.append(PartStarted(self._open, part, self._number))
        return self._open

    def _close(self, events: list[Event]) -> None:
        if self._open >= 0:
            events.append(PartEnded(self._open))
            self._open = -1

    def _add_whole(self, part: Part, events: list[Event]) -> None:
        index = self._next_index()
        match part:
            case ToolCall():
                events.append(PartStarted(index, replace(part, arguments=""), self._number))
                events.append(ArgumentsDelta(index, part.arguments))
            case Text():
                events.append(PartStarted(index, replace(part, text=""), self._number))
                events.append(TextDelta(index, part.text))
            case Reasoning():
                events.append(PartStarted(index, replace(part, text="", signature=None), self._number))
                if part.text:
                    events.append(ReasoningDelta(index, part.text))
                if part.signature is not None:
                    events.append(SignatureDelta(index, part.signature))
            case _:
                events.append(PartStarted(index, part, self._number))
        events.append(PartEnded(index))

    def _add_logprobs(self, value: Any, path: str, events: list[Event]) -> None:
        logprobs, left = decode_logprobs(value, path)
        if logprobs is not None:
            events.append(LogprobsReported(self._number, logprobs))
        self._logprobs_left |= left


def _are_flags(thought: Any, signature: Any) -> bool:
    return (thought is None or type(thought) is bool) and (signature is None or type(signature) is str)
