"""Error bodies: ours is the ``error`` object, read are the four shapes that the service and its frameworks send."""

import math
import re
from typing import NamedTuple

import orjson

from adapters.amarsia.fields import (
    CODES,
    CODES_OF_KINDS,
    CODES_OF_STATUSES,
    ERROR_TYPES,
    KINDS_OF_CODES,
    WIRE_CODES,
)
from adapters.contract import JSON_HEADERS, DecodeError, WireResponse
from adapters.model.error import STATUSES, ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.message import Json
from adapters.wire.body import read_object

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_EXCERPT = 200
"""Most characters shown of a body that is not an error body."""


class _Told(NamedTuple):
    """What an error body says."""

    message: str | None = None
    code: str | None = None
    param: str | None = None
    request_id: str | None = None


def decode_error(wire: WireResponse) -> ApiError:
    """The error in any of its shapes; what is no error body at all is classified by the status."""
    told = _read(wire.body)
    kind = kind_of_status(wire.status)
    status = wire.status if _is_error(wire.status) else STATUSES[kind]
    code = told.code or _code_of_status(status)
    if kind is ErrorKind.INVALID_REQUEST:
        kind = KINDS_OF_CODES.get(code, kind)
    return ApiError(
        kind,
        told.message or _excerpt(wire),
        Fault.UPSTREAM,
        status=status,
        code=CODES.get(code, code),
        param=told.param,
        retry_after=_decode_seconds(wire.headers.get("retry-after", "")),
        request_id=told.request_id or wire.headers.get("x-request-id"),
    )


def _read(raw: bytes) -> _Told:
    """The body's words, looked for in the order of the first-party client (SDK ``errors.ts``)."""
    try:
        body = read_object(raw)
    except DecodeError:
        return _Told()
    from_error = _from_object(body.get("error"))
    if from_error.message is not None:
        return from_error
    detail = body.get("detail")
    if isinstance(detail, str):
        return _Told(detail if detail.strip() else None)
    if isinstance(detail, list):
        return _from_violation(detail[0] if detail else None)
    from_detail = _from_object(detail)
    return from_detail if from_detail.message is not None else from_error


def _from_object(value: object) -> _Told:
    if not isinstance(value, dict):
        return _Told()
    return _Told(*(_words(value, name) for name in ("message", "code", "param", "request_id")))


def _from_violation(value: object) -> _Told:
    """One complaint of the server's validator: where, and what about it."""
    if not isinstance(value, dict):
        return _Told()
    location = value.get("loc")
    steps = [step for step in location if isinstance(step, str)] if isinstance(location, list) else []
    param = ".".join(steps) or None
    problem = _words(value, "msg")
    return _Told(": ".join(words for words in (param, problem) if words) or None, param=param)


def _words(value: Json, name: str) -> str | None:
    words = value.get(name)
    return words if isinstance(words, str) and words.strip() else None


def _excerpt(wire: WireResponse) -> str:
    """A message for a body that has none: an HTML page, plain text, nothing."""
    text = wire.body[: 4 * _EXCERPT].decode("utf-8", "replace")
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return f"HTTP {wire.status}: {shown[:_EXCERPT]}" if shown else f"HTTP {wire.status} without a message"


def _decode_seconds(value: str) -> float | None:
    """Seconds only: a date would need a clock."""
    return float(value) if _SECONDS.fullmatch(value.strip()) else None


def encode_error(error: ApiError) -> WireResponse:
    """The ``error`` object with all four keys, ``code`` always a string (A1)."""
    status = error.http_status if _is_error(error.http_status) else STATUSES[error.kind]
    told = {
        "type": ERROR_TYPES[error.kind],
        "message": error.message.encode("utf-8", "replace").decode(),
        "param": error.param,
        "code": _encode_code(error) or _code_of_status(status),
    }
    if error.request_id is not None:
        told["request_id"] = error.request_id  # reliability.md section 3, forms P and PT
    headers = dict(JSON_HEADERS)
    if error.retry_after is not None and math.isfinite(error.retry_after):
        headers["retry-after"] = str(max(math.ceil(error.retry_after), 0))  # whole seconds (A28)
    return WireResponse(status, orjson.dumps({"error": told}), headers)


def _encode_code(error: ApiError) -> str | None:
    if error.code is None:
        return CODES_OF_KINDS.get(error.kind)
    return WIRE_CODES.get(error.code, error.code)


def _code_of_status(status: int) -> str:
    """What the first-party client takes for the code where none is given."""
    return CODES_OF_STATUSES.get(status, "server_error" if status >= 500 else "http_error")


def _is_error(status: int) -> bool:
    return 400 <= status <= 599
