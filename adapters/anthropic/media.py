"""Images and documents."""

import base64
from collections.abc import Callable

from adapters.anthropic.cache import decode_cache
from adapters.anthropic.extras import keep, own, unread
from adapters.anthropic.fields import (
    IMAGE_TYPES,
    MIME_ALIASES,
    NAME,
    PDF,
    PLAIN_TEXT,
    SIGNATURES,
    TEXT_TYPES,
    WEBP,
)
from adapters.anthropic.notes import Notes
from adapters.model.loss import LossReason
from adapters.model.message import FileId, Inline, Json, Media, MediaKind, Opaque, Source, Url
from adapters.wire.fields import Fields
from adapters.wire.inline_data import clean_base64, is_data_url, read_data_url

_URL_SCHEMES = ("https:", "http:")
_FILE: Json = {"type": "file"}
"""Kept as the source of media named by a file id: no other provider knows the file (MED-15)."""


def decode_image(block: Fields) -> Media:
    """The image in a block."""
    source = block.need_fields("source")
    kind = source.need_string("type")
    mime_type: str | None = None
    found: Source
    if kind == "base64":
        mime_type = source.need_string("media_type").lower()
        mime_type = MIME_ALIASES.get(mime_type, mime_type)
        if mime_type not in IMAGE_TYPES:
            raise source.error("media_type", f"must be one of {', '.join(IMAGE_TYPES)}")
        found = _decode_data(source)
    elif kind == "url":
        mime_type, found = _decode_url(source)
    elif kind == "file":
        found = FileId(source.need_string("file_id"))
    else:
        raise source.error("type", "must be one of base64, url, file")
    cache, beside_cache = decode_cache(block)
    extra = keep(unread(block, source=_beside(source, found), cache_control=beside_cache))
    return Media(MediaKind.IMAGE, found, mime_type, cache=cache, extra=extra)


def decode_document(block: Fields) -> Media | Opaque:
    """The document in a block; one made of content blocks is understood by this dialect alone."""
    whole = {"type": "document", **block.rest()}
    source = block.need_fields("source")
    kind = source.need_string("type")
    mime_type: str | None = None
    found: Source
    if kind == "content":
        return Opaque(NAME, whole)
    if kind == "base64":
        if source.need_string("media_type").lower() != PDF:
            raise source.error("media_type", f"must be {PDF}")
        mime_type, found = PDF, _decode_data(source)
    elif kind == "text":
        if (source.string("media_type") or PLAIN_TEXT).lower() != PLAIN_TEXT:
            raise source.error("media_type", f"must be {PLAIN_TEXT}")
        text = source.string("data")
        if text is None:
            raise source.error("data", "is required", code="missing_required_field")
        mime_type, found = PLAIN_TEXT, Inline(base64.b64encode(text.encode()).decode())
    elif kind == "url":
        mime_type, found = _decode_url(source)
        mime_type = mime_type or PDF  # the only documents that are fetched: url_pdf_source_param.py
    elif kind == "file":
        found = FileId(source.need_string("file_id"))
    else:
        raise source.error("type", "must be one of base64, text, content, url, file")
    name = block.string("title")
    cache, beside_cache = decode_cache(block)
    extra = keep(unread(block, source=_beside(source, found), cache_control=beside_cache))
    return Media(MediaKind.DOCUMENT, found, mime_type, name, cache=cache, extra=extra)


def _decode_data(source: Fields) -> Inline:
    return Inline(clean_base64(source.need_string("data"), source.path_of("data")))


def _decode_url(source: Fields) -> tuple[str | None, Source]:
    url = source.need_string("url")
    if is_data_url(url):
        mime_type, data = read_data_url(url, source.path_of("url"))
        return mime_type, Inline(data)
    return None, Url(url)


def _beside(source: Fields, found: Source) -> Json:
    rest = unread(source)
    return _FILE | rest if isinstance(found, FileId) else rest


def needs_bytes(media: Media) -> bool:
    """Whether it must be inline: images and PDFs can be named by address, text files cannot."""
    return media.kind is MediaKind.DOCUMENT and (media.mime_type or "").startswith("text/")


