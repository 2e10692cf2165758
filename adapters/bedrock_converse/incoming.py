"""The content blocks of a stream, put together from their events."""

import base64
from typing import Any

import orjson

from adapters.bedrock_converse.blocks import BLOCKS_BY_ROLE, SERVER_RUN, decode_block
from adapters.bedrock_converse.citations import decode_citation
from adapters.bedrock_converse.extra import keep
from adapters.bedrock_converse.fields import NAME
from adapters.bedrock_converse.names import original_names
from adapters.bedrock_converse.reasoning import read_redacted, read_signature
from adapters.contract import DecodeError
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
from adapters.model.message import Json, Part, Reasoning, Text, ToolCall
from adapters.model.request import Request
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.inline_data import clean_base64, decode_base64

_DELTA = "contentBlockDelta.delta"


class _Block:
    """One content block. ``part`` is the index of its open part, -1 if none is; ``whole`` what is told at its end."""

    __slots__ = ("kind", "part", "pieces", "signature", "whole")

    def __init__(self) -> None:
        self.part = -1
        self.kind: type[Part] | None = None
        self.signature: list[str] = []
        self.whole: Json | None = None
        self.pieces: list[Any] = []


class Incoming:
    """Turns the events of content blocks into those of parts.

    Only calls and images have a start; text and reasoning begin with their first delta, and an empty one begins
    nothing. Blocks that nobody has stopped end with the message.
    """

    __slots__ = ("_blocks", "_names", "_next", "called")

    def __init__(self, request: Request) -> None:
        self.called = False
        self._names = original_names(request)
        self._blocks: dict[int, _Block] = {}
        self._next = 0

    def start(self, value: Json, events: list[Event]) -> None:
        """Take a ``contentBlockStart``."""
        index, start = _index_of(value), value.get("start")
        self._close(self._blocks.pop(index, None), events)
        block = self._blocks[index] = _Block()
        if start is None:
            return
        if type(start) is not dict:
            raise wrong_type("contentBlockStart.start", "an object", start)
        known = [name for name in ("toolUse", "toolResult", "image") if start.get(name) is not None]
        if not known:
            if any(item is not None for item in start.values()):
                events.append(ForeignEvent(NAME, {"event": "contentBlockStart", "data": value}))
            return
        inner = Fields(start[known[0]], f"contentBlockStart.start.{known[0]}")
        if known == ["toolUse"] and inner.rest().get("type") != SERVER_RUN:
            self._start_call(block, inner, events)
        else:
            block.whole = {known[0]: inner.rest()}

    def _start_call(self, block: _Block, start: Fields, events: list[Event]) -> None:
        identity, name, kind = start.need_string("toolUseId"), start.need_string("name"), start.string("type")
        beside = {} if kind in (None, "tool_use") else {"type": kind}
        call = ToolCall(identity, self._names.get(name, name), "", extra=keep({**beside, **start.rest()}))
        self.called = True
        self._open(block, call, events)

    def add_delta(self, value: Json, events: list[Event]) -> None:
        """Take a ``contentBlockDelta``."""
        index, delta = value.get("contentBlockIndex"), value.get("delta")
        if type(delta) is not dict:
            raise wrong_type(_DELTA, "an object", delta)
        block = self._blocks.get(index) if type(index) is int else None
        text = delta.get("text")
        if type(text) is str:
            if block is not None and block.kind is Text:
                if text:
                    events.append(TextDelta(block.part, text))
            elif text:
                block = self._block(value) if block is None else block
                events.append(TextDelta(self._part(block, Text, events), text))
            return
        self._add_other(self._block(value) if block is None else block, delta, value, events)

    def _add_other(self, block: _Block, delta: Json, value: Json, events: list[Event]) -> None:
        if delta.get("toolUse") is not None:
            self._add_input(block, Fields(delta["toolUse"], f"{_DELTA}.toolUse"), events)
        elif delta.get("reasoningContent") is not None:
            self._add_reasoning(block, Fields(delta["reasoningContent"], f"{_DELTA}.reasoningContent"), events)
        elif delta.get("citation") is not None:
            citation = decode_citation(delta["citation"], f"{_DELTA}.citation")
            events.append(CitationAdded(self._part(block, Text, events), citation))
        elif block.whole is not None and (delta.get("image") or delta.get("toolResult")):
            block.pieces.append(delta)
        elif delta.get("text") is not None:
            raise wrong_type(f"{_DELTA}.text", "a string", delta["text"])
        elif any(item is not None for item in delta.values()):
            events.append(ForeignEvent(NAME, {"event": "contentBlockDelta", "data": value}))

    def _add_input(self, block: _Block, delta: Fields, events: list[Event]) -> None:
        text = delta.string("input") or ""
        if block.whole is not None:
            block.pieces.append(text)
        elif block.kind is not ToolCall:
            raise DecodeError(f"{_DELTA}.toolUse has no contentBlockStart before it", _DELTA, "unknown_block")
        elif text:
            events.append(ArgumentsDelta(block.part, text))

    def _add_reasoning(self, block: _Block, delta: Fields, events: list[Event]) -> None:
        text, signature, redacted = delta.string("text"), delta.string("signature"), delta.string("redactedContent")
        if redacted is not None:
            if block.whole is None:
                self._end_part(block, events)
                block.whole = {"redactedContent": True}
            block.pieces.append(decode_base64(clean_base64(redacted, f"{_DELTA}.redactedContent"), _DELTA))
        if text:
            events.append(ReasoningDelta(self._part(block, Reasoning, events), text))
        if signature:
            # Whoever made it may stand at its beginning, which must be known when the part starts.
            if block.kind is not Reasoning:
                self._open(block, Reasoning("", origin=read_signature(signature)[0]), events)
            block.signature.append(signature)

    def stop(self, value: Json, events: list[Event]) -> None:
        """Take a ``contentBlockStop``."""
        self._close(self._blocks.pop(_index_of(value), None), events)

    def stop_all(self, events: list[Event]) -> None:
        """The message ends, and every block with it."""
        for block in self._blocks.values():
            self._close(block, events)
        self._blocks.clear()

    # --- details

    def _block(self, value: Json) -> _Block:
        return self._blocks.setdefault(_index_of(value), _Block())

    def _part(self, block: _Block, kind: type[Text] | type[Reasoning], events: list[Event]) -> int:
        """The index of the block's open part of this kind, a new one if need be."""
        if block.kind is not kind:
            self._open(block, Text("") if kind is Text else Reasoning("", origin=NAME), events)
        return block.part

    def _open(self, block: _Block, part: Part, events: list[Event]) -> None:
        self._end_part(block, events)
        block.part, block.kind = self._next, type(part)
        self._next += 1
        events.append(PartStarted(block.part, part))

    def _end_part(self, block: _Block, events: list[Event]) -> None:
        if block.kind is None:
            return
        signature = read_signature("".join(block.signature))[1]
        if signature is not None:
            events.append(SignatureDelta(block.part, signature))
        block.signature.clear()
        events.append(PartEnded(block.part))
        block.kind = None

    def _close(self, block: _Block | None, events: list[Event]) -> None:
        if block is None:
            return
        self._end_part(block, events)
        if block.whole is not None:
            self._open(block, _whole_part(block), events)
            self._end_part(block, events)


