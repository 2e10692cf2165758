"""Content blocks of a request."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, assert_never

from adapters.anthropic.cache import decode_cache
from adapters.anthropic.calls import decode_request_call, encode_arguments
from adapters.anthropic.extras import keep, unread
from adapters.anthropic.fields import NAME, PLACEHOLDER
from adapters.anthropic.media import decode_document, decode_image, encode_media
from adapters.anthropic.names import wire_id, wire_name
from adapters.anthropic.notes import Notes
from adapters.anthropic.thinking import decode_redacted, decode_thinking, encode_request_thinking
from adapters.model.loss import LossReason
from adapters.model.message import (
    Json,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ResultPart,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from adapters.wire.fields import Fields, wrong_type

BlockReader = Callable[[Fields], Part]


def decode_content(fields: Fields, readers: Mapping[str, BlockReader]) -> list[Part] | None:
    """The parts in ``content``, which is text or an array of blocks; ``None`` if there is no such field.

    Blocks of types that are not among ``readers`` are kept as they are, for this dialect alone: the API gets new ones.
    """
    value, path = fields.any("content"), fields.path_of("content")
    if value is None:
        return None
    if isinstance(value, str):
        return [Text(value)]
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array", value)
    return [_decode_block(block, f"{path}[{index}]", readers) for index, block in enumerate(value)]


def decode_system(value: Any, path: str) -> list[Part]:
    """The parts of the top-level system prompt, which is text or an array of text blocks."""
    if isinstance(value, str):
        return [Text(value)]
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array", value)
    return [_decode_block(block, f"{path}[{index}]", SYSTEM_BLOCKS) for index, block in enumerate(value)]


def _decode_block(value: Any, path: str, readers: Mapping[str, BlockReader]) -> Part:
    block = Fields(value, path)
    whole = dict(block.rest())
    kind = block.need_string("type")
    reader = readers.get(kind)
    if reader is not None:
        return reader(block)
    if kind in _KNOWN_TYPES:
        raise block.error("type", f"must be one of {', '.join(readers)} here")
    return Opaque(NAME, whole)


def _decode_text(block: Fields) -> Text:
    text = block.string("text")
    if text is None:
        raise block.error("text", "is required", code="missing_required_field")
    path = block.path_of("citations")
    citations = block.array("citations") or []
    for index, citation in enumerate(citations):
        Fields(citation, f"{path}[{index}]")
    cache, beside_cache = decode_cache(block)
    return Text(text, tuple(citations), cache, keep(unread(block, cache_control=beside_cache)))


def _decode_call(block: Fields) -> ToolCall:
    call = decode_request_call(block)
    cache, beside_cache = decode_cache(block)
    return replace(call, cache=cache, extra=keep(unread(block, cache_control=beside_cache)))


def _decode_result(block: Fields) -> ToolResult:
    call_id = block.need_string("tool_use_id")
    parts: list[ResultPart] = []
    for part in decode_content(block, RESULT_BLOCKS) or []:
        assert isinstance(part, Text | Media | Opaque)
        parts.append(part)
    is_error = block.boolean("is_error")
    cache, beside_cache = decode_cache(block)
    return ToolResult(call_id, tuple(parts), is_error, cache, keep(unread(block, cache_control=beside_cache)))


SYSTEM_BLOCKS: dict[str, BlockReader] = {"text": _decode_text}
RESULT_BLOCKS: dict[str, BlockReader] = {"text": _decode_text, "image": decode_image, "document": decode_document}
BLOCKS_OF_ROLES: dict[str, dict[str, BlockReader]] = {
    "user": {**RESULT_BLOCKS, "tool_result": _decode_result},
    "assistant": {
        "text": _decode_text,
        "thinking": decode_thinking,
        "redacted_thinking": decode_redacted,
        "tool_use": _decode_call,
    },
    "system": SYSTEM_BLOCKS,
}
_KNOWN_TYPES = frozenset(kind for readers in BLOCKS_OF_ROLES.values() for kind in readers)


def encode_part(part: Part, path: str, role: Role, notes: Notes) -> Json | None:
    """The block for a part of a message that has ``role``; ``None`` if there is none."""
    match part:
        case Text():
            return _encode_text(part, path, notes)
        case Refusal():
            notes.lose(path, LossReason.APPROXIMATED, "a refusal is written as text")
            return {"type": "text", "text": part.text}
        case Opaque():
            return dict(part.payload) if part.dialect == NAME else None
        case Media() if role is Role.USER:
            return encode_media(part, path, notes)
        case Media():
            notes.lose(path, LossReason.UNSUPPORTED, "only user messages and tool results hold media")
        case Reasoning():
            return _encode_reasoning(part, path, role, notes)
        case ToolCall() if role is Role.ASSISTANT:
            return _encode_call(part, path, notes)
        case ToolCall():
            notes.lose(path, LossReason.UNSUPPORTED, "only assistant messages hold tool calls")
        case ToolResult() if role is Role.USER:
            return _encode_result(part, path, notes)
        case ToolResult():
            notes.lose(path, LossReason.UNSUPPORTED, "only user messages hold tool results")
        case _:
            assert_never(part)
    return None


def is_blank(part: Part) -> bool:
    """Whether it is text without anything but white space, which is refused as a block."""
    return isinstance(part, Text | Refusal) and not part.text.strip()


def is_citation(citation: Json) -> bool:
    """Whether it has the form of one of this API's: each names a location."""
    kind = citation.get("type")
    return isinstance(kind, str) and kind.endswith("_location")


