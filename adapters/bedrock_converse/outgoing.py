"""The content blocks of a stream as a client gets them: each part's events, as frames.

As from Bedrock itself, only calls, images and results have a ``contentBlockStart``; every block has a
``contentBlockStop`` (TOOL-21). A block is numbered when there is something to say in it.
"""

from collections.abc import Callable
from typing import Any, Protocol

import orjson

from adapters.bedrock_converse.answer import EMPTY_TEXT, is_unsayable, lose_cache
from adapters.bedrock_converse.citations import is_citation
from adapters.bedrock_converse.extra import kept_in, with_kept
from adapters.bedrock_converse.families import UNKNOWN
from adapters.bedrock_converse.fields import NAME
from adapters.bedrock_converse.media import encode_media
from adapters.bedrock_converse.names import wire_id, wire_name
from adapters.bedrock_converse.reasoning import is_redacted, reasoning_losses, redacted_data, signature_mark
from adapters.model.event import ArgumentsDelta, CitationAdded, Event, ReasoningDelta, SignatureDelta, TextDelta
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Media, MediaKind, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from adapters.wire.eventstream import encode_headers, frame_with

_JSON = "application/json"


def _event_headers(name: str) -> bytes:
    return encode_headers({":event-type": name, ":content-type": _JSON, ":message-type": "event"})


_EVENT_HEADERS = {
    name: _event_headers(name)
    for name in (
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    )
}
_DELTA_HEADERS = _EVENT_HEADERS["contentBlockDelta"]


def event_frame(name: str, value: Json) -> bytes:
    """The frame of an event."""
    return frame_with(_EVENT_HEADERS.get(name) or _event_headers(name), orjson.dumps(value))


def exception_frame(name: str, payload: bytes) -> bytes:
    """The frame that ends a failed stream."""
    headers = {":exception-type": name, ":content-type": _JSON, ":message-type": "exception"}
    return frame_with(encode_headers(headers), payload)


class Block(Protocol):
    """What writes the events of one part."""

    def add(self, event: Event) -> bytes:
        """The frames for an event of the part."""

    def end(self) -> bytes:
        """The last frames; what could not be said joins the losses."""


class _Numbered:
    """A block's number, taken when it is first needed."""

    __slots__ = ("_take_number", "losses", "number", "path")

    def __init__(self, path: str, losses: list[Loss], take_number: Callable[[], int]) -> None:
        self.path = path
        self.losses = losses
        self.number = -1
        self._take_number = take_number

    def demand_number(self) -> int:
        if self.number < 0:
            self.number = self._take_number()
        return self.number

    def start(self, start: Json) -> bytes:
        return event_frame("contentBlockStart", {"contentBlockIndex": self.demand_number(), "start": start})

    def delta(self, delta: Json) -> bytes:
        return event_frame("contentBlockDelta", {"contentBlockIndex": self.demand_number(), "delta": delta})

    def stop(self) -> bytes:
        return event_frame("contentBlockStop", {"contentBlockIndex": self.number}) if self.number >= 0 else b""

    def lose(self, path: str, reason: LossReason, detail: str) -> None:
        self.losses.append(Loss(path, reason, detail))

    def lose_kept(self, part: Text | Refusal | Reasoning) -> None:
        for name, value in kept_in(part.extra).items():
            if value is not None:
                self.lose(f"{self.path}.extra.{NAME}.{name}", LossReason.UNSUPPORTED, "a stream has no place for it")


class TextBlock(_Numbered):
    """Text or a refusal, and citations."""

    __slots__ = ("_citations", "_part", "_prefix")

    def __init__(self, part: Text | Refusal, path: str, losses: list[Loss], take_number: Callable[[], int]) -> None:
        super().__init__(path, losses, take_number)
        self._part = part
        self._citations = 0
        self._prefix = b""

    def add(self, event: Event) -> bytes:
        if type(event) is TextDelta:
            return self.text(event.text)
        if type(event) is CitationAdded:
            return self._citation(event.citation)
        return b""

    def text(self, text: str) -> bytes:
        """The frame for more text."""
        if not text:
            return b""
        if not self._prefix:
            self._prefix = b'{"contentBlockIndex":%d,"delta":{"text":' % self.demand_number()
        return frame_with(_DELTA_HEADERS, b"%b%b}}" % (self._prefix, orjson.dumps(text)))

    def _citation(self, citation: Json) -> bytes:
        number = self._citations
        self._citations += 1
        if is_citation(citation):
            return self.delta({"citation": citation})
        problem = "it has not the form of a citation here"
        self.lose(f"{self.path}.citations[{number}]", LossReason.UNSUPPORTED, problem)
        return b""

    def end(self) -> bytes:
        if self.number < 0:
            self.losses[:] = [loss for loss in self.losses if not loss.field.startswith(self.path + ".")]
            self.lose(self.path, LossReason.APPROXIMATED, EMPTY_TEXT)
            return b""
        self.lose_kept(self._part)
        lose_cache(self._part, self.path, self.losses)
        if isinstance(self._part, Refusal):
            self.lose(self.path, LossReason.APPROXIMATED, "a refusal is written as text")
        return self.stop()


