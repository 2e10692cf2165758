"""From a complete answer to the batches of events that stream it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice, zip_longest

from adapters.model.event import (
    ArgumentsDelta,
    ChoiceFinished,
    Event,
    LogprobsReported,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    StreamEnded,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.message import Json, Part, Reasoning, Text, ToolCall
from adapters.model.response import Choice, Response
from proxy.demo.words import words

FRAGMENT = 8
"""Characters of a call's arguments in one delta: they end anywhere, as a provider's do."""


def batches(response: Response) -> Iterator[list[Event]]:
    """The start, then word by word (all choices side by side), then usage and the end."""
    yield [StreamStarted(response.id, response.model, response.created, response.extra)]
    indexes = count()
    lanes = [_choice_batches(choice, indexes) for choice in response.choices]
    for row in zip_longest(*lanes, fillvalue=[]):
        yield [event for batch in row for event in batch]
    ending: list[Event] = [StreamEnded()]
    yield [UsageReported(response.usage), *ending] if response.usage is not None else ending


def _choice_batches(choice: Choice, indexes: Iterator[int]) -> Iterator[list[Event]]:
    entries: Iterator[Json] = iter((choice.logprobs or {}).get("content", ()))
    waiting: list[Event] = []
    for part in choice.parts:
        index = next(indexes)
        waiting.append(PartStarted(index, _empty(part), choice.index))
        for delta, pieces in _deltas(index, part):
            waiting.append(delta)
            reported = list(islice(entries, pieces))
            if reported:
                waiting.append(LogprobsReported(choice.index, {"content": reported}))
            yield waiting
            waiting = []
        waiting.append(PartEnded(index))
    yield [*waiting, ChoiceFinished(choice.index, choice.finish_reason, choice.stop_sequence, choice.extra)]


def _empty(part: Part) -> Part:
    match part:
        case Text() | Reasoning():
            return replace(part, text="")
        case ToolCall():
            return replace(part, arguments="")
        case _:
            return part


def _deltas(index: int, part: Part) -> Iterator[tuple[Event, int]]:
    """Each delta, and how many of the choice's log probabilities belong to it."""
    match part:
        case Text():
            yield from ((TextDelta(index, "".join(word)), len(word)) for word in words(part.text))
        case Reasoning():
            yield from ((ReasoningDelta(index, "".join(word)), 0) for word in words(part.text))
        case ToolCall():
            starts = range(0, len(part.arguments), FRAGMENT)
            yield from ((ArgumentsDelta(index, part.arguments[start : start + FRAGMENT]), 0) for start in starts)
        case _:
            pass
