"""Base64 and ``data:`` URLs (RFC 4648, RFC 2397), kept as text: media is never decoded on its way through."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from adapters.model.error import DecodeError

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE = str.maketrans("-_", "+/")


def is_data_url(url: str) -> bool:
    """Whether the address holds the data itself (RFC 2397)."""
    return url[:5].lower() == "data:"


def clean_base64(data: str, param: str) -> str:
    """The same bytes in the standard alphabet, padded and unbroken. Raises ``DecodeError`` naming ``param``.

    Accepted besides: line breaks and blanks, missing padding, the URL-safe alphabet.
    """
    body = data.rstrip("=")
    if not body.isascii() or body.encode().translate(None, _ALPHABET):
        body = "".join(body.split()).rstrip("=").translate(_URL_SAFE)
        if not body.isascii() or body.encode().translate(None, _ALPHABET):
            raise DecodeError(f"{param} is not valid base64", param=param, code="invalid_base64")
    if len(body) % 4 == 1:
        raise DecodeError(f"{param} is not valid base64: its length is wrong", param=param, code="invalid_base64")
    padding = "=" * (-len(body) % 4)
    if data[len(body) :] == padding and data.startswith(body):
        return data  # untouched, so that many megabytes are not copied
    return body + padding


def read_data_url(url: str, param: str) -> tuple[str | None, str]:
    """The media type (``None`` if not said) and the base64. Raises ``DecodeError`` naming ``param``."""
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise DecodeError(f"{param} is not a valid data: URL", param=param, code="invalid_data_url")
    mime_type, *parameters = (piece.strip() for piece in head.split(";"))
    if any(parameter.lower() == "base64" for parameter in parameters):
        if "%" in data:
            data = unquote_to_bytes(data).decode("ascii", "replace")
        return mime_type.lower() or None, clean_base64(data, param)
    return mime_type.lower() or None, base64.b64encode(unquote_to_bytes(data)).decode()


def data_url(mime_type: str, base64_data: str) -> str:
    """The ``data:`` URL for base64 of this media type."""
    return f"data:{mime_type};base64,{base64_data}"


def decode_base64(data: str, param: str) -> bytes:
    """The bytes themselves, for targets that want text. Raises ``DecodeError`` naming ``param``."""
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise DecodeError(f"{param} is not valid base64", param=param, code="invalid_base64") from None


def byte_count(base64_data: str) -> int:
    """How many bytes padded base64 stands for."""
    return len(base64_data) * 3 // 4 - base64_data[-2:].count("=")