def encode_media(media: Media, path: str, notes: Notes) -> Json | None:
    """The block, ``None`` if there is none for it."""
    encode = _ENCODERS.get(media.kind)
    if encode is None:
        notes.lose(path, LossReason.UNSUPPORTED, f"messages cannot hold {media.kind}")  # MED-18
        return None
    source = _encode_by_name(media, path, notes) if isinstance(media.source, FileId) else encode(media, path, notes)
    if source is None:
        return None
    block: Json = {"type": media.kind.value, "source": source}
    if media.detail is not None:
        notes.lose(f"{path}.detail", LossReason.UNSUPPORTED, "there is no resolution hint")
    if media.name is not None:
        if media.kind is MediaKind.DOCUMENT:
            block["title"] = media.name
        else:
            notes.lose(f"{path}.name", LossReason.UNSUPPORTED, "only documents have a title")
    return notes.mark(block, media.cache, media.extra, path)


def _encode_by_name(media: Media, path: str, notes: Notes) -> Json | None:
    assert isinstance(media.source, FileId)
    if own(media.extra).get("source", {}).get("type") != "file":
        notes.lose(path, LossReason.UNSUPPORTED, "a file id is known to one provider only")
        return None
    if media.mime_type is not None:
        notes.lose(f"{path}.mime_type", LossReason.UNSUPPORTED, "the file itself has its type")
    return {"type": "file", "file_id": media.source.id}


def _encode_image(media: Media, path: str, notes: Notes) -> Json | None:
    if isinstance(media.source, Url):
        return _encode_url(media, path, notes)
    assert isinstance(media.source, Inline)
    mime_type = _true_type(media)
    if mime_type not in IMAGE_TYPES:
        notes.lose(path, LossReason.UNSUPPORTED, "images must be JPEG, PNG, GIF or WebP")
        return None
    _report_type(media, mime_type, path, notes)
    return {"type": "base64", "media_type": mime_type, "data": media.source.data}


def _encode_document(media: Media, path: str, notes: Notes) -> Json | None:
    if isinstance(media.source, Url):
        if media.mime_type not in (PDF, None):
            notes.lose(path, LossReason.UNSUPPORTED, "only PDF documents are fetched")
            return None
        return _encode_url(media, path, notes)
    assert isinstance(media.source, Inline)
    mime_type = _true_type(media)
    if mime_type == PDF:
        _report_type(media, PDF, path, notes)
        return {"type": "base64", "media_type": PDF, "data": media.source.data}
    text = _text_in(media.source.data) if mime_type.startswith("text/") or mime_type in TEXT_TYPES else None
    if text is None:
        notes.lose(path, LossReason.UNSUPPORTED, "documents must be PDF or plain text")
        return None
    _report_type(media, PLAIN_TEXT, path, notes)
    return {"type": "text", "media_type": PLAIN_TEXT, "data": text}


def _encode_url(media: Media, path: str, notes: Notes) -> Json | None:
    assert isinstance(media.source, Url)
    if not media.source.url.lower().startswith(_URL_SCHEMES):
        notes.lose(path, LossReason.UNSUPPORTED, "only web addresses are fetched")
        return None
    if media.kind is MediaKind.IMAGE and media.mime_type is not None:
        notes.lose(f"{path}.mime_type", LossReason.UNSUPPORTED, "an address carries no type")
    if media.kind is MediaKind.DOCUMENT and media.mime_type is None:
        notes.lose(f"{path}.mime_type", LossReason.APPROXIMATED, "it is taken for a PDF")
    return {"type": "url", "url": media.source.url}


_ENCODERS: dict[MediaKind, Callable[[Media, str, Notes], Json | None]] = {
    MediaKind.IMAGE: _encode_image,
    MediaKind.DOCUMENT: _encode_document,
}


def _true_type(media: Media) -> str:
    """The type that the bytes show, else the one they are said to have (MED-05, MED-06)."""
    assert isinstance(media.source, Inline)
    data = media.source.data
    for beginning, mime_type in SIGNATURES:
        if data.startswith(beginning):
            return mime_type
    if data.startswith(WEBP[0]) and data[11:16] == WEBP[1]:
        return "image/webp"
    mime_type = (media.mime_type or "").partition(";")[0].strip().lower()
    return MIME_ALIASES.get(mime_type, mime_type)


def _report_type(media: Media, mime_type: str, path: str, notes: Notes) -> None:
    if media.mime_type != mime_type:
        notes.lose(f"{path}.mime_type", LossReason.APPROXIMATED, f"it is sent as {mime_type}")


def _text_in(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError:  # not base64, or not UTF-8
        return None
