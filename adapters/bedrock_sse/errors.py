"""Error bodies: ``{"error": true, "message", ...}`` (Q2), and how to read those of the service (section 6)."""

import math
import re

import orjson

from adapters.bedrock_sse.fields import ERROR_CODES, MODEL_NOT_FOUND, UNKNOWN_MODEL, WIRE_CODES
from adapters.contract import DecodeError, WireResponse
from adapters.model.error import ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.message import Json
from adapters.wire.body import read_object

_EXCERPT = 200
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def decode_error(wire: WireResponse) -> ApiError:
    """The error in any answer whatever: never raises."""
    try:
        body = read_object(wire.body)
    except DecodeError:
        body = {}
    # A gateway in front of the service may nest the record, as OpenAI-style surfaces do (OAI).
    record = body["error"] if isinstance(body.get("error"), dict) else body
    kind, code = _decode_code(record, kind_of_status(wire.status))
    return ApiError(
        kind=kind,
        message=_message(record) or _message(body) or _excerpt(wire),
        fault=Fault.UPSTREAM,
        status=wire.status if wire.status >= 400 else None,
        code=code,
        param=_string(record, "param"),
        retry_after=_retry_after(wire),
        request_id=_string(body, "requestId") or wire.headers.get("x-request-id"),
        extra={name: value for name, value in record.items() if name not in _READ} or None,
    )


_READ = frozenset({"error", "message", "code", "param", "requestId"})


def decode_stream_error(value: Json) -> ApiError:
    """The error in the data of an ``error`` event, of which APP reads ``error`` and Q6 adds code and id."""
    record = value["error"] if isinstance(value.get("error"), dict) else value
    kind, code = _decode_code(record, ErrorKind.BAD_UPSTREAM)
    return ApiError(
        kind=kind,
        message=_message(record) or "the upstream reported a failure without a message",
        fault=Fault.UPSTREAM,
        code=code,
        request_id=_string(value, "requestId"),
    )


def _decode_code(record: Json, default: ErrorKind) -> tuple[ErrorKind, str | None]:
    """The kind, and the code if it says more than the kind does."""
    code = _string(record, "code")
    kind = ERROR_CODES.get(code or "", default)
    if code == WIRE_CODES[kind]:
        return kind, None
    return kind, UNKNOWN_MODEL if code == MODEL_NOT_FOUND else code


def _message(record: Json) -> str | None:
    """``error`` holds the message itself where it is not just true (section 6, the 404 of tool executions)."""
    return _string(record, "message") or _string(record, "error")


def _string(record: Json, name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) and value else None


def _excerpt(wire: WireResponse) -> str:
    text = " ".join(wire.body[: 4 * _EXCERPT].decode("utf-8", "replace").split())
    if not text:
        return f"the upstream answered with status {wire.status} and no body"
    if text.startswith("<"):
        return f"the upstream answered with status {wire.status} and a page instead of JSON"
    return f"the upstream answered with status {wire.status}: {text[:_EXCERPT]}"


def _retry_after(wire: WireResponse) -> float | None:
    """The header in seconds. Its form as a date needs a clock, which a codec does not have."""
    value = wire.headers.get("retry-after", "").strip()
    return float(value) if _SECONDS.fullmatch(value) else None


def encode_error(error: ApiError) -> WireResponse:
    """The error as an HTTP answer (Q2 to Q4)."""
    body: Json = {"error": True, "message": error.message, "code": _wire_code(error)}
    if error.param is not None:
        body["param"] = error.param
    headers = {"content-type": "application/json"}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
    return WireResponse(error.http_status, orjson.dumps(body), headers)


def encode_stream_error(error: ApiError, request_id: str) -> Json:
    """The data of an ``error`` event (Q6)."""
    return {"error": error.message, "code": _wire_code(error), "requestId": request_id}


def _wire_code(error: ApiError) -> str:
    return MODEL_NOT_FOUND if error.code == UNKNOWN_MODEL else error.code or WIRE_CODES[error.kind]
