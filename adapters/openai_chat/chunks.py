"""Streamed answers, as they go to a client."""

from dataclasses import dataclass

import orjson

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
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, Json, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from adapters.model.response import Usage
from adapters.openai_chat.answer import encode_audio, foreign_origin, is_annotation, unwritten
from adapters.openai_chat.errors import encode_error_body
from adapters.openai_chat.extras import own_extra, unwritten_extra
from adapters.openai_chat.fields import EVERY_CHUNK_FIELDS, NAME
from adapters.openai_chat.finish import encode_finish_reason
from adapters.openai_chat.reasoning import unwritten_reasoning
from adapters.openai_chat.response import answer_id
from adapters.openai_chat.tools import encode_tool_call
from adapters.openai_chat.usage import encode_usage
from adapters.wire.sse import encode_data, one_line

_DONE = b"data: [DONE]\n\n"
_KEEPALIVE = b": keepalive\n\n"

# The field of a delta that takes the text of a part.
_TEXT_FIELDS: dict[type[Part], str] = {Text: "content", Refusal: "refusal", Reasoning: "reasoning_content"}

_DEFERRED = {Media: 1, Opaque: 2}
"""Parts that readers know to be whole only when the choice is finished, in the order in which they then come."""


@dataclass(slots=True)
class _Choice:
    """``current`` is the part a reader takes for open, ``latest`` the highest number of a part it has seen begin."""

    number: int
    head: bytes
    parts: int = 0
    calls: int = 0
    latest: int = -1
    deferred: int = 0
    refused: bool = False
    current: "_Part | None" = None


@dataclass(slots=True)
class _Part:
    """``head`` goes before the JSON text of each of its deltas."""

    choice: _Choice
    kind: type[Part]
    number: int
    path: str
    head: bytes = b""
    written: bool = False
    citations: int = 0


