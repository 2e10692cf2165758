"""From events to a whole answer and back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from adapters.model.event import (
    ArgumentsDelta,
    ChoiceFinished,
    CitationAdded,
    Event,
    ForeignEvent,
    LogprobsReported,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    SignatureDelta,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.message import Json, Part, Reasoning, Refusal, Text, ToolCall
from adapters.model.response import Choice, FinishReason, Response, Usage


@dataclass(slots=True)
class _OpenPart:
    part: Part
    choice: int
    pieces: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)
    citations: list[Json] = field(default_factory=list)

    def whole(self) -> Part:
        text = "".join(self.pieces)
        part = self.part
        match part:
            case Text():
                return replace(part, text=part.text + text, citations=part.citations + tuple(self.citations))
            case Refusal():
                return replace(part, text=part.text + text)
            case Reasoning():
                signature = (part.signature or "") + "".join(self.signature)
                return replace(part, text=part.text + text, signature=signature or None)
            case ToolCall():
                return replace(part, arguments=(part.arguments + text) or "{}")
            case _:
                return part


class Collector:
    """Builds the answer while its events pass by; usable at any moment, also for a stream that was cut."""

    def __init__(self) -> None:
        self.started = StreamStarted()
        self.usage: Usage | None = None
        self._parts: dict[int, _OpenPart] = {}
        self._finished: dict[int, ChoiceFinished] = {}
        self._logprobs: dict[int, Json] = {}

    def add(self, event: Event) -> None:
        """Take the next event of a legal stream."""
        match event:
            case TextDelta() | ReasoningDelta():
                self._parts[event.index].pieces.append(event.text)
            case ArgumentsDelta():
                self._parts[event.index].pieces.append(event.arguments)
            case SignatureDelta():
                self._parts[event.index].signature.append(event.signature)
            case CitationAdded():
                self._parts[event.index].citations.append(event.citation)
            case PartStarted():
                self._parts[event.index] = _OpenPart(event.part, event.choice)
            case ChoiceFinished():
                self._finished[event.choice] = event
            case UsageReported():
                self.usage = event.usage
            case LogprobsReported():
                self._add_logprobs(event)
            case StreamStarted():
                self.started = event
            case PartEnded() | ForeignEvent() | StreamEnded() | StreamFailed():
                pass

    def _add_logprobs(self, event: LogprobsReported) -> None:
        kept = self._logprobs.setdefault(event.choice, {})
        for name, entries in event.logprobs.items():
            if isinstance(entries, list):
                kept[name] = [*(kept.get(name) or []), *entries]
            else:
                kept.setdefault(name, entries)

    def response(self) -> Response:
        """The answer so far. A choice that has not finished counts as ``ERROR``."""
        numbers = sorted({part.choice for part in self._parts.values()} | set(self._finished))
        choices = tuple(self._choice(number) for number in numbers)
        start = self.started
        return Response(choices, start.id, start.model, start.created, self.usage, start.extra)

    def _choice(self, number: int) -> Choice:
        parts = tuple(entry.whole() for entry in self._parts.values() if entry.choice == number)
        end = self._finished.get(number) or ChoiceFinished(number, FinishReason.ERROR)
        return Choice(number, parts, end.reason, end.stop_sequence, self._logprobs.get(number), end.extra)


def collect(events: Iterable[Event]) -> Response:
    """The whole answer of a finished stream. Raises ``ValueError`` if the stream failed or has no end."""
    collector = Collector()
    last: Event | None = None
    for last in events:
        collector.add(last)
    if not isinstance(last, StreamEnded):
        raise ValueError(f"the stream is not complete: its last event is {last!r}")
    return collector.response()


def explode(response: Response) -> Iterator[Event]:
    """The events of a stream that would have given this answer, each part in one delta."""
    yield StreamStarted(response.id, response.model, response.created, response.extra)
    index = 0
    for choice in response.choices:
        for part in choice.parts:
            yield from _explode_part(index, part, choice.index)
            index += 1
        if choice.logprobs is not None:
            yield LogprobsReported(choice.index, choice.logprobs)
        yield ChoiceFinished(choice.index, choice.finish_reason, choice.stop_sequence, choice.extra)
    if response.usage is not None:
        yield UsageReported(response.usage)
    yield StreamEnded()


def _explode_part(index: int, part: Part, choice: int) -> Iterator[Event]:
    match part:
        case Text():
            yield PartStarted(index, replace(part, text="", citations=()), choice)
            if part.text:
                yield TextDelta(index, part.text)
            yield from (CitationAdded(index, citation) for citation in part.citations)
        case Refusal():
            yield PartStarted(index, replace(part, text=""), choice)
            yield TextDelta(index, part.text)
        case Reasoning():
            yield PartStarted(index, replace(part, text="", signature=None), choice)
            if part.text:
                yield ReasoningDelta(index, part.text)
            if part.signature is not None:
                yield SignatureDelta(index, part.signature)
        case ToolCall():
            yield PartStarted(index, replace(part, arguments=""), choice)
            yield ArgumentsDelta(index, part.arguments)
        case _:
            yield PartStarted(index, part, choice)
    yield PartEnded(index)


class InOrder:
    """Reorders a stream so that one part at a time is open, for dialects that cannot interleave parts.

    The part that started first streams on; the others wait until it ends, and then follow whole or as far as they
    have come. Usage, logprobs and foreign events are not held back; a failure goes out at once and drops what waits.
    """

    def __init__(self) -> None:
        self._current: int | None = None
        self._waiting: dict[int, list[Event]] = {}
        self._after: list[Event] = []

    def feed(self, event: Event) -> list[Event]:
        """The events that can go out now."""
        match event:
            case PartStarted():
                if self._current is not None:
                    self._waiting[event.index] = [event]
                    return []
                self._current = event.index
            case TextDelta() | ReasoningDelta() | SignatureDelta() | ArgumentsDelta() | CitationAdded() | PartEnded():
                if event.index != self._current:
                    self._waiting[event.index].append(event)
                    return []
                if isinstance(event, PartEnded):
                    return [event, *self._advance()]
            case ChoiceFinished() if self._current is not None:
                self._after.append(event)
                return []
            case _:
                pass
        return [event]

    def _advance(self) -> list[Event]:
        ready: list[Event] = []
        self._current = None
        while self._waiting and self._current is None:
            index = next(iter(self._waiting))
            events = self._waiting.pop(index)
            ready += events
            self._current = None if isinstance(events[-1], PartEnded) else index
        if self._current is None:
            ready += self._after
            self._after = []
        return ready
