"""Stream events and the grammar they obey.

``index`` is unique in the whole stream and names a part; parts may overlap. Events are plain slotted
objects, made once per chunk on the hot path, and never changed after they were handed on.
"""

from dataclasses import dataclass, field

from adapters.model.error import ApiError
from adapters.model.message import Extra, Json, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from adapters.model.response import FinishReason, Usage


@dataclass(slots=True)
class StreamStarted:
    id: str | None = None
    model: str | None = None
    created: int | None = None
    extra: Extra | None = None


@dataclass(slots=True)
class PartStarted:
    """``part`` is empty (``Text("")``), a ``ToolCall`` with id and name only, or a whole ``Media`` or ``Opaque``."""

    index: int
    part: Part
    choice: int = 0


@dataclass(slots=True)
class TextDelta:
    """More text of a ``Text`` or ``Refusal`` part."""

    index: int
    text: str


@dataclass(slots=True)
class ReasoningDelta:
    index: int
    text: str


@dataclass(slots=True)
class SignatureDelta:
    index: int
    signature: str


@dataclass(slots=True)
class ArgumentsDelta:
    """More of a call's arguments, as JSON text. No delta at all collects to ``{}``."""

    index: int
    arguments: str


@dataclass(slots=True)
class CitationAdded:
    index: int
    citation: Json


@dataclass(slots=True)
class PartEnded:
    index: int


@dataclass(slots=True)
class LogprobsReported:
    """Log probabilities of the tokens just sent, in OpenAI's shape; the lists of one choice add up."""

    choice: int
    logprobs: Json


@dataclass(slots=True)
class ChoiceFinished:
    choice: int
    reason: FinishReason
    stop_sequence: str | None = None
    extra: Extra | None = None


@dataclass(slots=True)
class UsageReported:
    """Running totals; the last one wins."""

    usage: Usage


@dataclass(slots=True)
class ForeignEvent:
    """Something only ``dialect`` understands, kept for it; every other encoder reports it as a loss."""

    dialect: str
    payload: Json


@dataclass(slots=True)
class StreamEnded:
    """The answer is complete. Exactly one of ``StreamEnded`` and ``StreamFailed`` comes, and it comes last."""


@dataclass(slots=True)
class StreamFailed:
    error: ApiError


Event = (
    StreamStarted
    | PartStarted
    | TextDelta
    | ReasoningDelta
    | SignatureDelta
    | ArgumentsDelta
    | CitationAdded
    | PartEnded
    | LogprobsReported
    | ChoiceFinished
    | UsageReported
    | ForeignEvent
    | StreamEnded
    | StreamFailed
)

# Which parts each kind of delta may go to.
DELTA_PARTS: dict[type[Event], tuple[type[Part], ...]] = {
    TextDelta: (Text, Refusal),
    ReasoningDelta: (Reasoning,),
    SignatureDelta: (Reasoning, ToolCall),
    ArgumentsDelta: (ToolCall,),
    CitationAdded: (Text,),
    PartEnded: (Text, Refusal, Reasoning, ToolCall, Media, Opaque),
}


@dataclass(slots=True)
class EventOrder:
    """Checks a stream against the grammar, one event at a time.

    started, then any mix of parts, logprobs, usage and foreign events; each part is opened once, filled only with
    deltas that fit it and closed; a choice is finished once, after its parts; ended only when every part is closed
    and every choice that was opened is finished. A failure may come at any moment, even first. Nothing follows the end.
    """

    _started: bool = False
    _over: bool = False
    _open: dict[int, tuple[int, type[Part]]] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _unfinished: set[int] = field(default_factory=set)
    _finished: set[int] = field(default_factory=set)

    def check(self, event: Event) -> None:
        """Take the next event. Raises ``ValueError`` naming the rule it breaks."""
        self._demand(not self._over, event, "nothing follows the end")
        if isinstance(event, StreamFailed):
            self._over = True
            return
        self._demand(self._started != isinstance(event, StreamStarted), event, "StreamStarted comes once, and first")
        match event:
            case StreamStarted():
                self._started = True
            case PartStarted():
                self._open_part(event)
            case ChoiceFinished():
                self._finish_choice(event)
            case StreamEnded():
                self._demand(not self._open, event, "all parts are closed before the end")
                self._demand(not self._unfinished, event, "all choices are finished before the end")
                self._demand(bool(self._finished), event, "at least one choice is finished")
                self._over = True
            case LogprobsReported() | UsageReported() | ForeignEvent():
                pass
            case _:
                self._fill_part(event)

    def _open_part(self, event: PartStarted) -> None:
        self._demand(event.index not in self._seen, event, "a part's index is used once")
        self._demand(event.choice not in self._finished, event, "no part starts in a finished choice")
        self._seen.add(event.index)
        self._unfinished.add(event.choice)
        self._open[event.index] = (event.choice, type(event.part))

    def _fill_part(
        self, event: TextDelta | ReasoningDelta | SignatureDelta | ArgumentsDelta | CitationAdded | PartEnded
    ) -> None:
        self._demand(event.index in self._open, event, "the part is open")
        self._demand(self._open[event.index][1] in DELTA_PARTS[type(event)], event, "the delta fits the part")
        if isinstance(event, PartEnded):
            del self._open[event.index]

    def _finish_choice(self, event: ChoiceFinished) -> None:
        self._demand(event.choice not in self._finished, event, "a choice is finished once")
        still_open = any(choice == event.choice for choice, _ in self._open.values())
        self._demand(not still_open, event, "a choice's parts are closed before it is finished")
        self._unfinished.discard(event.choice)
        self._finished.add(event.choice)

    @staticmethod
    def _demand(condition: bool, event: Event, rule: str) -> None:
        if not condition:
            raise ValueError(f"{type(event).__name__} breaks the rule: {rule}")
