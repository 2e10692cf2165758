"""Content blocks: Bedrock Converse's, each an object with exactly one key."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import assert_never

import orjson

from adapters.bedrock_sse.calls import decode_call, encode_arguments, encode_call
from adapters.bedrock_sse.extra import keep, kept_in, with_kept
from adapters.bedrock_sse.fields import FORMATS, MIME_ALIASES, MIME_FORMATS, NAME
from adapters.contract import DecodeError, EncodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import (
    FileId,
    Inline,
    Json,
    Media,
    MediaKind,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ResultPart,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.inline_data import clean_base64, is_data_url, read_data_url

BlockReader = Callable[[object, str], Part]

PLACEHOLDER = "(empty)"
"""Stands where nothing but white space is left, which Converse refuses (ROLE-07, TRES-14)."""

_STATUSES = {"error": True, "success": False}
_NO_CACHE = "there are no cache marks"


def decode_block(value: object, path: str, readers: Mapping[str, BlockReader]) -> Part:
    """The part in a block that is one of ``readers``. Raises ``DecodeError`` for any other block (Q25)."""
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    names = [name for name, inner in value.items() if inner is not None]
    if len(names) != 1 or names[0] not in readers:
        problem = f"{path} must be an object with exactly one of these keys: {', '.join(readers)}"
        raise DecodeError(problem, param=path, code="invalid_content_block")
    return readers[names[0]](value[names[0]], f"{path}.{names[0]}")


def _decode_text(value: object, path: str) -> Text:
    if not isinstance(value, str):
        raise wrong_type(path, "a string", value)
    return Text(value)


def _decode_json(value: object, path: str) -> Text:
    """Q26: kept as the JSON text; the mark lets this dialect write the block back."""
    return Text(orjson.dumps(value).decode(), extra={NAME: {"json": True}})


def _decode_media(value: object, path: str, kind: MediaKind) -> Media:
    media = Fields(value, path)
    wire_format = media.choice("format", FORMATS[kind])
    if wire_format is None:
        raise media.error("format", "is required", code="missing_required_field")
    source, beside_source = _decode_source(media.need_fields("source"))
    name = None
    if kind is MediaKind.DOCUMENT:
        name = media.string("name") or _document_name(wire_format)
    extra = keep(media.rest(), source=beside_source)
    return Media(kind, source, FORMATS[kind][wire_format], name, extra=extra)


def _decode_source(source: Fields) -> tuple[Source, Json]:
    """The source, and the fields beside it that the model has no place for."""
    data, location = source.string("bytes"), source.fields("s3Location")
    if (data is None) == (location is None):
        problem = f"{source.path} must hold either bytes or s3Location"
        raise DecodeError(problem, param=source.path, code="invalid_value")
    if location is not None:
        uri = location.need_string("uri")
        if not uri.startswith("s3://"):
            raise location.error("uri", "must start with s3://")
        return Url(uri), kept_in(keep(source.rest(), s3Location=location.rest()))
    assert data is not None
    param = source.path_of("bytes")
    data = clean_base64(read_data_url(data, param)[1] if is_data_url(data) else data, param)  # Q32
    if not data:
        raise source.error("bytes", "must not be empty")
    return Inline(data), source.rest()


def _decode_tool_call(value: object, path: str) -> ToolCall:
    call = decode_call(value, path)
    if call.id is None:
        raise Fields(value, path).error("toolUseId", "is required", code="missing_required_field")
    return ToolCall(call.id, call.name, call.arguments, extra=keep(call.rest))


def _decode_tool_result(value: object, path: str) -> ToolResult:
    result = Fields(value, path)
    call_id = result.need_string("toolUseId")
    content, inside = result.array("content"), result.path_of("content")
    if content is None:
        raise result.error("content", "is required", code="missing_required_field")
    parts: list[ResultPart] = []
    for index, block in enumerate(content):
        part = decode_block(block, f"{inside}[{index}]", RESULT_BLOCKS)
        assert isinstance(part, Text | Media)
        parts.append(part)
    status = result.choice("status", _STATUSES)
    is_error = None if status is None else _STATUSES[status]
    return ToolResult(call_id, tuple(parts), is_error, extra=keep(result.rest()))


_CONTENT_BLOCKS: dict[str, BlockReader] = {
    "text": _decode_text,
    **{kind.value: partial(_decode_media, kind=kind) for kind in FORMATS},
}
BLOCKS_BY_ROLE: dict[str, dict[str, BlockReader]] = {
    "user": {**_CONTENT_BLOCKS, "toolResult": _decode_tool_result},
    "assistant": {**_CONTENT_BLOCKS, "toolUse": _decode_tool_call},
    "system": _CONTENT_BLOCKS,
}
RESULT_BLOCKS: dict[str, BlockReader] = {**_CONTENT_BLOCKS, "json": _decode_json}


def encode_part(part: Part, path: str, losses: list[Loss]) -> Json | None:
    """The block for a part; ``None`` if there is none."""
    match part:
        case Text():
            return _encode_text(part, path, losses)
        case Media():
            return _encode_media(part, path, losses)
        case ToolCall():
            return _encode_tool_call(part, path, losses)
        case ToolResult():
            return _encode_tool_result(part, path, losses)
        case Refusal():
            losses.append(Loss(path, LossReason.APPROXIMATED, "a refusal is written as text"))
            return {"text": part.text}
        case Opaque():
            return part.payload if part.dialect == NAME else None
        case Reasoning():
            losses.append(Loss(path, LossReason.UNSUPPORTED, "there is no block for reasoning"))
        case _:
            assert_never(part)
    return None


def needs_bytes(media: Media) -> bool:
    """Whether it must be inline: no address but one in S3 is taken (Q29)."""
    in_s3 = isinstance(media.source, Url) and media.source.url.startswith("s3://")
    return media.kind is not MediaKind.AUDIO and not in_s3


def without_blanks(blocks: list[tuple[str, Json]], losses: list[Loss]) -> list[Json]:
    """The blocks less those of white space alone; if there is nothing else, a placeholder for the first of them.

    ``blocks`` are pairs of a part's path and its block.
    """
    said: list[Json] = []
    blanks: list[str] = []
    for path, block in blocks:
        if str(block.get("text", PLACEHOLDER)).strip():
            said.append(block)
        else:
            blanks.append(path)
    if blanks and not said:
        losses.append(Loss(blanks.pop(0), LossReason.APPROXIMATED, "blank text is refused: a placeholder is sent"))
        said.append({"text": PLACEHOLDER})
    losses += [Loss(path, LossReason.APPROXIMATED, "blank text is left out") for path in blanks]
    return said


def _encode_text(part: Text, path: str, losses: list[Loss]) -> Json:
    text_losses(part, path, losses)
    if kept_in(part.extra).get("json") is True and _is_json(part.text):
        return {"json": orjson.Fragment(part.text)}
    return {"text": part.text}


def text_losses(part: Text, path: str, losses: list[Loss]) -> None:
    """Reports what a text carries beside its words."""
    if part.citations:
        losses.append(Loss(f"{path}.citations", LossReason.UNSUPPORTED, "there is no field for citations"))
    _cache_loss(part, path, losses)


def _encode_media(part: Media, path: str, losses: list[Loss]) -> Json | None:
    problem = _media_problem(part)
    if problem is not None:
        losses.append(Loss(path, LossReason.UNSUPPORTED, problem))
        return None
    mime_type = _plain_mime_type(part)
    wire_format = MIME_FORMATS[part.kind][mime_type]
    if part.mime_type != mime_type:
        losses.append(Loss(f"{path}.mime_type", LossReason.APPROXIMATED, f"written as {wire_format}"))
    if part.detail is not None:
        losses.append(Loss(f"{path}.detail", LossReason.UNSUPPORTED, "there is no resolution hint"))
    _cache_loss(part, path, losses)
    written: Json = {"format": wire_format}
    if part.kind is MediaKind.DOCUMENT:
        written["name"] = part.name or _document_name(wire_format)
        if not part.name:
            losses.append(Loss(f"{path}.name", LossReason.APPROXIMATED, "a document needs a name: one was made up"))
    elif part.name is not None:
        losses.append(Loss(f"{path}.name", LossReason.UNSUPPORTED, "only documents have names"))
    written["source"] = _encode_source(part.source)
    return {part.kind.value: with_kept(written, kept_in(part.extra))}


def _media_problem(part: Media) -> str | None:
    if part.kind not in FORMATS:
        return f"there is no {part.kind} block"
    if isinstance(part.source, FileId):
        return "takes bytes only, not file ids"
    if isinstance(part.source, Url) and not part.source.url.startswith("s3://"):
        return "takes bytes only, not addresses"
    if _plain_mime_type(part) not in MIME_FORMATS[part.kind]:
        return f"takes only {', '.join(FORMATS[part.kind])}"
    return None


def _encode_source(source: Source) -> Json:
    match source:
        case Inline():
            return {"bytes": source.data}
        case Url():
            return {"s3Location": {"uri": source.url}}
        case FileId():
            raise EncodeError("a file id has no place in a block")


def _plain_mime_type(part: Media) -> str:
    mime_type = (part.mime_type or "").partition(";")[0].strip().lower()
    return MIME_ALIASES.get(mime_type, mime_type)


def _document_name(wire_format: str) -> str:
    return f"document.{wire_format}"  # Q31


def _encode_tool_call(part: ToolCall, path: str, losses: list[Loss]) -> Json:
    arguments = encode_arguments(part.arguments)
    if arguments is None:
        losses.append(Loss(f"{path}.arguments", LossReason.INVALID, "the arguments must be a JSON object"))
        arguments = orjson.Fragment("{}")
    _cache_loss(part, path, losses)
    return {"toolUse": encode_call(part, arguments)}


def _encode_tool_result(part: ToolResult, path: str, losses: list[Loss]) -> Json:
    blocks: list[tuple[str, Json]] = []
    for index, inner in enumerate(part.parts):
        inner_path = f"{path}.parts[{index}]"
        block = encode_part(inner, inner_path, losses)
        if block is not None:
            blocks.append((inner_path, block))
    _cache_loss(part, path, losses)
    written: Json = {"toolUseId": part.call_id, "content": without_blanks(blocks, losses)}
    if part.is_error is not None:
        written["status"] = "error" if part.is_error else "success"
    return {"toolResult": with_kept(written, kept_in(part.extra))}


def _cache_loss(part: Text | Media | ToolCall | ToolResult, path: str, losses: list[Loss]) -> None:
    if part.cache is not None:
        losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, _NO_CACHE))


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
