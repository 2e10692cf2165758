"""Parts of a request's messages, as blocks."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import assert_never

import orjson

from adapters.bedrock_converse.blocks import cache_point, text_block
from adapters.bedrock_converse.citations import encode_cited_text
from adapters.bedrock_converse.exact import is_json, object_text
from adapters.bedrock_converse.extra import kept_in, with_kept
from adapters.bedrock_converse.families import Family
from adapters.bedrock_converse.fields import CACHE_TTLS, MOST_CACHE_POINTS, NAME
from adapters.bedrock_converse.media import another_name, encode_media
from adapters.bedrock_converse.names import wire_id, wire_name
from adapters.bedrock_converse.reasoning import encode_sent_reasoning
from adapters.model.loss import Loss, LossReason
from adapters.model.message import (
    CacheHint,
    Json,
    Media,
    MediaKind,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)

PLACEHOLDER = "(empty)"
"""Stands where nothing but white space is left, which Converse refuses (ROLE-07, TRES-14)."""
TOO_MANY_MARKS = f"only {MOST_CACHE_POINTS} cache marks are taken"


@dataclass(slots=True)
class Writing:
    """What is known and remembered while a request is written.

    ``unmarked`` are the paths whose cache marks are too many, ``lonely`` those of calls without results and the other
    way round, ``names`` the documents' names so far.
    """

    family: Family
    losses: list[Loss]
    unmarked: Collection[str] = ()
    lonely: Collection[str] = ()
    names: set[str] = field(default_factory=set)

    def lose(self, path: str, reason: LossReason, detail: str) -> None:
        self.losses.append(Loss(path, reason, detail))


def encode_part(part: Part, path: str, role: str, writing: Writing) -> list[Json]:
    """The block for a part of a message that has ``role`` on the wire, with its cache point; empty if there is none."""
    if isinstance(part, Opaque) and path in writing.unmarked:
        writing.lose(path, LossReason.UNSUPPORTED, TOO_MANY_MARKS)
        return []
    if path in writing.lonely:
        writing.lose(path, LossReason.UNSUPPORTED, "a call needs its result in the next turn, and a result its call")
        return []
    block = _encode_block(part, path, role, writing)
    if block is None:
        return []
    if isinstance(part, Text | Media | ToolCall | ToolResult):
        return [block, *encode_cache(part.cache, path, writing)]
    return [block]


def encode_cache(hint: CacheHint | None, path: str, writing: Writing, *, tool: bool = False) -> list[Json]:
    """The cache point for a mark at ``path``, or none."""
    if hint is None:
        return []
    if not writing.family.cache or (tool and not writing.family.tool_cache):
        writing.lose(f"{path}.cache", LossReason.UNSUPPORTED, "this model takes no cache mark there")
        return []
    if path in writing.unmarked:
        writing.lose(f"{path}.cache", LossReason.UNSUPPORTED, TOO_MANY_MARKS)
        return []
    if hint.ttl is None or hint.ttl in CACHE_TTLS:
        return [cache_point(hint.ttl)]
    writing.lose(f"{path}.cache.ttl", LossReason.UNSUPPORTED, "a cache mark lasts 5m or 1h")
    return [cache_point(None)]


def without_blanks(groups: list[tuple[str, list[Json]]], losses: list[Loss]) -> list[Json]:
    """The blocks less those of white space alone; if there is nothing else, a placeholder for the first of them.

    ``groups`` are pairs of a part's path and its blocks; a cache point goes with the text that it marks.
    """
    said: list[Json] = []
    blanks: list[str] = []
    for path, blocks in groups:
        if str(blocks[0].get("text", PLACEHOLDER)).strip():
            said += blocks
        else:
            blanks.append(path)
    if blanks and not said:
        losses.append(Loss(blanks.pop(0), LossReason.APPROXIMATED, "blank text is refused: a placeholder is sent"))
        said.append({"text": PLACEHOLDER})
    losses += [Loss(path, LossReason.APPROXIMATED, "blank text is left out") for path in blanks]
    return said


def _encode_block(part: Part, path: str, role: str, writing: Writing) -> Json | None:
    match part:
        case Text():
            return _encode_text(part, path, role, writing)
        case Media():
            return _encode_medium(part, path, writing)
        case ToolCall() if role == "assistant":
            return _encode_call(part, path, writing)
        case ToolResult() if role == "user":
            return _encode_result(part, path, writing)
        case Reasoning() if role == "assistant":
            return encode_sent_reasoning(part, path, writing.losses)
        case Refusal():
            writing.lose(path, LossReason.APPROXIMATED, "a refusal is sent as text")
            return {"text": part.text}
        case Opaque():
            return part.payload if part.dialect == NAME else None
        case ToolCall():
            writing.lose(path, LossReason.UNSUPPORTED, "only assistant messages hold tool calls")
        case ToolResult():
            writing.lose(path, LossReason.UNSUPPORTED, "only user and tool messages hold tool results")
        case Reasoning():
            writing.lose(path, LossReason.UNSUPPORTED, "only assistant messages hold reasoning")
        case _:
            assert_never(part)
    return None


def _encode_text(part: Text, path: str, role: str, writing: Writing) -> Json:
    kept = kept_in(part.extra)
    if part.citations and role == "assistant":
        cited = encode_cited_text(part, path, writing.losses)
        if cited is not None:
            return {"citationsContent": with_kept(cited, kept)}
    elif part.citations:
        writing.lose(f"{path}.citations", LossReason.UNSUPPORTED, "only assistant messages hold citations")
    if kept.get("json") is True and not is_json(part.text):
        return {"text": part.text}
    return text_block(part, kept)


def _encode_medium(part: Media, path: str, writing: Writing) -> Json | None:
    written = encode_media(part, path, writing.family, writing.losses)
    if written is None:
        return None
    if part.kind is MediaKind.DOCUMENT:
        name = another_name(written["name"], writing.names)
        writing.names.add(name)
        if name != written["name"] and written["name"] == part.name:
            writing.lose(f"{path}.name", LossReason.APPROXIMATED, f"sent as {name!r}: names must differ")
        written["name"] = name
    guarded = kept_in(part.extra).get("guardContent")
    if isinstance(guarded, dict):
        return {"guardContent": {**guarded, part.kind.value: written}}
    return {part.kind.value: written}


def _encode_call(part: ToolCall, path: str, writing: Writing) -> Json:
    arguments = object_text(part.arguments)
    if arguments is None:
        writing.lose(f"{path}.arguments", LossReason.INVALID, "the arguments must be a JSON object")
        arguments = orjson.Fragment("{}")
    return {"toolUse": encode_call(part, arguments)}


def encode_call(part: ToolCall, arguments: orjson.Fragment) -> Json:
    """The content of a ``toolUse`` block. ``arguments`` are the call's own, as ``object_text`` gives them."""
    written = {"toolUseId": wire_id(part.id), "name": wire_name(part.name), "input": arguments}
    return with_kept(written, kept_in(part.extra))