class _ReasoningBlock(_Numbered):
    __slots__ = ("_mark", "_part", "_said", "_signature")

    def __init__(self, part: Reasoning, path: str, losses: list[Loss], take_number: Callable[[], int]) -> None:
        super().__init__(path, losses, take_number)
        self._part = part
        self._mark = signature_mark(part.origin)
        self._said = False
        self._signature: list[str] = []

    def add(self, event: Event) -> bytes:
        if type(event) is SignatureDelta:
            self._signature.append(event.signature)
        elif type(event) is ReasoningDelta and event.text:
            first = self._reasoning({"signature": self._mark}) if self._mark and not self._said else b""
            self._said = True
            return first + self._reasoning({"text": event.text})
        return b""

    def _reasoning(self, content: Json) -> bytes:
        return self.delta({"reasoningContent": content})

    def end(self) -> bytes:
        signature = "".join(self._signature) or None
        whole = Reasoning("x" if self._said else "", signature, self._part.redacted, self._part.id, self._part.origin)
        if is_unsayable(whole):
            self.lose(self.path, LossReason.UNSUPPORTED, "there is nothing in it that can be written")
            return b""
        self.losses += reasoning_losses(whole, self.path)
        self.lose_kept(self._part)
        last = b""
        if is_redacted(whole):
            last = self._reasoning({"redactedContent": redacted_data(whole)})
        elif signature is not None and self._mark is not None:
            last = self._reasoning({"signature": self._mark + signature})
        return last + self.stop()


class _CallBlock(_Numbered):
    __slots__ = ()

    def add(self, event: Event) -> bytes:
        if type(event) is not ArgumentsDelta or not event.arguments:
            return b""
        return self.delta({"toolUse": {"input": event.arguments}})

    def end(self) -> bytes:
        return self.stop()


class _WholeBlock(_Numbered):
    """A part that is written at once."""

    __slots__ = ()

    def add(self, event: Event) -> bytes:
        return b""

    def end(self) -> bytes:
        return self.stop()


def open_block(part: Part, path: str, losses: list[Loss], take_number: Callable[[], int]) -> tuple[Block | None, bytes]:
    """What writes this part, and the frames that its start is worth; nothing if no block can hold it."""
    match part:
        case Text() | Refusal():
            text = TextBlock(part, path, losses, take_number)
            return text, text.text(part.text)
        case Reasoning():
            reasoning = _ReasoningBlock(part, path, losses, take_number)
            return reasoning, reasoning.add(ReasoningDelta(0, part.text))
        case ToolCall():
            lose_cache(part, path, losses)
            call = _CallBlock(path, losses, take_number)
            start = with_kept({"toolUseId": wire_id(part.id), "name": wire_name(part.name)}, kept_in(part.extra))
            return call, call.start({"toolUse": start}) + call.add(ArgumentsDelta(0, part.arguments))
        case Media():
            lose_cache(part, path, losses)
            image = _WholeBlock(path, losses, take_number)
            return image, _image_frames(part, image)
        case Opaque():
            whole = _WholeBlock(path, losses, take_number)
            return whole, _opaque_frames(part, whole) if part.dialect == NAME else b""
        case ToolResult():
            losses.append(Loss(path, LossReason.UNSUPPORTED, "an answer holds no tool results"))
            return None, b""


def _image_frames(part: Media, block: _Numbered) -> bytes:
    if part.kind is not MediaKind.IMAGE:
        block.lose(block.path, LossReason.UNSUPPORTED, "a stream holds images, and no other media")
        return b""
    written = encode_media(part, block.path, UNKNOWN, block.losses)
    if written is None:
        return b""
    beside = {name: value for name, value in written.items() if name != "format"}
    return block.start({"image": {"format": written["format"]}}) + block.delta({"image": beside})


def _opaque_frames(part: Opaque, block: _Numbered) -> bytes:
    call, result = part.payload.get("toolUse"), part.payload.get("toolResult")
    if isinstance(call, dict):
        start = {name: value for name, value in call.items() if name != "input"}
        arguments = orjson.dumps(call.get("input", {})).decode()
        return block.start({"toolUse": start}) + block.delta({"toolUse": {"input": arguments}})
    if isinstance(result, dict) and _is_streamable(result.get("content")):
        start = {name: value for name, value in result.items() if name != "content"}
        return block.start({"toolResult": start}) + block.delta({"toolResult": result["content"]})
    block.lose(block.path, LossReason.UNSUPPORTED, "a stream has no such block")
    return b""


def _is_streamable(content: Any) -> bool:
    return isinstance(content, list) and all(
        isinstance(item, dict) and len(item) == 1 and item.keys() <= {"text", "json"} for item in content
    )
