"""Errors, as whole answers and inside streams."""

import codecs
import math
import re
from typing import Any

import orjson

from adapters.contract import WireResponse
from adapters.model.error import STATUSES, ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.message import Json
from adapters.openai_responses.fields import ERROR_CODES, ERROR_TYPES, STREAM_ERROR_CODES, WIRE_ERRORS

_EXCERPT = 200
_LONGEST_MESSAGE = 2000
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_NOT_PROSE = re.compile(r"<[a-zA-Z!/?]|\A[\[{\"]|\A(null|true|false|-?[0-9.eE+-]+)\Z")


def decode_error(wire: WireResponse) -> ApiError:
    """The error in an answer of any status and body; the message is the body's own words, or a short excerpt of it."""
    body = _read(wire.body)
    status = wire.status if 400 <= wire.status < 600 else None
    fallback = f"the upstream answered with status {wire.status}"
    if body is None and (excerpt := _excerpt(wire)):
        fallback += f": {excerpt}"
    return _decode(body or {}, status, wire, fallback)


def decode_stream_error(event: Json) -> ApiError:
    """The error in an ``error`` event, nested or flat (ERR-03, hard-cases.md), or in the answer that has failed."""
    return _decode(event, None, None, "the upstream reported an error in its stream")


def has_error(raw: bytes) -> bool:
    """Whether a body is an error, whatever its status."""
    body = _read(raw)
    return body is not None and (bool(body.get("error")) or body.get("status") in ("failed", "cancelled"))


def encode_error(error: ApiError) -> WireResponse:
    """The error as an answer: ``Retry-After`` in whole seconds, the body in the words of K7 (dialects/arka.md)."""
    status = error.http_status if 400 <= error.http_status < 600 else STATUSES[error.kind]
    headers = {"content-type": "application/json"}
    if error.retry_after is not None and math.isfinite(error.retry_after):
        headers["retry-after"] = str(max(math.ceil(error.retry_after), 0))
    return WireResponse(status, orjson.dumps(encode_error_body(error)), headers)


def encode_error_body(error: ApiError) -> Json:
    """The error object with all four keys, which clients read without a look."""
    word, code = WIRE_ERRORS[error.kind]
    return {"error": {"message": error.message, "type": word, "param": error.param, "code": error.code or code}}


def encode_failure(error: ApiError) -> Json:
    """The ``error`` of an answer that has failed; its ``code`` is not nullable: response_error.py."""
    word, code = WIRE_ERRORS[error.kind]
    return {"code": error.code or code or "server_error", "message": error.message, "type": word, "param": error.param}


# --- details ----------------------------------------------------------------------------------------------------


def _read(raw: bytes) -> Json | None:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if isinstance(body, list) and body:
        body = body[0]  # Google's endpoint for OpenAI clients wraps its errors in an array
    return body if isinstance(body, dict) else None


def _decode(body: Json, status: int | None, wire: WireResponse | None, fallback: str) -> ApiError:
    error = body.get("error")
    details: Json = error if isinstance(error, dict) else {} if isinstance(error, str) else body
    message = error if isinstance(error, str) and error else _message(details) or _message(body) or fallback
    code = details.get("code")
    kind = _kind(status, code, details.get("type"))
    param = details.get("param")
    kept = {"type": details.get("type"), "code": code if type(code) is int else None}
    kept = {name: value for name, value in kept.items() if isinstance(value, str | int) and value}
    headers = {} if wire is None else wire.headers
    return ApiError(
        kind,
        message[:_LONGEST_MESSAGE],
        Fault.UPSTREAM,
        status,
        (code if isinstance(code, str) else "") or WIRE_ERRORS[kind][1],
        param if isinstance(param, str) and param else None,
        _retry_after(headers.get("retry-after")),
        headers.get("x-request-id") or None,
        kept or None,
    )


def _message(details: Json) -> str:
    """The words of OpenAI (``message``) or FastAPI (``detail``: a string, or a list of objects with ``msg``)."""
    detail = details.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        detail = detail[0].get("msg")
    for words in (details.get("message"), detail):
        if isinstance(words, str) and words:
            return words
    return ""


def _kind(status: int | None, code: Any, word: Any) -> ErrorKind:
    """By the code, else the status, else the type; never by the words of the message."""
    if isinstance(code, str) and code in ERROR_CODES and status != 413:
        # Groq's 413 has the code of a rate limit, but the same request is too large at any time.
        return ERROR_CODES[code]
    if status is not None:
        return kind_of_status(status)
    number = int(code) if isinstance(code, str) and re.fullmatch(r"[45][0-9]{2}", code, re.ASCII) else code
    if type(number) is int and 400 <= number < 600:
        return kind_of_status(number)
    if isinstance(code, str) and code in STREAM_ERROR_CODES:
        return STREAM_ERROR_CODES[code]
    return ERROR_TYPES.get(word, ErrorKind.BAD_UPSTREAM) if isinstance(word, str) else ErrorKind.BAD_UPSTREAM


def _retry_after(value: str | None) -> float | None:
    """Seconds; a date stays unknown, since nobody here knows the time."""
    return float(value) if value is not None and _SECONDS.fullmatch(value.strip()) else None


def _excerpt(wire: WireResponse) -> str:
    """The start of a body in plain words; nothing of HTML, JSON or binary data (ERR-11, hard-cases.md)."""
    try:  # a character that the cut splits is no fault
        start = codecs.getincrementaldecoder("utf-8")().decode(wire.body[: 4 * _EXCERPT])
    except UnicodeDecodeError:
        return ""
    text = " ".join(start.split())
    if not text.isprintable() or _NOT_PROSE.search(text) or "html" in _content_type(wire):
        return ""
    return text[:_EXCERPT]


def _content_type(wire: WireResponse) -> str:
    return wire.headers.get("content-type", "").lower()
