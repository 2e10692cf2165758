"""JSON that must pass digit for digit: the arguments of calls, and results given as JSON (ENC-02, hard-cases.md)."""

import json
import re
from typing import Any

import orjson

from adapters.model.message import Json

_DOCUMENTS = frozenset({"input", "json"})
"""Fields that hold whatever the tools' authors please."""
_HOLDERS = ("messages", "output")
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def with_exact_documents(body: Json, raw: bytes) -> Json:
    """``body``, read from ``raw``, with every digit of the documents in its messages: orjson makes floats of some."""
    if _LONG_NUMBER.search(raw) is not None:
        for name in _HOLDERS:
            if _has_huge_number(body.get(name)):
                _restore(body[name], json.loads(raw, parse_int=_exact_integer)[name])
    return body


def json_text(value: Any) -> str:
    """The JSON text of a value; of one from ``with_exact_documents`` with all its digits."""
    return orjson.dumps(value).decode()


def plain_value(value: Any) -> Any:
    """The value as orjson reads it: for what is kept as it is, which must compare with what is read elsewhere."""
    return orjson.loads(orjson.dumps(value))


def object_text(text: str) -> orjson.Fragment | None:
    """A JSON object as it stands, for writing; ``None`` if it is something else. No text at all is an empty one."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return None
    return orjson.Fragment(text or "{}") if isinstance(value, dict) else None


def is_json(text: str) -> bool:
    """Whether the text is valid JSON, of whatever kind."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


_HUGE = 2.0**63


def _has_huge_number(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_has_huge_number(inner) for inner in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and abs(value) >= _HUGE


def _exact_integer(digits: str) -> int | orjson.Fragment:
    return int(digits) if len(digits) < len(str(2**63)) else orjson.Fragment(digits)


def _restore(value: Any, exact: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _DOCUMENTS and isinstance(inner, dict | list):
                value[name] = exact[name]
            else:
                _restore(inner, exact[name])
    elif isinstance(value, list):
        for inner, exact_inner in zip(value, exact, strict=True):
            _restore(inner, exact_inner)