class ChatStreamEncoder:
    """Writes events as chunks; id, time and model are the same in all of them (SSE-19, hard-cases.md)."""

    breaks_off = False

    def __init__(self, context: Context) -> None:
        self.losses: list[Loss] = []
        self._context = context
        self._reported: set[str] = set()
        self._choices: dict[int, _Choice] = {}
        self._parts: dict[int, _Part] = {}
        self._usage: Usage | None = None
        self._base: Json = {}
        self._once: Json = {}  # further fields of the answer as a whole, for the first chunk
        # OpenAI puts the key into every chunk if the client asked for token counts.
        self._no_usage: Json = {"usage": None} if context.request.include_usage else {}
        ending = b',"usage":null}\n\n' if context.request.include_usage else b"}\n\n"
        self._text_tail = b'},"logprobs":null,"finish_reason":null}]' + ending
        self._arguments_tail = b"}}]" + self._text_tail
        self._flowing = -1  # the part that got the last text, and what goes before its next
        self._flowing_head = b""

    def encode(self, event: Event) -> bytes:
        """The chunks for this event. Raises ``EncodeError`` for an answer that ended in a way there is no word for."""
        if type(event) is TextDelta:
            if event.index == self._flowing and event.text:
                return self._flowing_head + one_line(orjson.dumps(event.text)) + self._text_tail
            return self._text(self._parts[event.index], event.index, event.text)
        if type(event) is ArgumentsDelta:
            return self._arguments(self._parts[event.index], event.arguments)
        return self._encode(event)

    def keepalive(self) -> bytes:
        """A comment. It harms no client: one that takes a comment for an event wants an ``id`` first (R12)."""
        return _KEEPALIVE

    def _encode(self, event: Event) -> bytes:
        match event:
            case ReasoningDelta():
                return self._text(self._parts[event.index], event.index, event.text)
            case PartStarted():
                return self._start_part(event)
            case PartEnded():
                return self._end_part(self._parts.pop(event.index))
            case CitationAdded():
                return self._citation(self._parts[event.index], event.citation)
            case SignatureDelta():
                return self._signature(self._parts[event.index])
            case LogprobsReported():
                opening = self._opening(event.choice)
                return opening + self._chunk(event.choice, {}, {"logprobs": event.logprobs})
            case ChoiceFinished():
                return self._finish(event)
            case UsageReported():
                self._usage = event.usage
                return b""
            case ForeignEvent():
                return self._foreign(event)
            case StreamStarted():
                return self._start(event)
            case StreamEnded():
                return self._end()
            case StreamFailed():
                return encode_data(one_line(orjson.dumps(encode_error_body(event.error))))
            case _:
                raise AssertionError(event)

    # --- the answer as a whole

    def _start(self, event: StreamStarted) -> bytes:
        if event.model is None:
            self._report("model", LossReason.APPROXIMATED, "the model that was asked for is named")
        self._report_foreign("", event.extra)
        own = own_extra(event.extra)
        self._base = {
            "id": answer_id(self._context),
            "object": "chat.completion.chunk",
            "created": self._context.now,
            "model": event.model or self._context.request.model,
            **{name: own[name] for name in EVERY_CHUNK_FIELDS if name in own},
        }
        self._once = {name: value for name, value in own.items() if name not in self._base}
        return b""

    def _end(self) -> bytes:
        """The token counts, if the client asked for them, come last whenever they were known (USE-10, USE-11)."""
        if not self._no_usage or self._usage is None:
            return _DONE
        self._report_foreign("usage.", self._usage.extra)
        usage, losses = encode_usage(self._usage)
        self._report_all(losses)
        return (self._frame([], {"usage": usage}) if usage is not None else b"") + _DONE

    def _foreign(self, event: ForeignEvent) -> bytes:
        if event.dialect != NAME:
            self._report("events", LossReason.FOREIGN, f"only {event.dialect} understands some of its events")
            return b""
        opening = b""
        choices: list[Json] = []
        for choice in event.payload.get("choices", ()):
            opening += self._opening(choice["index"])
            choices.append({"delta": {}, "logprobs": None, "finish_reason": None} | choice)
        more = {name: value for name, value in event.payload.items() if name != "choices"}
        return opening + self._frame(choices, self._no_usage | more)

    # --- choices

    def _opening(self, number: int) -> bytes:
        """The first chunk of a choice, unless it was written already."""
        if number in self._choices:
            return b""
        head = b"data: " + one_line(orjson.dumps(self._base))[:-1] + b',"choices":[{"index":%d,"delta":' % number
        self._choices[number] = _Choice(number, head)
        return self._chunk(number, {"role": "assistant", "content": "", "refusal": None})

    def _finish(self, event: ChoiceFinished) -> bytes:
        opening = self._opening(event.choice)
        choice = self._choices[event.choice]
        own = dict(own_extra(event.extra))
        called, refused = choice.calls > 0, choice.refused
        word, changed = encode_finish_reason(
            event.reason, own.pop("finish_reason", None), called=called, refused=refused
        )
        path = f"choices[{event.choice}]"
        if changed:
            self._report(f"{path}.finish_reason", LossReason.APPROXIMATED, changed)
        if event.stop_sequence is not None:
            detail = "which stop sequence it was is not told"
            self._report(f"{path}.stop_sequence", LossReason.UNSUPPORTED, detail)
        self._report_foreign(f"{path}.", event.extra)
        delta = own.pop("message", {})
        return opening + self._chunk(event.choice, delta, {"finish_reason": word, **own})

    # --- parts

    def _start_part(self, event: PartStarted) -> bytes:
        opening = self._opening(event.choice)
        choice = self._choices[event.choice]
        path = f"choices[{choice.number}].parts[{choice.parts}]"
        part = self._parts[event.index] = _Part(choice, type(event.part), choice.parts, path)
        choice.parts += 1
        if not isinstance(event.part, Opaque):
            self._report_foreign(f"{path}.", event.part.extra)
        match event.part:
            case ToolCall():
                return opening + self._start_call(part, event.part)
            case Opaque():
                return opening + self._opaque(part, event.part)
            case Media():
                return opening + self._media(part, event.part)
            case ToolResult():
                self._report(path, LossReason.UNSUPPORTED, "an answer cannot hold it")
                return opening
            case Reasoning():
                self._report_all(foreign_origin(event.part, path) + unwritten_reasoning(event.part, path))
            case Text() | Refusal():
                self._report_all(unwritten_extra(path, event.part.extra))
        part.head = choice.head + b'{"' + _TEXT_FIELDS[part.kind].encode() + b'":'
        return opening + self._text(part, event.index, event.part.text)

    def _end_part(self, part: _Part) -> bytes:
        if part.written or part.kind not in (*_TEXT_FIELDS, ToolCall):
            return b""
        if part.kind is ToolCall:
            # As in an answer that is not streamed: TOOL-13, hard-cases.md.
            return self._arguments(part, "{}")
        if part.kind is Reasoning:
            self._report(part.path, LossReason.UNSUPPORTED, "reasoning without text has no field here")
        else:
            self._report(part.path, LossReason.APPROXIMATED, "empty text is no part of an answer")
        return b""

    def _text(self, part: _Part, index: int, text: str) -> bytes:
        if not text:
            return b""
        self._turn_to(part)
        if part.kind is Refusal:
            part.choice.refused = True
        self._flowing, self._flowing_head = index, part.head
        return part.head + one_line(orjson.dumps(text)) + self._text_tail

    def _turn_to(self, part: _Part) -> None:
        """Readers tell parts apart by their fields alone: report where they will not see the parts that there are."""
        choice, current = part.choice, part.choice.current
        if current is part:
            return
        if part.written or (current is not None and current.kind is part.kind):
            self._rearranged(choice, LossReason.APPROXIMATED, "where its parts begin and end is not told")
        elif part.number < choice.latest or choice.deferred:
            self._rearranged(choice, LossReason.MOVED, "the parts come in another order")
        choice.current = part
        choice.latest = max(choice.latest, part.number)
        part.written = True

    def _rearranged(self, choice: _Choice, reason: LossReason, detail: str) -> None:
        self._report(f"choices[{choice.number}].parts", reason, detail)

    def _citation(self, part: _Part, citation: Json) -> bytes:
        number = part.citations
        part.citations += 1
        if not is_annotation(citation):
            detail = "it has not the form of an annotation"
            self._report(f"{part.path}.citations[{number}]", LossReason.UNSUPPORTED, detail)
            return b""
        self._turn_to(part)
        self._flowing = -1
        return self._chunk(part.choice.number, {"annotations": [citation]})

    def _signature(self, part: _Part) -> bytes:
        if part.kind is Reasoning:
            self._report(f"{part.path}.signature", LossReason.UNSUPPORTED, "reasoning has no signature here")
        return b""

    def _start_call(self, part: _Part, call: ToolCall) -> bytes:
        choice = part.choice
        if choice.deferred:
            self._rearranged(choice, LossReason.MOVED, "the parts come in another order")
        choice.current = None
        choice.latest = part.number
        self._flowing = -1
        part.written = bool(call.arguments)
        part.head = choice.head + b'{"tool_calls":[{"index":%d,"function":{"arguments":' % choice.calls
        return self._call(choice, encode_tool_call(call))

    def _arguments(self, part: _Part, arguments: str) -> bytes:
        if not arguments:
            return b""
        part.written = True
        return part.head + one_line(orjson.dumps(arguments)) + self._arguments_tail

    def _opaque(self, part: _Part, opaque: Opaque) -> bytes:
        if opaque.dialect != NAME:
            self._report(part.path, LossReason.FOREIGN, f"only {opaque.dialect} understands it")
            return b""
        self._defer(part)
        return self._call(part.choice, opaque.payload)

    def _call(self, choice: _Choice, call: Json) -> bytes:
        """Calls are counted for themselves, from 0: TOOL-01, hard-cases.md."""
        position = choice.calls
        choice.calls += 1
        return self._chunk(choice.number, {"tool_calls": [{"index": position} | call]})

    def _media(self, part: _Part, media: Media) -> bytes:
        losses, kept = unwritten(media, part.path, self._context.request)
        self._report_all(losses)
        if not kept:
            return b""
        self._defer(part)
        return self._chunk(part.choice.number, {"audio": encode_audio(media, self._context)})

    def _defer(self, part: _Part) -> None:
        rank = _DEFERRED[Media if part.kind is Media else Opaque]
        if part.choice.deferred > rank:
            self._rearranged(part.choice, LossReason.MOVED, "the parts come in another order")
        part.choice.deferred = max(part.choice.deferred, rank)

    # --- writing and reporting

    def _chunk(self, number: int, delta: Json, more: Json | None = None) -> bytes:
        choice: Json = {"index": number, "delta": delta, "logprobs": None, "finish_reason": None}
        return self._frame([choice | (more or {})], self._no_usage)

    def _frame(self, choices: list[Json], more: Json) -> bytes:
        once, self._once = self._once, {}
        return encode_data(one_line(orjson.dumps(self._base | once | {"choices": choices} | more)))

    def _report(self, path: str, reason: LossReason, detail: str = "") -> None:
        self._report_all([Loss(path, reason, detail)])

    def _report_all(self, losses: list[Loss]) -> None:
        for loss in losses:
            if loss.field not in self._reported:
                self._reported.add(loss.field)
                self.losses.append(loss)

    def _report_foreign(self, prefix: str, extra: Extra | None) -> None:
        for owner, kept in (extra or {}).items():
            if owner != NAME:
                names = [name for name, value in kept.items() if value is not None]
                self._report_all([Loss(f"{prefix}extra.{owner}.{name}", LossReason.FOREIGN) for name in names])
