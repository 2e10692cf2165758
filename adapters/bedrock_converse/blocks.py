"""Content blocks: objects with exactly one key, the same in requests and answers."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from adapters.bedrock_converse.citations import decode_cited_text
from adapters.bedrock_converse.exact import json_text, plain_value
from adapters.bedrock_converse.extra import keep
from adapters.bedrock_converse.fields import NAME, RESULT_STATUSES
from adapters.bedrock_converse.media import decode_media
from adapters.bedrock_converse.reasoning import decode_reasoning
from adapters.contract import DecodeError
from adapters.model.message import (
    CacheHint,
    Json,
    Media,
    MediaKind,
    Opaque,
    Part,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
)
from adapters.wire.fields import Fields, wrong_type

BlockReader = Callable[[Any, str], Part]

SERVER_RUN = "server_tool_use"
_CLIENT_RUN = "tool_use"
"""What the live API adds to calls for the client, against its own model; it says nothing."""


def decode_blocks(values: list[Any], path: str, readers: Mapping[str, BlockReader]) -> list[Part]:
    """The parts of a list of blocks. A cache point marks the part before it, where that can hold the mark."""
    parts: list[Part] = []
    for index, value in enumerate(values):
        part = decode_block(value, f"{path}[{index}]", readers)
        hint = _cache_hint(part)
        marked = None if hint is None or not parts else with_cache(parts[-1], hint)
        if marked is None:
            parts.append(part)
        else:
            parts[-1] = marked
    return parts


def decode_block(value: Any, path: str, readers: Mapping[str, BlockReader]) -> Part:
    """The part in one block; a kind of block that is newer than this code is kept as it is. Raises ``DecodeError``."""
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    names = [name for name, inner in value.items() if inner is not None]
    if len(names) != 1 or (names[0] in _ALL_BLOCKS and names[0] not in readers):
        problem = f"{path} must be an object with exactly one of these keys: {', '.join(readers)}"
        raise DecodeError(problem, param=path, code="invalid_content_block")
    reader = readers.get(names[0])
    if reader is None:
        return Opaque(NAME, plain_value(value))
    return reader(value[names[0]], f"{path}.{names[0]}")


def with_cache(part: Part, hint: CacheHint) -> Part | None:
    """The part with the mark after it; ``None`` if it cannot hold one, or has one."""
    match part:
        case Text(cache=None):
            return Text(part.text, part.citations, hint, part.extra)
        case Media(cache=None):
            return Media(part.kind, part.source, part.mime_type, part.name, part.detail, hint, part.extra)
        case ToolCall(cache=None):
            return ToolCall(part.id, part.name, part.arguments, hint, part.extra)
        case ToolResult(cache=None):
            return ToolResult(part.call_id, part.parts, part.is_error, hint, part.extra)
        case _:
            return None


def read_cache_point(payload: Any) -> CacheHint | None:
    """The mark in a cache point, ``None`` if it says more than a mark can."""
    if not isinstance(payload, dict) or payload.get("type") != "default" or not payload.keys() <= {"type", "ttl"}:
        return None
    ttl = payload.get("ttl")
    return CacheHint(ttl) if ttl is None or isinstance(ttl, str) else None


def _cache_hint(part: Part) -> CacheHint | None:
    if not isinstance(part, Opaque) or part.payload.keys() != {"cachePoint"}:
        return None
    return read_cache_point(part.payload["cachePoint"])


def _decode_text(value: Any, path: str) -> Text:
    if not isinstance(value, str):
        raise wrong_type(path, "a string", value)
    return Text(value)


def _decode_json(value: Any, path: str) -> Text:
    """Kept as the JSON text; the mark lets this dialect write the block back."""
    return Text(json_text(value), extra={NAME: {"json": True}})


def _decode_guarded(value: Any, path: str) -> Text | Media:
    """Text or an image that a guardrail is to look at; what it says of that stays with the part."""
    block = Fields(value, path)
    if block.has("image"):
        image = decode_media(block.object("image"), block.path_of("image"), MediaKind.IMAGE)
        inside = {**(image.extra or {}).get(NAME, {}), "guardContent": block.rest()}
        return Media(image.kind, image.source, image.mime_type, extra={NAME: inside})
    text = block.need_fields("text")
    words = text.string("text")
    if words is None:
        raise text.error("text", "is required", code="missing_required_field")
    return Text(words, extra={NAME: {"guardContent": {**block.rest(), "text": text.rest()}}})


def _decode_call(value: Any, path: str) -> ToolCall | Opaque:
    call = Fields(value, path)
    kind = call.string("type")
    if kind == SERVER_RUN:
        return Opaque(NAME, plain_value({"toolUse": value}))
    identity, name = call.need_string("toolUseId"), call.need_string("name")
    arguments = call.any("input")
    if arguments is not None and not isinstance(arguments, dict):
        raise wrong_type(call.path_of("input"), "an object", arguments)
    beside = {} if kind in (None, _CLIENT_RUN) else {"type": kind}
    return ToolCall(identity, name, json_text(arguments or {}), extra=keep({**beside, **call.rest()}))


def _decode_result(value: Any, path: str) -> ToolResult:
    result = Fields(value, path)
    call_id = result.need_string("toolUseId")
    content = result.array("content")
    if content is None:
        raise result.error("content", "is required", code="missing_required_field")
    where = result.path_of("content")
    parts: list[ResultPart] = []
    for index, block in enumerate(content):
        part = decode_block(block, f"{where}[{index}]", RESULT_BLOCKS)
        assert isinstance(part, Text | Media | Opaque)
        parts.append(part)
    status = result.choice("status", RESULT_STATUSES)
    is_error = None if status is None else RESULT_STATUSES[status]
    return ToolResult(call_id, tuple(parts), is_error, extra=keep(result.rest()))


def _keep(value: Any, path: str, name: str) -> Opaque:
    """A block that only this dialect has."""
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    return Opaque(NAME, plain_value({name: value}))


def _kept(*names: str) -> dict[str, BlockReader]:
    return {name: partial(_keep, name=name) for name in names}


_MEDIA_BLOCKS: dict[str, BlockReader] = {kind.value: partial(decode_media, kind=kind) for kind in MediaKind}
_TURN_BLOCKS: dict[str, BlockReader] = {
    "text": _decode_text,
    **_MEDIA_BLOCKS,
    "guardContent": _decode_guarded,
    "reasoningContent": decode_reasoning,
    "citationsContent": decode_cited_text,
    **_kept("cachePoint", "searchResult", "toolAddition", "toolRemoval"),
}
BLOCKS_BY_ROLE: dict[str, dict[str, BlockReader]] = {
    "user": {**_TURN_BLOCKS, "toolResult": _decode_result},
    # A result among the model's own words is that of a tool which the service ran.
    "assistant": {**_TURN_BLOCKS, "toolUse": _decode_call, **_kept("toolResult")},
    "system": _TURN_BLOCKS,
}
SYSTEM_BLOCKS: dict[str, BlockReader] = {
    "text": _decode_text,
    "guardContent": _decode_guarded,
    **_kept("cachePoint"),
}
RESULT_BLOCKS: dict[str, BlockReader] = {
    "text": _decode_text,
    "json": _decode_json,
    **{name: reader for name, reader in _MEDIA_BLOCKS.items() if name != MediaKind.AUDIO},
    **_kept("searchResult"),
}
_ALL_BLOCKS = frozenset(RESULT_BLOCKS) | frozenset().union(*BLOCKS_BY_ROLE.values())


def cache_point(ttl: str | None) -> Json:
    """The block after a marked part."""
    return {"cachePoint": {"type": "default"} if ttl is None else {"type": "default", "ttl": ttl}}


def text_block(part: Text, kept: Json) -> Json:
    """A text, in the kind of block that it came in."""
    if kept.get("json") is True:
        return {"json": orjson.Fragment(part.text)}
    guarded = kept.get("guardContent")
    if isinstance(guarded, dict):
        beside = guarded.get("text")
        return {
            "guardContent": {**guarded, "text": {"text": part.text, **(beside if isinstance(beside, dict) else {})}}
        }
    return {"text": part.text}
