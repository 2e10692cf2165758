"""Media: bytes in ``inlineData``, addresses that Google itself can read in ``fileData``."""

from adapters.gemini.extras import decode_extra, encode_extra, own_extra, unread
from adapters.gemini.fields import DOCUMENT_TYPES, FILE_ADDRESSES, MAGIC
from adapters.gemini.spelling import WireFields
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, FileId, Inline, Json, Media, MediaKind, Url
from adapters.wire.inline_data import clean_base64

_CORRECT_TYPES = {"image/jpg": "image/jpeg"}  # MED-05, hard-cases.md
_OTHER_ADDRESS = "fileUri"
"""The extra field of media from an address that only a client of this dialect may send on (it knows what it does)."""


def decode_inline_data(blob: WireFields, part: WireFields) -> Media:
    """The media in ``inlineData``; ``part`` is what it stands in."""
    mime_type = blob.need_string("mimeType").lower()
    data = clean_base64(blob.need_string("data"), blob.path_of("data"))
    name = blob.string("displayName")
    extra = decode_extra(part, inlineData=unread(blob))
    return Media(_kind(mime_type), Inline(data), mime_type, name, extra=extra)


def decode_file_data(file: WireFields, part: WireFields) -> Media:
    """The media in ``fileData``; ``part`` is what it stands in."""
    uri = file.need_string("fileUri")
    mime_type = file.string("mimeType")
    name = file.string("displayName")
    other = None if uri.startswith(FILE_ADDRESSES) else uri
    extra: Extra | None = decode_extra(part, fileData=unread(file), **{_OTHER_ADDRESS: other})
    mime_type = mime_type.lower() if mime_type else None
    kind = _kind(mime_type) if mime_type else _kind_of_address(uri)
    return Media(kind, Url(uri), mime_type, name, extra=extra)


def needs_bytes(media: Media) -> bool:
    """Whether it must be inline: no address is taken but those of Google's own storage (MED-02, hard-cases.md)."""
    address = media.source.url if isinstance(media.source, Url) else ""
    return not address.startswith(FILE_ADDRESSES) and own_extra(media.extra).get(_OTHER_ADDRESS) != address


def encode_media(media: Media, path: str, losses: list[Loss]) -> Json | None:
    """The part, or ``None`` if it cannot be sent; what is lost joins ``losses``."""
    wire = _encode_source(media, path, losses)
    if wire is None:
        return None
    if media.detail is not None:
        losses.append(Loss(f"{path}.detail", LossReason.UNSUPPORTED, "the detail of one image cannot be set"))
    if media.cache is not None:
        losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, "prompt cache marks are not sent"))
    encoded = encode_extra(wire, media.extra)
    encoded.pop(_OTHER_ADDRESS, None)
    return encoded


def _encode_source(media: Media, path: str, losses: list[Loss]) -> Json | None:
    match media.source:
        case Inline(data):
            return _encode_inline(media, data, path, losses)
        case Url(url):
            return _encode_address(media, url, path, losses)
        case FileId():
            losses.append(Loss(path, LossReason.UNSUPPORTED, "it takes bytes or gs:// and Files addresses, not ids"))
            return None


def _encode_inline(media: Media, data: str, path: str, losses: list[Loss]) -> Json | None:
    mime_type = media.mime_type or _sniffed_type(data)
    if mime_type is None:
        losses.append(Loss(path, LossReason.UNSUPPORTED, "inline data needs a media type, and this has none"))
        return None
    mime_type = _CORRECT_TYPES.get(mime_type.lower(), mime_type.lower())
    if media.kind is MediaKind.DOCUMENT and not _is_document_type(mime_type):
        losses.append(Loss(path, LossReason.UNSUPPORTED, "documents can be PDF or text"))
        return None
    if mime_type != media.mime_type:
        losses.append(Loss(f"{path}.mime_type", LossReason.APPROXIMATED, f"it is sent as {mime_type}"))
    if _kind(mime_type) is not media.kind:
        losses.append(Loss(f"{path}.kind", LossReason.APPROXIMATED, "the media type alone tells what it is"))
    blob: Json = {"mimeType": mime_type, "data": data}
    if media.name is not None:
        blob["displayName"] = media.name
    return {"inlineData": blob}


def _encode_address(media: Media, url: str, path: str, losses: list[Loss]) -> Json | None:
    if not url.startswith(FILE_ADDRESSES) and own_extra(media.extra).get(_OTHER_ADDRESS) != url:
        losses.append(Loss(path, LossReason.UNSUPPORTED, "it takes bytes or gs:// and Files addresses"))
        return None
    file: Json = {"fileUri": url}
    if media.mime_type is not None:
        file["mimeType"] = media.mime_type.lower()
        if file["mimeType"] != media.mime_type:
            losses.append(Loss(f"{path}.mime_type", LossReason.APPROXIMATED, "it is sent in lower case"))
    kind = _kind(media.mime_type) if media.mime_type else _kind_of_address(url)
    if kind is not media.kind:
        losses.append(Loss(f"{path}.kind", LossReason.APPROXIMATED, "the media type alone tells what it is"))
    if media.name is not None:
        file["displayName"] = media.name
    return {"fileData": file}


def _kind(mime_type: str) -> MediaKind:
    return _KINDS.get(mime_type.partition("/")[0].lower(), MediaKind.DOCUMENT)


_KINDS = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}


def _kind_of_address(uri: str) -> MediaKind:
    """Without a type: videos are what has an address of its own, and the endings of names tell images."""
    if "youtu" in uri[:24]:
        return MediaKind.VIDEO
    return MediaKind.IMAGE if uri.lower().endswith((".png", ".jpg", ".jpeg", ".webp", ".heic")) else MediaKind.DOCUMENT


def _is_document_type(mime_type: str) -> bool:
    return mime_type.startswith("text/") or mime_type.partition(";")[0] in DOCUMENT_TYPES


def _sniffed_type(data: str) -> str | None:
    if data.startswith("UklGR"):  # RIFF: the type stands after the length
        return {"XRUJQ": "image/webp", "XQVZF": "audio/wav"}.get(data[11:16])
    return next((mime_type for start, mime_type in MAGIC.items() if data.startswith(start)), None)
