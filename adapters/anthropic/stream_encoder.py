"""Streamed answers, as they go to a client."""

import re
from dataclasses import replace

import orjson

from adapters.anthropic.answer import refusal_losses
from adapters.anthropic.block_encoder import END_OF_DELTA, NOBODY, BlockEncoder, OpenPart, frame
from adapters.anthropic.errors import encode_error_body
from adapters.anthropic.extras import own, with_kept
from adapters.anthropic.fields import ANSWER_ID_PREFIX, NAME
from adapters.anthropic.finish import RAW, Finish, WireFinish, encode_finish
from adapters.anthropic.response import LOGPROBS_LOST, MODEL_PUT_IN, further_choices
from adapters.anthropic.usage import encode_usage, uncounted
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
from adapters.model.fold import InOrder
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Extra, Json, Part, Refusal, ToolCall
from adapters.model.response import Choice, FinishReason, Response, Usage
from adapters.wire.sse import one_line

_PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_EVENT_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
_TOTALS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class AnthropicStreamEncoder:
    """Writes one block at a time; the counts and the reason come at the very end.

    ``message_start`` waits for the first event that is not about counts, so that it can tell them (USE-09).
    """

    breaks_off = False

    def __init__(self, context: Context) -> None:
        self.losses: list[Loss] = []
        self._context = context
        self._order = InOrder()
        self._blocks = BlockEncoder(self._report)
        self._waiting_start: StreamStarted | None = None
        self._usage: Usage | None = None
        self._told_usage: Json = {}
        self._called = False
        self._finish: tuple[WireFinish, Extra | None] | None = None

    def encode(self, event: Event) -> bytes:
        """The bytes for this event. Raises ``EncodeError`` for an answer that broke off with an error."""
        if type(event) is TextDelta and event.index == self._blocks.flowing:
            if not event.text:
                return b""
            return self._blocks.flowing_head + one_line(orjson.dumps(event.text)) + END_OF_DELTA
        match event:
            case StreamStarted():
                self._waiting_start = event
                return b""
            case UsageReported():
                self._usage = event.usage
                return b""
            case StreamFailed():
                return frame("error", encode_error_body(event.error))  # and nothing after (ERR-02)
            case _:
                return self._start() + self._encode(event)

    def keepalive(self) -> bytes:
        """The API's own: there may be any number of them, anywhere."""
        return _PING

    def _encode(self, event: Event) -> bytes:
        match event:
            case PartStarted():
                return self._add_part(event)
            case TextDelta() | ReasoningDelta() | SignatureDelta() | ArgumentsDelta() | CitationAdded() | PartEnded():
                return self._write(event) if event.index in self._blocks.parts else b""
            case ChoiceFinished():
                self._note_finish(event)
            case LogprobsReported():
                self._report(LOGPROBS_LOST if event.choice == 0 else further_choices(event.choice)[0])
            case ForeignEvent():
                return self._foreign(event)
            case StreamEnded():
                return self._end()
            case _:
                raise AssertionError(event)
        return b""

    def _add_part(self, event: PartStarted) -> bytes:
        if event.choice != 0:
            self._report(*further_choices(event.choice))
            return b""
        part, place = event.part, len(self._blocks.parts)
        path = f"choices[0].parts[{place}]"
        self._blocks.parts[event.index] = OpenPart(part, path, place)
        self._report_foreign(_with_choice(part), path)
        self._called = self._called or isinstance(part, ToolCall)
        return self._write(event)

    def _write(self, event: Event) -> bytes:
        return b"".join(map(self._blocks.write, self._order.feed(event)))

    # --- the answer as a whole

    def _start(self) -> bytes:
        event, self._waiting_start = self._waiting_start, None
        if event is None:
            return b""
        if event.model is None:
            self._report(MODEL_PUT_IN)
        self._report_foreign(Response((), extra=event.extra))
        self._told_usage = encode_usage(self._usage)[0]
        message: Json = {
            "id": ANSWER_ID_PREFIX + self._context.request_id,
            "type": "message",
            "role": "assistant",
            "model": event.model or self._context.request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._told_usage,
        }
        return frame("message_start", {"type": "message_start", "message": with_kept(message, own(event.extra))})

    def _note_finish(self, event: ChoiceFinished) -> None:
        if event.choice != 0:
            self._report(*further_choices(event.choice))
            return
        refusals = [part for part in self._blocks.refusals if part.said]
        self._report(*refusal_losses([part.place for part in refusals], self._blocks.last_place))
        said = "".join(piece for part in refusals for piece in part.said)
        finish = Finish(event.reason, event.stop_sequence, Refusal(said) if said else None, {})
        wire = encode_finish(finish, event.extra, called=self._called)
        if wire.changed:
            self._report(Loss("choices[0].finish_reason", LossReason.APPROXIMATED, wire.changed))
        self._report_foreign(_with_choice(extra=event.extra))
        self._finish = (wire, event.extra)

    def _end(self) -> bytes:
        """``message_delta`` holds reason and counts, whichever came first, and closes the answer (USE-14)."""
        if self._finish is None:  # the first choice said nothing at all
            self._note_finish(ChoiceFinished(0, FinishReason.OTHER))
        assert self._finish is not None
        finish, extra = self._finish
        kept = {name: value for name, value in own(extra).items() if name not in (RAW, "stop_details")}
        delta = finish.fields
        if "container" in kept:
            delta = {**delta, "container": kept.pop("container")}
        event = {"type": "message_delta", "delta": delta, "usage": self._final_usage()}
        return frame("message_delta", with_kept(event, kept)) + frame("message_stop", {"type": "message_stop"})

    def _final_usage(self) -> Json:
        """The totals, and what else was not told at the start."""
        usage, losses = encode_usage(self._usage)
        if self._usage is not None:
            foreign = foreign_losses(Response((), usage=self._usage), NAME)
            self._report(*uncounted(self._usage, foreign), *losses)
        told = self._told_usage
        return {name: value for name, value in usage.items() if name in _TOTALS or value != told.get(name)}

    def _foreign(self, event: ForeignEvent) -> bytes:
        if event.dialect != NAME:
            self._report(Loss("events", LossReason.FOREIGN, f"only {event.dialect} understands some of its events"))
            return b""
        payload = event.payload
        if payload.get("type") == "content_block_delta":  # its index is that of a part, as the decoder has it
            part = self._blocks.parts.get(payload["index"])
            if part is None or part.number == NOBODY:
                return b""
            payload = payload | {"index": part.number}
        kind = payload.get("type")
        return frame(kind, payload) if isinstance(kind, str) and _EVENT_NAME.fullmatch(kind) else b""

    # --- reporting

    def _report_foreign(self, root: Response, path: str = "") -> None:
        """Reports what only others understand; ``path`` is where the one part of ``root`` really stands."""
        for loss in foreign_losses(root, NAME):
            below = loss.field.removeprefix(_ONLY_PART)
            self._report(replace(loss, field=path + below) if path else loss)

    def _report(self, *losses: Loss) -> None:
        known = {loss.field for loss in self.losses}
        self.losses += [loss for loss in losses if loss.field not in known]


_ONLY_PART = "choices[0].parts[0]"


def _with_choice(part: Part | None = None, extra: Extra | None = None) -> Response:
    return Response((Choice(0, () if part is None else (part,), FinishReason.STOP, extra=extra),))
