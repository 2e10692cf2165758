"""The event stream of ``converse-stream``, as a client gets it."""

from dataclasses import replace

from adapters.bedrock_converse.answer import encode_model_fields, encode_reason
from adapters.bedrock_converse.errors import encode_stream_error
from adapters.bedrock_converse.extra import kept_in, with_kept
from adapters.bedrock_converse.fields import NAME
from adapters.bedrock_converse.outgoing import Block, TextBlock, event_frame, exception_frame, open_block
from adapters.bedrock_converse.response import CHOICE_FIELDS, answer_losses, other_choices_losses
from adapters.bedrock_converse.usage import encode_usage
from adapters.contract import Context
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
from adapters.model.fold import Collector, InOrder, explode
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Part
from adapters.model.response import Choice, Response, Usage

_PART_EVENTS = (TextDelta, ReasoningDelta, SignatureDelta, ArgumentsDelta, CitationAdded, PartEnded)


class ConverseStreamEncoder:
    """Writes the stream of the first choice, one block at a time. What cannot be said is known at its end."""

    __slots__ = (
        "_block",
        "_context",
        "_count",
        "_finish",
        "_logprobs",
        "_numbers",
        "_open",
        "_order",
        "_others",
        "_over",
        "_parts",
        "_skipped",
        "_started",
        "_text",
        "_usage",
        "losses",
    )

    breaks_off = False

    def __init__(self, context: Context) -> None:
        self.losses: list[Loss] = []
        self._context = context
        self._order = InOrder()
        self._block: Block | None = None
        self._text: TextBlock | None = None  # the open block and its part, if it is a text
        self._open = -1
        self._count = 0
        self._parts: list[Part] = []
        self._others = Collector()  # other choices, of which the first is written if there is no number 0
        self._numbers: set[int] = set()
        self._skipped: set[int] = set()
        self._started = StreamStarted()
        self._finish: ChoiceFinished | None = None
        self._logprobs: LogprobsReported | None = None
        self._usage: Usage | None = None
        self._over = False

    def encode(self, event: Event) -> bytes:
        """The frames for this event. Raises ``EncodeError`` for an answer that is none: paused or failed."""
        if type(event) is TextDelta and event.index == self._open and self._text is not None:
            return self._text.text(event.text)
        if self._over:
            return b""
        match event:
            case StreamFailed():
                self._over = True
                return exception_frame(*encode_stream_error(event.error))
            case StreamStarted():
                self._started = event
                return event_frame("messageStart", with_kept({"role": "assistant"}, kept_in(event.extra)))
            case UsageReported():
                self._usage = event.usage
                return b""
            case ForeignEvent():
                return self._foreign(event)
            case StreamEnded():
                return self._end()
            case _ if self._is_of_another_choice(event):
                self._others.add(event)
                return b""
            case _:
                return b"".join([self._write(ready) for ready in self._order.feed(event)])

    def keepalive(self) -> bytes:
        """Nothing: there is no frame that every SDK passes over; several hand unknown events to their callers."""
        return b""

    def _is_of_another_choice(self, event: Event) -> bool:
        if isinstance(event, _PART_EVENTS):
            return event.index in self._skipped
        number = event.choice if isinstance(event, PartStarted | ChoiceFinished | LogprobsReported) else 0
        self._numbers.add(number)
        if number and isinstance(event, PartStarted):
            self._skipped.add(event.index)
        return number != 0

    def _write(self, event: Event) -> bytes:
        match event:
            case PartStarted():
                return self._start(event)
            case PartEnded():
                block, self._block, self._text, self._open = self._block, None, None, -1
                return b"" if block is None else block.end()
            case ChoiceFinished():
                self._finish = event
                return self._stop(event)
            case LogprobsReported():
                self._logprobs = event
            case _ if self._block is not None:
                return self._block.add(event)
            case _:
                pass
        return b""

    def _start(self, event: PartStarted) -> bytes:
        path = f"choices[0].parts[{len(self._parts)}]"
        self._parts.append(event.part)
        self._block, frames = open_block(event.part, path, self.losses, self._take_number)
        if isinstance(self._block, TextBlock):
            self._text, self._open = self._block, event.index
        return frames

    def _take_number(self) -> int:
        self._count += 1
        return self._count - 1

    def _choice(self, finish: ChoiceFinished) -> Choice:
        logprobs = None if self._logprobs is None else self._logprobs.logprobs
        return Choice(0, tuple(self._parts), finish.reason, finish.stop_sequence, logprobs, finish.extra)

    def _stop(self, finish: ChoiceFinished) -> bytes:
        choice = self._choice(finish)
        beside = {name: value for name, value in kept_in(finish.extra).items() if name not in CHOICE_FIELDS}
        written = {
            "stopReason": encode_reason(choice, "choices[0]", self.losses),
            **encode_model_fields(choice, {"delta": {"stop_sequence": finish.stop_sequence}}),
        }
        return event_frame("messageStop", with_kept(written, beside))

    def _foreign(self, event: ForeignEvent) -> bytes:
        payload = event.payload
        name, value = payload.get("event"), payload.get("data")
        if event.dialect == NAME and isinstance(name, str) and isinstance(value, dict):
            return event_frame(name, value)
        if not any(loss.field == "events" for loss in self.losses):
            self.losses.append(Loss("events", LossReason.FOREIGN, f"only {event.dialect} understands it"))
        return b""

    def _end(self) -> bytes:
        self._over = True
        frames = b"" if 0 in self._numbers else self._only_other_choice()
        frames += event_frame("metadata", encode_usage(self._usage, self.losses))
        self._tell_losses()
        return frames

    def _only_other_choice(self) -> bytes:
        """The choice with the lowest number, which was not known to be the first."""
        response = self._others.response()
        first = replace(response.choices[0], index=0)
        self.losses.append(Loss("choices[0].index", LossReason.APPROXIMATED, "an answer holds one choice"))
        self._numbers.discard(response.choices[0].index)
        events = [*explode(Response((first,)))][1:-1]
        return b"".join([self._write(event) for event in events])

    def _tell_losses(self) -> None:
        """What concerns the answer as a whole, and what of its parts only other dialects understand."""
        assert self._finish is not None
        choice = self._choice(self._finish)
        started = self._started
        response = Response((choice,), model=started.model, usage=self._usage, extra=started.extra)
        self.losses += foreign_losses(response, NAME) + answer_losses(response, self._context)
        self.losses += other_choices_losses(len(self._numbers - {0}))
        for name in ("message", "output"):
            if kept_in(choice.extra).get(name) is not None:
                path = f"choices[0].extra.{NAME}.{name}"
                self.losses.append(Loss(path, LossReason.UNSUPPORTED, "a stream has no place for it"))
        once = {loss.field: loss for loss in reversed(self.losses)}
        self.losses[:] = [loss for loss in self.losses if once.get(loss.field) is loss]
