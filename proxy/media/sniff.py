"""What fetched bytes are, judged by the bytes first (https://mimesniff.spec.whatwg.org)."""

import re

from proxy.media.refusal import FetchRefused


def media_type(data: bytes, declared: str) -> str:
    """The media type. ``declared`` (the Content-Type) counts only where the bytes say nothing.

    Raises ``FetchRefused`` for web pages (mostly a login or error page in the place of the media) and unknown bytes.
    """
    said = declared.partition(";")[0].strip().lower()
    head = data[:4096]
    if head.startswith(_UTF_16_MARKS):
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    if said in _PAGES or _PAGE.match(head):
        raise FetchRefused("a web page, not media")
    if found := _by_signature(head):
        return found
    if _is_text(head):
        return said if said.startswith("text/") or said in _TEXT_TYPES else "text/plain"
    if said not in _SURE_BY_BYTES and (said in _DOCUMENTS or _MEDIA.fullmatch(said)):
        return said
    raise FetchRefused("neither the bytes nor the declared type are known media")


def _by_signature(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return _RIFF_FORMS.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _MP4_BRANDS.get(head[8:12], "video/mp4")
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head[:4] == b"OggS":
        return "video/ogg" if b"\x80theora" in head[:128] else "audio/ogg"
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)


def _is_text(head: bytes) -> bool:
    return not head.translate(None, _TEXT_BYTES)


_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"\xef\xbb\xbf%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xfa", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"fLaC", "audio/flac"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_RIFF_FORMS = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_MP4_BRANDS = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
}
# A server that declares one of these and sends other bytes is wrong, whatever the bytes are.
_SURE_BY_BYTES = frozenset(
    {kind for _, kind in _SIGNATURES}
    | set(_RIFF_FORMS.values())
    | set(_MP4_BRANDS.values())
    | {"video/mp4", "video/webm", "video/x-matroska", "audio/ogg", "video/ogg", "text/plain"}
    | {"image/jpg", "audio/mp3", "audio/x-wav", "application/x-pdf"}
)
_MEDIA = re.compile(r"(?:image|audio|video)/[a-z0-9][a-z0-9.+-]{0,60}")
_TEXT_TYPES = frozenset({"application/json", "application/xml", "image/svg+xml"})
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCUMENTS = frozenset(
    {
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        "application/rtf",
        "application/epub+zip",
        _OFFICE + "wordprocessingml.document",
        _OFFICE + "spreadsheetml.sheet",
        _OFFICE + "presentationml.presentation",
    }
)
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--.{0,1000}?-->\s*){0,4}"
    rb"<(?:!doctype\s+html|html|head|body|script|iframe|meta|title)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# https://mimesniff.spec.whatwg.org/#binary-data-byte: all others may stand in text.
_BINARY = (*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20))
_TEXT_BYTES = bytes(byte for byte in range(256) if byte not in _BINARY)
