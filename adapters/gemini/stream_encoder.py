"""Streamed answers, as a client gets them: each chunk a small answer, the last one with reason and counts."""

from dataclasses import dataclass, field, replace

import orjson

from adapters.contract import Context
from adapters.gemini.answer import (
    encode_answer_part,
    lose_answer_reasoning,
    lose_text,
    own_signature,
)
from adapters.gemini.errors import encode_error_body
from adapters.gemini.extras import encode_extra, foreign_extra, own_extra
from adapters.gemini.fields import NAME
from adapters.gemini.framing import ArrayForm, SseForm
from adapters.gemini.logprobs import encode_logprobs
from adapters.gemini.parts import SIGNATURE
from adapters.gemini.request import wants_array
from adapters.gemini.response import answer_names, blocked_text, encode_finish, is_call
from adapters.gemini.usage import encode_usage
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
from adapters.model.message import Json, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from adapters.model.response import Response, Usage
from adapters.wire.sse import one_line

_PartEvent = TextDelta | ReasoningDelta | SignatureDelta | ArgumentsDelta | CitationAdded | PartEnded


@dataclass(slots=True)
class _Candidate:
    """A choice being written. ``last`` is the kind of the part that a client would add more of the same kind to."""

    number: int
    order: InOrder = field(default_factory=InOrder)
    count: int = 0
    last: type[Part] | None = None
    called: bool = False
    broken: bool = False
    finish: Json = field(default_factory=dict)


@dataclass(slots=True)
class _OpenPart:
    """A part being written. ``live``: its text goes out as it comes; else it waits here until it is complete."""

    part: Part
    path: str
    candidate: _Candidate
    live: bool
    said: bool = False
    pieces: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)


