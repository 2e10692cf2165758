"""Streamed answers: the text itself and nothing else, ended by the end of the body."""

from dataclasses import replace
from typing import assert_never

from adapters.amarsia.fields import NAME
from adapters.amarsia.losses import (
    JOINED,
    LOGPROBS_LOST,
    answer_part_losses,
    demand_sayable,
    finish_losses,
    further_choice_loss,
    usage_losses,
)
from adapters.contract import Context, DecodeError
from adapters.model.error import ApiError, ErrorKind, Fault
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
from adapters.model.fold import InOrder
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, Opaque, Part, Refusal, Text
from adapters.model.response import FinishReason
from adapters.wire.text import TextDecoder

INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the upstream's stream ended before its end mark",
    Fault.UPSTREAM,
    code="stream_interrupted",
)


class AmarsiaStreamDecoder:
    """Reads plain text. The end of the body counts as the end of the answer only if it came in order (A32)."""

    __slots__ = ("_over", "_started", "_text")

    def __init__(self, context: Context) -> None:
        self._text = TextDecoder()
        self._started = False
        self._over = False

    @property
    def pending(self) -> int:
        return self._text.pending

    def feed(self, data: bytes) -> list[Event]:
        if self._over:
            return []
        try:
            text = self._text.feed(data)
        except DecodeError as error:
            self._over = True
            good = self._text_before_the_fault(data)
            return [*self._told(good), StreamFailed(replace(INTERRUPTED, message=error.message, code=error.code))]
        return self._told(text)

    def close(self, *, clean: bool) -> list[Event]:
        if self._over:
            return []
        self._over = True
        if not clean:
            return [StreamFailed(INTERRUPTED)]
        try:
            self._text.finish()
        except DecodeError as error:
            return [StreamFailed(replace(INTERRUPTED, message=error.message))]
        begin: list[Event] = [PartEnded(0)] if self._started else [StreamStarted()]
        return [*begin, ChoiceFinished(0, FinishReason.STOP), StreamEnded()]

    def _told(self, text: str) -> list[Event]:
        if not text:
            return []
        if self._started:
            return [TextDelta(0, text)]
        self._started = True
        return [StreamStarted(), PartStarted(0, Text("")), TextDelta(0, text)]

    def _text_before_the_fault(self, data: bytes) -> str:
        """What comes out of smaller and smaller reads up to the bad byte: however it was split, the text is the same.

        A read that is refused leaves the decoder as it was.
        """
        pieces: list[str] = []
        place, step = 0, len(data)
        while step:
            try:
                pieces.append(self._text.feed(data[place : place + step]))
                place += step
            except DecodeError:
                step //= 2
        return "".join(pieces)


class AmarsiaStreamEncoder:
    """Writes the text of the first choice; the client learns of a failure by the broken connection alone (A7)."""

    __slots__ = ("_kinds", "_model", "_order", "_paths", "_said", "losses")

    breaks_off = True

    def __init__(self, context: Context) -> None:
        self.losses: list[Loss] = []
        self._model = context.request.model
        self._order = InOrder()
        self._paths: dict[int, str] = {}
        self._kinds: list[type[Part]] = []
        self._said = False

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta() | PartEnded():
                return self._write(event) if event.index in self._paths else b""
            case PartStarted():
                self._start_part(event)
            case ChoiceFinished():
                self._finish_choice(event)
            case StreamStarted():
                if event.model not in (None, self._model):  # else the client knows it: it asked for it
                    self._report(Loss("model", LossReason.UNSUPPORTED, "a stream holds text alone"))
                self._report_extra(event.extra, "")
            case CitationAdded():
                self._report_citation(event)
            case LogprobsReported():
                self._report(LOGPROBS_LOST if event.choice == 0 else further_choice_loss(event.choice))
            case UsageReported():
                self._report(*usage_losses(event.usage))
            case ForeignEvent():
                if event.dialect != NAME:
                    self._report(Loss("events", LossReason.FOREIGN, f"only {event.dialect} understands them"))
            case ReasoningDelta() | SignatureDelta() | ArgumentsDelta() | StreamEnded() | StreamFailed():
                pass
            case _:
                assert_never(event)
        return b""

    def keepalive(self) -> bytes:
        return b""  # every byte would be taken for a part of the answer

    def _write(self, event: TextDelta | PartEnded) -> bytes:
        """Parts that overlap are told one after the other, as in a whole answer."""
        text = "".join(ready.text for ready in self._order.feed(event) if isinstance(ready, TextDelta))
        if text:
            self._said = True
        return text.encode("utf-8", "replace")

    def _start_part(self, event: PartStarted) -> None:
        if event.choice != 0:
            self._report(further_choice_loss(event.choice))
            return
        part = event.part
        path = f"choices[0].parts[{len(self._kinds)}]"
        self._kinds.append(type(part))
        self._report(*answer_part_losses(part, path))
        if isinstance(part, Opaque):
            if part.dialect != NAME:
                self._report(Loss(path, LossReason.FOREIGN, f"only {part.dialect} understands it"))
            return
        self._report_extra(part.extra, f"{path}.")
        if isinstance(part, Text | Refusal):
            if self._paths:
                self._report(JOINED)
            self._paths[event.index] = path
            self._order.feed(event)

    def _finish_choice(self, event: ChoiceFinished) -> None:
        if event.choice != 0:
            self._report(further_choice_loss(event.choice))
            return
        demand_sayable(event.reason, self._kinds, said=self._said)
        if self._paths and not self._said:
            self._report(JOINED)
        self._report(*finish_losses(event.reason, event.stop_sequence))
        self._report_extra(event.extra, "choices[0].")

    def _report_citation(self, event: CitationAdded) -> None:
        path = self._paths.get(event.index)
        if path is not None:
            self._report(Loss(f"{path}.citations", LossReason.UNSUPPORTED, "a stream holds text alone"))

    def _report_extra(self, extra: Extra | None, prefix: str) -> None:
        for owner, kept in (extra or {}).items():
            reason = LossReason.UNSUPPORTED if owner == NAME else LossReason.FOREIGN
            for name in kept:
                self._report(Loss(f"{prefix}extra.{owner}.{name}", reason))

    def _report(self, *losses: Loss) -> None:
        known = {loss.field for loss in self.losses}
        self.losses += [loss for loss in losses if loss.field not in known]
