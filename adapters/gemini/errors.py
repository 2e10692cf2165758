"""Errors, as whole answers and inside streams: ``{"error": {code, message, status, details}}``."""

import codecs
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from adapters.contract import WireResponse
from adapters.gemini.fields import ERROR_REASONS, STATUS_KINDS, WIRE_STATUSES
from adapters.model.error import STATUSES, ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.message import Json

_EXCERPT = 200
_LONGEST_MESSAGE = 2000
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_TAG = re.compile(r"<[a-zA-Z!/?]")

_TYPE = "type.googleapis.com/google.rpc."
_DOMAIN = "dragoman"
"""Marks an ``ErrorInfo`` of ours: it names a kind that the status alone does not tell."""


class _Details(NamedTuple):
    """What the ``details`` of an error say (google/rpc/error_details.proto)."""

    kind: ErrorKind | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None


def decode_error(wire: WireResponse) -> ApiError:
    """The error in an answer of any status and body; the message is the body's own words, or a short excerpt of it."""
    body = _read(wire.body)
    status = wire.status if 400 <= wire.status < 600 else None
    fallback = f"the upstream answered with status {wire.status}"
    if body is None and (excerpt := _excerpt(wire)):
        fallback += f": {excerpt}"
    error = _decode(body or {}, status, fallback)
    wait = _seconds(wire.headers.get("retry-after"))
    return ApiError(
        error.kind,
        error.message,
        Fault.UPSTREAM,
        status,
        error.code,
        error.param,
        wait if error.retry_after is None else error.retry_after,
        wire.headers.get("x-request-id") or None,
        error.extra,
    )


def decode_stream_error(chunk: Json) -> ApiError:
    """The error in a chunk of a stream (ERR-05, hard-cases.md)."""
    return _decode(chunk, None, "the upstream reported an error in its stream")


def encode_error(error: ApiError) -> WireResponse:
    """The error as an answer."""
    headers = {"content-type": "application/json"}
    if error.retry_after is not None and math.isfinite(error.retry_after):
        headers["retry-after"] = str(max(math.ceil(error.retry_after), 0))
    return WireResponse(_status(error), orjson.dumps(encode_error_body(error)), headers)


def encode_error_body(error: ApiError) -> Json:
    """The error object; ``error`` is its first key, by which Google's SDK tells it in a stream."""
    status = _status(error)
    body: Json = {"code": status, "message": error.message, "status": WIRE_STATUSES[error.kind]}
    details = _encode_details(error, status)
    if details:
        body["details"] = details
    return {"error": body}


# --- decoding ---------------------------------------------------------------------------------------------------


def _read(raw: bytes) -> Json | None:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if isinstance(body, list) and body:
        body = body[0]  # how a stream that is an array begins if it fails at once
    return body if isinstance(body, dict) else None


def _decode(body: Json, status: int | None, fallback: str) -> ApiError:
    value = body.get("error")
    error: Json = value if isinstance(value, dict) else {}
    word, number, message = error.get("status"), error.get("code"), error.get("message")
    if not isinstance(message, str) or not message:
        message = value if isinstance(value, str) and value else fallback
    details = _decode_details(error.get("details"))
    kind = details.kind or _kind(status, number, word)
    code = details.code
    if code is None and isinstance(word, str) and word in STATUS_KINDS and word != WIRE_STATUSES[kind]:
        code = word
    if status is None and type(number) is int and 400 <= number < 600:
        status = number
    return ApiError(
        kind, message[:_LONGEST_MESSAGE], Fault.UPSTREAM, status, code, details.param, details.retry_after, None, None
    )


def _kind(status: int | None, number: Any, word: Any) -> ErrorKind:
    """By the status, else the number in the body, else the word; never by the words of the message."""
    for code in (status, number):
        if type(code) is int and 400 <= code < 600:
            return kind_of_status(code)
    return STATUS_KINDS.get(word, ErrorKind.BAD_UPSTREAM) if isinstance(word, str) else ErrorKind.BAD_UPSTREAM


def _decode_details(details: Any) -> _Details:
    read = _Details()
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            read = _decode_detail(detail, read)
    return read


def _decode_detail(detail: Json, read: _Details) -> _Details:
    kind = detail.get("@type")
    if kind == _TYPE + "ErrorInfo":
        reason, metadata = detail.get("reason"), detail.get("metadata")
        if detail.get("domain") == _DOMAIN:
            code = metadata.get("code") if isinstance(metadata, dict) else None
            return read._replace(kind=_own_kind(reason), code=code if isinstance(code, str) else None)
        if isinstance(reason, str) and reason:
            return read._replace(kind=ERROR_REASONS.get(reason), code=reason)
    elif kind == _TYPE + "BadRequest":
        return read._replace(param=next(_violated(detail.get("fieldViolations")), None))
    elif kind == _TYPE + "RetryInfo":
        delay = detail.get("retryDelay")
        return read._replace(retry_after=_seconds(delay.removesuffix("s")) if isinstance(delay, str) else None)
    return read


def _own_kind(reason: Any) -> ErrorKind | None:
    return next((kind for kind in ErrorKind if kind.value.upper() == reason), None)


def _violated(violations: Any) -> Iterator[str]:
    for violation in violations if isinstance(violations, list) else ():
        field = violation.get("field") if isinstance(violation, dict) else None
        if isinstance(field, str) and field:
            yield field


def _seconds(value: str | None) -> float | None:
    """Seconds; a date stays unknown, since nobody here knows the time."""
    return float(value) if value is not None and _SECONDS.fullmatch(value.strip()) else None


def _excerpt(wire: WireResponse) -> str:
    """The start of a body in plain words; nothing of HTML, of cut JSON or of binary data (ERR-11, hard-cases.md)."""
    try:  # a character that the cut splits is no fault
        start = codecs.getincrementaldecoder("utf-8")().decode(wire.body[: 4 * _EXCERPT])
    except UnicodeDecodeError:
        return ""
    text = " ".join(start.split())
    is_html = "html" in wire.headers.get("content-type", "").lower() or _TAG.search(text) is not None
    return "" if is_html or not text.isprintable() or text[:1] in ("{", "[") else text[:_EXCERPT]


# --- encoding ---------------------------------------------------------------------------------------------------


def _status(error: ApiError) -> int:
    return error.http_status if 400 <= error.http_status < 600 else STATUSES[error.kind]


def _encode_details(error: ApiError, status: int) -> list[Json]:
    details: list[Json] = []
    if error.code is not None or kind_of_status(status) is not error.kind:
        metadata = {} if error.code is None else {"metadata": {"code": error.code}}
        reason = {"reason": error.kind.value.upper(), "domain": _DOMAIN}
        details.append({"@type": _TYPE + "ErrorInfo", **reason, **metadata})
    if error.param is not None:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": _TYPE + "BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None and math.isfinite(error.retry_after):
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": _duration(error.retry_after)})
    return details


def _duration(seconds: float) -> str:
    """A duration as proto3 JSON writes it: ``3.5s``."""
    return f"{max(seconds, 0):.9f}".rstrip("0").rstrip(".") + "s"
