"""Error bodies: ``{"type": "error", "error": {"type", "message"}, "request_id"}``, whole and inside a stream.

What has no field of its own stands in ``error.details``, where the official client looks for ``error_code``.
"""

import math
import re
from dataclasses import replace

import orjson

from adapters.anthropic.extras import said
from adapters.anthropic.fields import (
    CODES_OF_KINDS,
    ERROR_TYPES,
    KINDS_OF_CODES,
    KINDS_OF_TYPES,
    OVERLOADED_STATUS,
)
from adapters.contract import JSON_HEADERS, DecodeError, WireResponse
from adapters.model.error import STATUSES, ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.message import Json
from adapters.wire.body import read_object

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_EXCERPT = 200
"""Most characters shown of a body that is not an error body."""


def decode_error(wire: WireResponse) -> ApiError:
    """The error in any answer whatever: never raises."""
    try:
        body = read_object(wire.body)
    except DecodeError:
        body = {}
    status = wire.status if _is_error(wire.status) else None
    error = _decode(body, status)
    return replace(
        error,
        message=error.message or _excerpt(wire),
        fault=Fault.UPSTREAM,
        # 529 is how this API says 503, so that other dialects say it in their own way.
        status=error.status if status != OVERLOADED_STATUS else None,
        retry_after=_decode_seconds(wire.headers.get("retry-after", "")),
        request_id=_words(body, "request_id") or wire.headers.get("request-id"),
    )


def decode_stream_error(body: Json) -> ApiError:
    """The error in an ``error`` event. There is no status beside it, so its type alone says what it is."""
    error = _decode(body, None)
    message = error.message or "the upstream reported a failure without a message"
    return replace(error, message=message, fault=Fault.UPSTREAM, request_id=_words(body, "request_id"))


def _decode(body: Json, status: int | None) -> ApiError:
    """What the body says under this status; the message is empty if there is none."""
    record = body.get("error")
    if not isinstance(record, dict):
        record = {"message": record} if isinstance(record, str) else body
    details = record.get("details")
    details = said(details) if isinstance(details, dict) else {}
    code, param = _words(details, "error_code"), _words(details, "param")
    kind = KINDS_OF_TYPES.get(_words(record, "type") or "")
    if status is not None and (kind_of_status(status) is not ErrorKind.BAD_UPSTREAM or kind in (None, _VAGUE)):
        kind = kind_of_status(status)
    else:
        status = None  # none was given, or only that of a gateway in between
    rest = {name: value for name, value in details.items() if name not in ("error_code", "param")}
    return ApiError(
        KINDS_OF_CODES.get(code or "", kind or ErrorKind.BAD_UPSTREAM),
        _words(record, "message") or "",
        status=status,
        code=code,
        param=param,
        extra={"details": rest} if rest else None,
    )


_VAGUE = KINDS_OF_TYPES["api_error"]


def _words(values: Json, name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _excerpt(wire: WireResponse) -> str:
    """A message for a body that has none: an HTML page, plain text, nothing (ERR-11)."""
    text = wire.body[: 4 * _EXCERPT].decode("utf-8", "replace")
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return f"HTTP {wire.status}: {shown[:_EXCERPT]}" if shown else f"HTTP {wire.status} without a message"


def _decode_seconds(value: str) -> float | None:
    """Seconds only: a date would need a clock."""
    return float(value) if _SECONDS.fullmatch(value.strip()) else None


def encode_error(error: ApiError) -> WireResponse:
    """The error as an HTTP answer."""
    headers = dict(JSON_HEADERS)
    body = encode_error_body(error)
    if error.request_id is not None:
        body["request_id"] = error.request_id
        headers["request-id"] = "".join(
            letter for letter in error.request_id if letter.isascii() and letter.isprintable()
        )
    if error.retry_after is not None and math.isfinite(error.retry_after):
        headers["retry-after"] = str(max(math.ceil(error.retry_after), 0))
    return WireResponse(_status(error), orjson.dumps(body), headers)


def encode_error_body(error: ApiError) -> Json:
    """The body, which is also what an ``error`` event holds."""
    told: Json = {"type": ERROR_TYPES[error.kind], "message": error.message.encode("utf-8", "replace").decode()}
    details = {"error_code": error.code or CODES_OF_KINDS.get(error.kind), "param": error.param}
    kept = (error.extra or {}).get("details")
    details = (kept if isinstance(kept, dict) else {}) | said(details)
    if details:
        told["details"] = details
    return {"type": "error", "error": told}


def _status(error: ApiError) -> int:
    status = error.http_status
    if error.kind is ErrorKind.OVERLOADED and status == STATUSES[ErrorKind.OVERLOADED]:
        return OVERLOADED_STATUS
    return status if _is_error(status) else STATUSES[error.kind]


def _is_error(status: int) -> bool:
    return 400 <= status <= 599
