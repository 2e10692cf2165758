"""The content blocks of a streamed answer, as they go to a client."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import orjson

from adapters.anthropic.answer import citation_losses, is_nothing, part_losses
from adapters.anthropic.extras import own, with_kept
from adapters.anthropic.fields import NAME
from adapters.anthropic.parts import is_citation
from adapters.anthropic.thinking import encode_signature, is_redacted
from adapters.model.event import (
    ArgumentsDelta,
    CitationAdded,
    Event,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
)
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from adapters.wire.sse import one_line

END_OF_DELTA = b"}}\n\n"
NOBODY = -1


@dataclass(slots=True)
class OpenPart:
    """A part on its way, ``place`` its place in the answer.

    ``number`` is that of its block, once it has one; ``said`` is what there is to tell at its end.
    """

    part: Part
    path: str
    place: int
    number: int = NOBODY
    thought: bool = False
    said: list[str] = field(default_factory=list)


class BlockEncoder:
    """Writes the blocks one after the other, numbered without gaps; a block begins with the first thing said in it.

    ``flowing`` is the part that got the last text, and ``flowing_head`` all that stands before its next.
    """

    def __init__(self, report: Callable[..., None]) -> None:
        self.parts: dict[int, OpenPart] = {}
        self.refusals: list[OpenPart] = []
        self.last_place = 0
        self.flowing = NOBODY
        self.flowing_head = b""
        self._report = report
        self._count = 0

    def write(self, event: Event) -> bytes:
        """What an event has to say, now that it is its part's turn."""
        match event:
            case TextDelta():
                return self._text(self.parts[event.index], event.index, event.text)
            case ArgumentsDelta():
                return _delta(self.parts[event.index], "input_json_delta", "partial_json", event.arguments)
            case ReasoningDelta():
                return self._thought(self.parts[event.index], event.text)
            case SignatureDelta():
                self.parts[event.index].said.append(event.signature)
                return b""
            case CitationAdded():
                return self._citation(self.parts[event.index], event.citation)
            case PartStarted():
                return self._begin(self.parts[event.index], event.index)
            case PartEnded():
                return self._end(self.parts[event.index])
            case _:
                raise AssertionError(event)

    def _begin(self, part: OpenPart, index: int) -> bytes:
        whole = part.part
        match whole:
            case Text():
                opening = self._text(part, index, whole.text)
                return opening + b"".join(self._citation(part, citation) for citation in whole.citations)
            case Refusal():
                self.refusals.append(part)
                return self._text(part, index, whole.text)
            case Reasoning() if is_redacted(whole):
                return self._open(part, {"type": "redacted_thinking", "data": whole.redacted})
            case Reasoning():
                signature = encode_signature(replace(whole, signature=None))
                opening = self._open(part, {"type": "thinking", "thinking": "", "signature": signature})
                part.said += [whole.signature] if whole.signature else []
                return opening + self._thought(part, whole.text)
            case ToolCall():
                opening = self._open(part, {"type": "tool_use", "id": whole.id, "name": whole.name, "input": {}})
                return opening + _delta(part, "input_json_delta", "partial_json", whole.arguments)
            case Opaque():
                return self._opaque(part, whole) if whole.dialect == NAME else b""
            case _:
                self._report(*part_losses(whole, part.path))
                return b""

    def _end(self, part: OpenPart) -> bytes:
        self.flowing = NOBODY
        closing = b""
        match part.part:
            case Reasoning() if not is_redacted(part.part):
                whole = replace(part.part, signature="".join(part.said) or None)
                # In one piece: the official clients take the last signature that comes for the whole.
                closing = _delta(part, "signature_delta", "signature", encode_signature(whole))
                if is_nothing(whole) and not part.thought:
                    self._report(*part_losses(whole, part.path))
            case Text() | Refusal() if part.number == NOBODY and not part.said:
                self._report(*part_losses(part.part, part.path))
            case _:
                pass
        if part.number == NOBODY:
            return b""
        return closing + frame("content_block_stop", {"type": "content_block_stop", "index": part.number})

    def _open(self, part: OpenPart, block: Json) -> bytes:
        if not isinstance(part.part, Opaque):
            block = with_kept(block, own(part.part.extra))
        part.number = self._count
        self._count += 1
        self.last_place = part.place
        event = {"type": "content_block_start", "index": part.number, "content_block": block}
        return frame("content_block_start", event)

    def _text(self, part: OpenPart, index: int, text: str) -> bytes:
        if not text:
            return b""
        if isinstance(part.part, Refusal):
            part.said.append(text)
            return b""
        opening = self._open(part, {"type": "text", "text": ""}) if part.number == NOBODY else b""
        if index != self.flowing:
            self.flowing, self.flowing_head = index, _delta_head(part.number, "text_delta", "text")
        return opening + self.flowing_head + one_line(orjson.dumps(text)) + END_OF_DELTA

    def _thought(self, part: OpenPart, text: str) -> bytes:
        if not text:
            return b""
        if isinstance(part.part, Reasoning) and is_redacted(part.part):
            self._report(Loss(f"{part.path}.text", LossReason.UNSUPPORTED, "redacted thinking has no text"))
            return b""
        part.thought = True
        return _delta(part, "thinking_delta", "thinking", text)

    def _citation(self, part: OpenPart, citation: Json) -> bytes:
        if not is_citation(citation):
            self._report(*citation_losses(Text("", (citation,)), part.path))
            return b""
        opening = self._open(part, {"type": "text", "text": ""}) if part.number == NOBODY else b""
        delta = {"type": "citations_delta", "citation": citation}
        event = {"type": "content_block_delta", "index": part.number, "delta": delta}
        return opening + frame("content_block_delta", event)

    def _opaque(self, part: OpenPart, opaque: Opaque) -> bytes:
        """A block of the API's own. The input of a call that it runs comes in a delta, where clients look for it."""
        block = dict(opaque.payload)
        value = block.get("input")
        if not value or not isinstance(value, dict) or not str(block.get("type")).endswith("tool_use"):
            return self._open(part, block)
        opening = self._open(part, block | {"input": {}})
        return opening + _delta(part, "input_json_delta", "partial_json", orjson.dumps(value).decode())


def frame(name: str, event: Json) -> bytes:
    """The event of this name (SSE-09)."""
    return b"event: " + name.encode() + b"\ndata: " + one_line(orjson.dumps(event)) + b"\n\n"


def _delta(part: OpenPart, kind: str, name: str, piece: str) -> bytes:
    """Nothing for an empty piece, and never ``{}`` for arguments that are still to come (TOOL-15)."""
    if not piece:
        return b""
    return _delta_head(part.number, kind, name) + one_line(orjson.dumps(piece)) + END_OF_DELTA


def _delta_head(number: int, kind: str, name: str) -> bytes:
    """All of a delta's event that stands before its text."""
    start = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
    return start % (number, kind.encode(), name.encode())