def _whole_part(block: _Block) -> Part:
    """The part of a block that comes in one piece, as the block of a whole answer would give it."""
    whole = block.whole or {}
    if "redactedContent" in whole:
        origin, payload = read_redacted(base64.b64encode(b"".join(block.pieces)).decode())
        return Reasoning("", redacted=payload, origin=origin)
    (name, inner), *_ = whole.items()
    if name == "toolUse":
        inner = {**inner, "input": _input_of(block.pieces)}
    elif name == "image":
        for delta in block.pieces:
            inner = {**inner, **_object(delta, "image")}
    else:
        inner = {**inner, "content": [item for delta in block.pieces for item in _array(delta, "toolResult")]}
    return decode_block({name: inner}, "contentBlockStart.start", BLOCKS_BY_ROLE["assistant"])


def _input_of(pieces: list[Any]) -> Any:
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    try:
        return orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return text


def _object(delta: Any, name: str) -> Json:
    value = delta.get(name) if isinstance(delta, dict) else None
    return value if isinstance(value, dict) else {}


def _array(delta: Any, name: str) -> list[Any]:
    value = delta.get(name) if isinstance(delta, dict) else None
    return value if isinstance(value, list) else []


def _index_of(value: Json) -> int:
    index = value.get("contentBlockIndex")
    if type(index) is not int or index < 0:
        raise wrong_type("contentBlockIndex", "an integer of at least 0", index)
    return index