class GeminiStreamEncoder:
    """Writes the stream in the form the client asked for.

    Parts of one candidate go out one after the other: nothing on the wire tells to which part a text belongs.
    """

    __slots__ = (
        "_blocked",
        "_candidates",
        "_context",
        "_form",
        "_live",
        "_names",
        "_over",
        "_parts",
        "_usage",
        "losses",
    )

    breaks_off = False

    def __init__(self, context: Context) -> None:
        self.losses: list[Loss] = []
        self._form: ArrayForm | SseForm = ArrayForm() if wants_array(context.request) else SseForm()
        self._context = context
        self._names: Json = {}
        self._live: dict[int, tuple[bytes, bytes]] = {}  # what stands before and after the text of a delta
        self._parts: dict[int, _OpenPart] = {}
        self._candidates: dict[int, _Candidate] = {}
        self._usage: Usage | None = None
        self._blocked = False
        self._over = False

    def encode(self, event: Event) -> bytes:
        """The bytes for this event. Raises ``EncodeError`` for an answer that is to be continued."""
        if type(event) is TextDelta or type(event) is ReasoningDelta:
            frame = self._live.get(event.index)
            if frame is not None:
                return _framed(event.text, frame)
        if self._over:
            return b""
        match event:
            case PartStarted():
                return self._start_part(event)
            case TextDelta() | ReasoningDelta() | SignatureDelta() | ArgumentsDelta() | CitationAdded() | PartEnded():
                open_part = self._parts.get(event.index)
                return b"" if open_part is None else self._pass_on(open_part.candidate, event)
            case StreamStarted():
                return self._start(event)
            case LogprobsReported():
                return self._report_logprobs(event)
            case ChoiceFinished():
                self._finish_choice(event)
            case UsageReported():
                self._usage = event.usage
            case ForeignEvent():
                return self._foreign(event)
            case StreamEnded():
                return self._end()
            case StreamFailed():
                self._over = True
                self._live.clear()
                return self._form.chunk(encode_error_body(event.error)) + self._form.end
        return b""

    def keepalive(self) -> bytes:
        """A blank line: Google's SDK takes a comment for broken JSON (SSE-10, SSE-11, hard-cases.md)."""
        return b"\n"

    # --- the answer as a whole

    def _start(self, event: StreamStarted) -> bytes:
        self._names = answer_names(event.model, self._context)
        if event.model is None:
            self._say([Loss("model", LossReason.APPROXIMATED, "the model that was asked for is named")])
        self._say(foreign_losses(Response((), extra=event.extra), NAME))
        own = own_extra(event.extra)
        self._blocked = blocked_text(own) is not None
        return self._form.chunk(encode_extra(self._names, event.extra)) if own or self._form.opens else b""

    def _foreign(self, event: ForeignEvent) -> bytes:
        if event.dialect == NAME and "error" not in event.payload:
            return self._form.chunk(event.payload)
        self._say([Loss("events", LossReason.FOREIGN, f"only {event.dialect} understands it")])
        return b""

    def _end(self) -> bytes:
        self._over = True
        finishes = [self._candidates[number].finish for number in sorted(self._candidates)]
        wire: Json = {"candidates": finishes} if finishes else {}
        if self._usage is not None:
            losses = foreign_losses(Response((), usage=self._usage), NAME)
            usage = encode_usage(self._usage, losses)
            self._say(losses)
            if usage is not None:
                wire["usageMetadata"] = usage
        return (self._form.chunk(wire | self._names) if wire else b"") + self._form.end

    def _say(self, losses: list[Loss]) -> None:
        said = {loss.field for loss in self.losses}
        self.losses += [loss for loss in losses if loss.field not in said]

    # --- candidates

    def _candidate(self, number: int) -> _Candidate:
        if number not in self._candidates:
            self._candidates[number] = _Candidate(number)
        return self._candidates[number]

    def _chunk(self, candidate: _Candidate, parts: list[Json]) -> bytes:
        content = {"parts": parts, "role": "model"}
        return self._form.chunk({"candidates": [{"content": content, "index": candidate.number}]} | self._names)

    def _report_logprobs(self, event: LogprobsReported) -> bytes:
        number = self._candidate(event.choice).number
        wire, whole = encode_logprobs(event.logprobs)
        if not whole:
            detail = "tokens and their probabilities are told"
            self._say([Loss(f"choices[{number}].logprobs", LossReason.APPROXIMATED, detail)])
        return self._form.chunk({"candidates": [{"index": number, "logprobsResult": wire}]} | self._names)

    def _finish_choice(self, event: ChoiceFinished) -> None:
        if self._blocked and event.choice not in self._candidates:
            return  # there are no candidates where the prompt was blocked
        candidate = self._candidate(event.choice)
        path = f"choices[{candidate.number}]"
        losses = foreign_extra(f"{path}.", event.extra)
        finish = encode_finish(event, path, losses, called=candidate.called, broken=candidate.broken)
        self._say(losses)
        content = {"parts": [{"text": ""}], "role": "model"}
        candidate.finish = {"content": content, **finish, "index": candidate.number}

    # --- parts

    def _start_part(self, event: PartStarted) -> bytes:
        part = event.part
        if self._blocked and isinstance(part, Refusal):
            return b""  # it was made of the promptFeedback, which is out already
        candidate = self._candidate(event.choice)
        path = f"choices[{candidate.number}].parts[{candidate.count}]"
        candidate.count += 1
        if isinstance(part, Opaque):
            if part.dialect != NAME:
                self._say([Loss(path, LossReason.FOREIGN, f"only {part.dialect} understands it")])
        else:
            self._say(foreign_extra(f"{path}.", part.extra))
        live = isinstance(part, Text | Refusal | Reasoning) and not own_extra(part.extra)
        self._parts[event.index] = _OpenPart(part, path, candidate, live)
        return self._pass_on(candidate, event)

    def _pass_on(self, candidate: _Candidate, event: PartStarted | _PartEvent) -> bytes:
        """Write what can go out now that this has come."""
        return b"".join(self._write(ready) for ready in candidate.order.feed(event))

    def _write(self, event: Event) -> bytes:
        match event:
            case TextDelta() | ReasoningDelta():
                return self._write_text(event.index, event.text)
            case PartStarted(part=Text(text=text) | Refusal(text=text) | Reasoning(text=text)):
                return self._write_text(event.index, text)
            case SignatureDelta():
                self._parts[event.index].signature.append(event.signature)
            case ArgumentsDelta():
                self._parts[event.index].pieces.append(event.arguments)
            case CitationAdded():
                path = f"{self._parts[event.index].path}.citations"
                self._say([Loss(path, LossReason.UNSUPPORTED, "a text carries no citations")])
            case PartEnded():
                return self._end_part(event.index)
            case _:
                pass
        return b""

    def _write_text(self, index: int, text: str) -> bytes:
        """The first text of a part; what follows only needs what stands around it."""
        open_part = self._parts[index]
        if not text:
            return b""
        if index in self._live:
            return _framed(text, self._live[index])
        open_part.said = True
        if not open_part.live:
            open_part.pieces.append(text)
            return b""
        candidate = open_part.candidate
        kind = Reasoning if isinstance(open_part.part, Reasoning) else Text
        thought = {"thought": True} if kind is Reasoning else {}
        parts: list[Json] = [{"text": text, **thought}]
        if candidate.last is kind:
            parts.insert(0, {"text": "", **thought})  # two texts in one chunk are two parts
        candidate.last = kind
        before = self._form.before + b'{"candidates":[{"content":{"parts":[{"text":'
        middle = b'%b}],"role":"model"},"index":%d}],' % (b',"thought":true' if thought else b"", candidate.number)
        after = middle + one_line(orjson.dumps(self._names))[1:] + self._form.after
        self._live[index] = (before, after)
        return self._chunk(candidate, parts)

    def _end_part(self, index: int) -> bytes:
        open_part = self._parts.pop(index)
        self._live.pop(index, None)
        whole = _whole(open_part)
        losses: list[Loss] = []
        encoded: Json | None = None
        if open_part.live and isinstance(whole, Text | Refusal):
            lose_text(whole, open_part.path, losses, said=open_part.said)
        elif open_part.live and isinstance(whole, Reasoning):
            lose_answer_reasoning(whole, open_part.path, losses, said=open_part.said)
            encoded = _encode_signature(whole, said=open_part.said)
        else:
            encoded = encode_answer_part(whole, open_part.path, losses)
        self._say(losses)
        candidate = open_part.candidate
        if encoded is None:
            candidate.broken = candidate.broken or isinstance(whole, ToolCall)
            return b""
        candidate.called = candidate.called or is_call(whole)
        candidate.last = None
        return self._chunk(candidate, [encoded])


def _framed(text: str, frame: tuple[bytes, bytes]) -> bytes:
    return frame[0] + one_line(orjson.dumps(text)) + frame[1] if text else b""


def _whole(open_part: _OpenPart) -> Part:
    part, text = open_part.part, "".join(open_part.pieces)
    match part:
        case ToolCall():
            return replace(part, arguments=part.arguments + text)
        case Reasoning():
            signature = (part.signature or "") + "".join(open_part.signature)
            return replace(part, text=text, signature=signature or None)
        case Text() | Refusal():
            return replace(part, text=text)
        case _:
            return part


def _encode_signature(part: Reasoning, *, said: bool) -> Json | None:
    """The part for the signature of a thought whose text is out, or of one that has none."""
    signature = own_signature(part)
    if signature is None:
        return None
    return {"text": "", "thought": True, SIGNATURE: signature} if said else {"text": "", SIGNATURE: signature}