def _encode_result(part: ToolResult, path: str, writing: Writing) -> Json:
    groups: list[tuple[str, list[Json]]] = []
    for index, inner in enumerate(part.parts):
        inner_path = f"{path}.parts[{index}]"
        if isinstance(inner, Media) and inner.kind is MediaKind.AUDIO:
            writing.lose(inner_path, LossReason.UNSUPPORTED, "a tool result cannot hold audio")
            continue
        block = _encode_block(inner, inner_path, "user", writing)
        if not isinstance(inner, Opaque) and inner.cache is not None and block is not None:
            writing.lose(f"{inner_path}.cache", LossReason.UNSUPPORTED, "there are no cache marks inside a tool result")
        if block is not None:
            groups.append((inner_path, [block]))
    content = without_blanks(groups, writing.losses)
    if not content:
        writing.lose(f"{path}.parts", LossReason.APPROXIMATED, "a result must not be empty: a placeholder is sent")
        content = [{"text": PLACEHOLDER}]
    written: Json = {"toolUseId": wire_id(part.call_id), "content": content}
    if part.is_error is not None and writing.family.result_status:
        written["status"] = "error" if part.is_error else "success"
    elif part.is_error:
        writing.lose(f"{path}.is_error", LossReason.UNSUPPORTED, "this model takes no status with a tool result")
    return {"toolResult": with_kept(written, kept_in(part.extra))}
