"""Images, sounds, films and documents: ``{format, source}``, and a name for documents."""

import base64
import re
from collections.abc import Collection
from typing import Any

from adapters.bedrock_converse.extra import keep, kept_in, with_kept
from adapters.bedrock_converse.families import Family
from adapters.bedrock_converse.fields import FORMATS, IMAGE_BEGINNINGS, MIME_ALIASES, MIME_FORMATS
from adapters.contract import DecodeError, EncodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import FileId, Inline, Json, Media, MediaKind, Source, Url
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.inline_data import clean_base64

LONGEST_NAME = 200
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}\Z")
_OUTSIDE_NAMES = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_NAMELESS = "document"
_PLAIN_TEXT = "text/plain"


def decode_media(value: object, path: str, kind: MediaKind) -> Media:
    """The medium in a block; a document's text is bytes like any other. Raises ``DecodeError``."""
    media = Fields(value, path)
    wire_format = media.choice("format", FORMATS[kind])
    name = None
    if kind is MediaKind.DOCUMENT:
        name = media.need_string("name")
    elif wire_format is None:
        raise media.error("format", "is required", code="missing_required_field")
    source, beside_source, is_text = _decode_source(media.need_fields("source"), kind)
    mime_type = FORMATS[kind].get(wire_format or ("txt" if is_text else ""))
    return Media(kind, source, mime_type, name, extra=keep(media.rest(), source=beside_source))


def _decode_source(source: Fields, kind: MediaKind) -> tuple[Source, Json, bool]:
    """The source, the fields beside it that the model has no place for, and whether it was given as text."""
    said = [name for name in ("bytes", "s3Location", "text", "content") if source.has(name)]
    allowed = ("bytes", "s3Location", "text", "content") if kind is MediaKind.DOCUMENT else ("bytes", "s3Location")
    if len(said) != 1 or said[0] not in allowed:
        problem = f"{source.path} must hold exactly one of {', '.join(allowed)}"
        raise DecodeError(problem, param=source.path, code="invalid_value")
    if said == ["s3Location"]:
        location = source.need_fields("s3Location")
        uri = location.need_string("uri")
        if not uri.startswith("s3://"):
            raise location.error("uri", "must start with s3://")
        return Url(uri), kept_in(keep(source.rest(), s3Location=location.rest())), False
    if said == ["bytes"]:
        data = clean_base64(source.need_string("bytes"), source.path_of("bytes"))
        if not data:
            raise source.error("bytes", "must not be empty")
        return Inline(data), source.rest(), False
    if said == ["text"]:
        return _inline_text(source.need_string("text")), source.rest(), True
    chunks = source.need_array("content")
    text = "\n\n".join(
        _chunk_text(chunk, f"{source.path_of('content')}[{index}]") for index, chunk in enumerate(chunks)
    )
    return _inline_text(text), {"content": chunks, **source.rest()}, True


def _chunk_text(chunk: Any, path: str) -> str:
    if not isinstance(chunk, dict) or not isinstance(chunk.get("text"), str):
        raise wrong_type(f"{path}.text", "a string", chunk.get("text") if isinstance(chunk, dict) else chunk)
    return str(chunk["text"])


def _inline_text(text: str) -> Inline:
    return Inline(base64.b64encode(text.encode()).decode())


def needs_bytes(media: Media) -> bool:
    """Whether it must be inline: no address but one in S3 is taken (MED-01, hard-cases.md)."""
    return not (isinstance(media.source, Url) and media.source.url.startswith("s3://"))


def encode_media(part: Media, path: str, family: Family, losses: list[Loss]) -> Json | None:
    """The content of a media block; ``None`` if Converse cannot hold this medium."""
    mime_type = _true_mime_type(part)
    problem = _problem(part, mime_type)
    if problem is not None:
        losses.append(Loss(path, LossReason.UNSUPPORTED, problem))
        return None
    wire_format = MIME_FORMATS[part.kind].get(mime_type)
    if part.mime_type != mime_type and not (part.mime_type is None and wire_format is None):
        losses.append(Loss(f"{path}.mime_type", LossReason.APPROXIMATED, f"sent as {wire_format}"))
    if part.detail is not None:
        losses.append(Loss(f"{path}.detail", LossReason.UNSUPPORTED, "there is no resolution hint"))
    written: Json = {} if wire_format is None else {"format": wire_format}
    if part.kind is MediaKind.DOCUMENT:
        written["name"] = document_name(part.name)
        if written["name"] != part.name:
            losses.append(Loss(f"{path}.name", LossReason.APPROXIMATED, f"sent as {written['name']!r}"))
    elif part.name is not None:
        losses.append(Loss(f"{path}.name", LossReason.UNSUPPORTED, "only documents have names"))
    kept = kept_in(part.extra)
    beside_source = kept.get("source")
    chunks = beside_source.get("content") if isinstance(beside_source, dict) else None
    # The text itself for Claude, whose citations then count characters (MED-22); all models take bytes.
    as_text = family.claude and mime_type == _PLAIN_TEXT
    written["source"] = {"content": chunks} if chunks else _encode_source(part.source, as_text=as_text)
    return with_kept(written, {name: value for name, value in kept.items() if name != "guardContent"})


def document_name(name: str | None) -> str:
    """The nearest name that is allowed: letters, digits, single spaces, ``-()[]``, at most 200 (MED-11).

    No extension either: the format says it, and the full stop is not allowed.
    """
    cleaned = " ".join(_OUTSIDE_NAMES.sub(" ", _EXTENSION.sub("", name or "")).split())
    return cleaned[:LONGEST_NAME].strip() or _NAMELESS


def another_name(name: str, taken: Collection[str]) -> str:
    """``name``, or with a number behind it if it is taken: names must differ within a request."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST_NAME - 8].strip()} {number}"
    return free


def _problem(part: Media, mime_type: str) -> str | None:
    if isinstance(part.source, FileId):
        return "takes bytes or S3 addresses, not file ids"
    if isinstance(part.source, Url) and not part.source.url.startswith("s3://"):
        return "takes bytes or S3 addresses, not other addresses"
    if mime_type not in MIME_FORMATS[part.kind] and not (part.kind is MediaKind.DOCUMENT and part.mime_type is None):
        return f"takes only {', '.join(FORMATS[part.kind])}"
    return None


def _true_mime_type(part: Media) -> str:
    """The type as the bytes have it, where they tell, since a wrong one is refused (MED-06)."""
    if part.kind is MediaKind.IMAGE and isinstance(part.source, Inline):
        for beginning, mime_type in IMAGE_BEGINNINGS:
            if part.source.data.startswith(beginning):
                return mime_type
    mime_type = (part.mime_type or "").partition(";")[0].strip().lower()
    return MIME_ALIASES.get(mime_type, mime_type)


def _encode_source(source: Source, *, as_text: bool) -> Json:
    match source:
        case Inline():
            text = _plain_text(source.data) if as_text else None
            return {"bytes": source.data} if text is None else {"text": text}
        case Url():
            return {"s3Location": {"uri": source.url}}
        case FileId():
            raise EncodeError("a file id has no place in a block")


def _plain_text(data: str) -> str | None:
    try:
        return base64.b64decode(data).decode() or None
    except ValueError:
        return None