def _encode_text(part: Text, path: str, notes: Notes) -> Json:
    block: Json = {"type": "text", "text": part.text}
    citations = [citation for citation in part.citations if is_citation(citation)]
    if len(citations) < len(part.citations):
        notes.lose(f"{path}.citations", LossReason.UNSUPPORTED, "citations of other forms are not taken")
    if citations:
        block["citations"] = citations
    return notes.mark(block, part.cache, part.extra, path)


def _encode_reasoning(part: Reasoning, path: str, role: Role, notes: Notes) -> Json | None:
    if role is not Role.ASSISTANT:
        notes.lose(path, LossReason.UNSUPPORTED, "only assistant messages hold reasoning")
        return None
    block = encode_request_thinking(part)
    if block is None:
        # Refused without a signature of its own, and as text it would be taken for something said (THK-11).
        notes.lose(path, LossReason.UNSUPPORTED, "reasoning of another origin is withheld")
    return block


def _encode_call(part: ToolCall, path: str, notes: Notes) -> Json:
    arguments = encode_arguments(part.arguments)
    block: Json = {"type": "tool_use", "id": wire_id(part.id), "name": wire_name(part.name), "input": arguments}
    if arguments is None:
        notes.lose(f"{path}.arguments", LossReason.INVALID, "the arguments must be a JSON object")  # TOOL-17
        block["input"] = {}
    return notes.mark(block, part.cache, part.extra, path)


def _encode_result(part: ToolResult, path: str, notes: Notes) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": wire_id(part.call_id)}
    blocks = [] if part.parts == (Text(""),) else _encode_result_parts(part, path, notes)
    if blocks:
        block["content"] = as_text(blocks)
    elif part.is_error:
        # "content cannot be empty if `is_error` is true", says the API.
        notes.lose(f"{path}.parts", LossReason.APPROXIMATED, "a failed call must say something: a placeholder does")
        block["content"] = PLACEHOLDER
    elif part.parts == (Text(""),):
        block["content"] = ""
    if part.is_error is not None:
        block["is_error"] = part.is_error
    return notes.mark(block, part.cache, part.extra, path)


def _encode_result_parts(part: ToolResult, path: str, notes: Notes) -> list[Json]:
    blocks: list[Json] = []
    for index, inner in enumerate(part.parts):
        inner_path = f"{path}.parts[{index}]"
        if is_blank(inner):
            notes.lose(inner_path, LossReason.APPROXIMATED, "blank text is left out")
            continue
        block = encode_part(inner, inner_path, Role.USER, notes)
        if block is not None:
            blocks.append(block)
    return blocks


def as_text(blocks: list[Json]) -> str | list[Json]:
    """Content as it is mostly written: one text block with nothing beside its text as that text."""
    match blocks:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case _:
            return blocks
