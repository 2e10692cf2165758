"""Errors: a type in ``x-amzn-errortype`` and ``{"message"}`` (ERR-09); in a stream, an exception frame."""

import math
import re
from collections.abc import Mapping

import orjson

from adapters.bedrock_converse.fields import (
    DEFAULT_STREAM_ERROR_TYPE,
    ERROR_STATUSES,
    ERROR_TYPES,
    STREAM_ERROR_TYPES,
    WIRE_ERROR_TYPES,
)
from adapters.contract import DecodeError, WireResponse
from adapters.model.error import STATUSES, ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.message import Json
from adapters.wire.body import read_object

_EXCERPT = 200
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_TYPE_NAME = re.compile(r"[A-Za-z]{1,80}")
_READ = frozenset({"message", "Message", "__type", "code", "Code", "param", "reason"})
_KINDS = {kind.value: kind for kind in ErrorKind}


def decode_error(wire: WireResponse) -> ApiError:
    """The error in any answer whatever: never raises."""
    try:
        body = read_object(wire.body)
    except DecodeError:
        body = {}
    name = _type_name(wire.headers.get("x-amzn-errortype")) or _type_in(body)
    kind = _finer_kind(body, ERROR_TYPES.get(name or "", kind_of_status(wire.status)))
    usual = wire.status in (STATUSES[kind], ERROR_STATUSES.get(name or "")) or not 400 <= wire.status < 600
    return ApiError(
        kind=kind,
        message=_message(body) or _excerpt(wire),
        fault=Fault.UPSTREAM,
        status=None if usual else wire.status,
        code=_code(body) or (name if _says_more(name, kind, wire.status) else None),
        param=_string(body, "param"),
        retry_after=_retry_after(wire),
        request_id=wire.headers.get("x-amzn-requestid"),
        extra={field: value for field, value in body.items() if field not in _READ} or None,
    )


def decode_stream_error(headers: Mapping[str, str], payload: bytes) -> ApiError:
    """The error in a frame of type ``exception`` or ``error``: never raises."""
    try:
        body = read_object(payload)
    except DecodeError:
        body = {}
    member = headers.get(":exception-type") or headers.get(":error-code") or ""
    name = _type_name(member[:1].upper() + member[1:])
    return ApiError(
        kind=_finer_kind(body, ERROR_TYPES.get(name or "", ErrorKind.BAD_UPSTREAM)),
        message=_message(body) or headers.get(":error-message") or "the upstream reported a failure without a message",
        fault=Fault.UPSTREAM,
        code=_code(body) or name,
        extra={field: value for field, value in body.items() if field not in _READ} or None,
    )


def _type_name(raw: object) -> str | None:
    """The bare name, of which gateways write more: ``com.amazon#Name:http://...`` (as botocore reads it)."""
    if not isinstance(raw, str):
        return None
    name = raw.partition(":")[0].rpartition("#")[2].strip()
    return name if _TYPE_NAME.fullmatch(name) else None


def _type_in(body: Json) -> str | None:
    output = body.get("Output")  # how the service answers where it knows no such operation (SEEN, families.py)
    nested = output.get("__type") if isinstance(output, dict) else None
    for raw in (body.get("__type"), nested, body.get("code"), body.get("Code")):
        name = _type_name(raw)
        if name is not None:
            return name
    return None


def _finer_kind(body: Json, kind: ErrorKind) -> ErrorKind:
    """The kind that ``reason`` tells, where one type stands for several."""
    return _KINDS.get(_string(body, "reason") or "", kind)


def _code(body: Json) -> str | None:
    return _string(body, "code") or _string(body, "Code")


def _says_more(name: str | None, kind: ErrorKind, status: int) -> bool:
    """Whether the type is worth keeping as the code (ERR-17): the kind alone would be written in another way."""
    return name != WIRE_ERROR_TYPES[kind] or status == ERROR_STATUSES.get(name)


def _message(body: Json) -> str | None:
    return _string(body, "message") or _string(body, "Message")


def _string(body: Json, name: str) -> str | None:
    value = body.get(name)
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
    """The error as an HTTP answer."""
    name = _wire_type(error)
    headers = {"content-type": "application/json", "x-amzn-errortype": name}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
    return WireResponse(error.http_status, _body(error, name), headers)


def encode_stream_error(error: ApiError) -> tuple[str, bytes]:
    """The type and the payload of an exception frame. A stream has few types: ``reason`` tells the rest."""
    member = STREAM_ERROR_TYPES.get(_wire_type(error), DEFAULT_STREAM_ERROR_TYPE)
    return member, _body(error, member[:1].upper() + member[1:])


def _wire_type(error: ApiError) -> str:
    """The error's own type, if it came with one, or the one for its kind."""
    if error.code is not None and ERROR_TYPES.get(error.code) is error.kind:
        return error.code
    return WIRE_ERROR_TYPES[error.kind]


def _body(error: ApiError, name: str) -> bytes:
    body: Json = {"message": error.message}
    if error.code is not None:
        body["code"] = error.code
    if ERROR_TYPES[name] is not error.kind:
        body["reason"] = error.kind.value
    if error.param is not None:
        body["param"] = error.param
    return orjson.dumps(body)
