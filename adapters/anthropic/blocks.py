"""One content block of a stream, while it comes in."""

from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from adapters.anthropic.answer import decode_text
from adapters.anthropic.calls import decode_answer_call
from adapters.anthropic.fields import NAME
from adapters.anthropic.thinking import decode_redacted, decode_thinking, read_signature
from adapters.contract import Context, DecodeError
from adapters.model.event import (
    ArgumentsDelta,
    CitationAdded,
    Event,
    ForeignEvent,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
)
from adapters.model.message import Json, Opaque, Part, Reasoning, Text, ToolCall
from adapters.wire.fields import Fields

DELTA_FIELDS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_DELTA_PARTS: dict[str, type[Part]] = {
    "text_delta": Text,
    "citations_delta": Text,
    "thinking_delta": Reasoning,
    "signature_delta": Reasoning,
    "input_json_delta": ToolCall,
}


@dataclass(slots=True)
class Block:
    """A block that is open. It becomes a part, with ``index``, when something is said in it: an empty one is none."""

    index: int
    part: Part
    started: bool = False
    signature: str = ""
    arguments: str = ""
    filled: bool = False
    payload: Json = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)

    def begin(self, events: list[Event]) -> None:
        """What is known of the part at the start of the block."""
        part = self.part
        match part:
            case Text():
                self.part = replace(part, text="", citations=())
                self._text(part.text, events)
                for citation in part.citations:
                    self._citation(citation, events)
            case Reasoning():
                self.signature = part.signature or ""
                self.part = replace(part, text="", signature=None)
                if part.redacted is not None or part.id is not None or part.origin != NAME:
                    self._start(events)
                self._thought(part.text, events)
            case ToolCall():
                self.arguments = part.arguments
                self.part = replace(part, arguments="")
                self._start(events)
            case Opaque():
                self.payload = dict(part.payload)

    def add(self, delta: Json, event: Json, events: list[Event]) -> None:
        """A piece more. Raises ``DecodeError`` for one that belongs into another kind of block."""
        kind = delta.get("type")
        if isinstance(self.part, Opaque):
            self._merge(delta)
            return
        wanted = _DELTA_PARTS.get(kind) if isinstance(kind, str) else None
        if wanted is None:
            events.append(ForeignEvent(NAME, event | {"index": self.index}))
            return
        if not isinstance(self.part, wanted):
            raise DecodeError(f"a {kind} does not fit its block", "delta.type", "bad_event")
        if kind == "citations_delta":
            self._citation(Fields(delta, "delta").need_object("citation"), events)
            return
        piece = Fields(delta, "delta").string(DELTA_FIELDS[str(kind)]) or ""
        match kind:
            case "text_delta":
                self._text(piece, events)
            case "thinking_delta":
                self._thought(piece, events)
            case "signature_delta":
                self.signature = piece if not self.filled else self.signature + piece
                self.filled = True
            case _:
                self._argue(piece, events)

    def end(self, events: list[Event]) -> None:
        """What is left to say when the block is over."""
        part = self.part
        if isinstance(part, Reasoning):
            signature = self._own_signature(part)
            if signature:
                self._start(events)
                events.append(SignatureDelta(self.index, signature))
        elif isinstance(part, ToolCall):
            if not self.filled and self.arguments != "{}":
                events.append(ArgumentsDelta(self.index, self.arguments))
        elif isinstance(part, Opaque):
            self.part = Opaque(NAME, self._whole())
            self._start(events)
        if self.started:
            events.append(PartEnded(self.index))

    def _own_signature(self, part: Reasoning) -> str | None:
        """A wrapping that the start of the block did not announce stays on: what was said of the origin stands."""
        read = read_signature("", self.signature)
        told = (read.origin, read.id, read.redacted) == (part.origin, part.id, part.redacted)
        return read.signature if told else self.signature

    def _start(self, events: list[Event]) -> None:
        if not self.started:
            self.started = True
            events.append(PartStarted(self.index, self.part))

    def _text(self, piece: str, events: list[Event]) -> None:
        if piece:
            self._start(events)
            events.append(TextDelta(self.index, piece))

    def _thought(self, piece: str, events: list[Event]) -> None:
        if piece:
            self._start(events)
            events.append(ReasoningDelta(self.index, piece))

    def _citation(self, citation: Json, events: list[Event]) -> None:
        self._start(events)
        events.append(CitationAdded(self.index, citation))

    def _argue(self, piece: str, events: list[Event]) -> None:
        """The input in the block's start is a placeholder as soon as a piece follows (TOOL-14)."""
        if piece:
            self.filled = True
            events.append(ArgumentsDelta(self.index, piece))

    def _merge(self, delta: Json) -> None:
        """Adds to a block that we know nothing of: its fields grow by the delta's of the same name."""
        for name, value in delta.items():
            present = self.payload.get(name)
            if name == "partial_json" and isinstance(value, str):
                self.pieces.append(value)
            elif name == "citation":
                self.payload["citations"] = [*(self.payload.get("citations") or ()), value]
            elif name == "type" or value is None:
                continue
            elif isinstance(value, str | list) and type(present) is type(value):
                self.payload[name] += value
            else:
                self.payload[name] = value

    def _whole(self) -> Json:
        text = "".join(self.pieces)
        if not text:
            return self.payload
        try:
            value: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = text  # cut off: handed on as it came
        return self.payload | {"input": value}


def read_block(value: Any, index: int, names: dict[str, str], context: Context) -> Block:
    """The block that begins with ``value``. Raises ``DecodeError``."""
    fields = Fields(value, "content_block")
    whole = dict(fields.rest())
    kind = fields.need_string("type")
    if kind == "text":
        return Block(index, decode_text(fields))
    if kind == "thinking":
        return Block(index, decode_thinking(fields))
    if kind == "redacted_thinking":
        return Block(index, decode_redacted(fields))
    if kind == "tool_use":
        return Block(index, decode_answer_call(fields, names, context))
    return Block(index, Opaque(NAME, whole))
