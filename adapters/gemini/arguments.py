"""Arguments of calls: an object on this wire, JSON text in the model, with every digit kept on the way."""

import json
from typing import Any

import orjson

from adapters.model.message import Json

_HUGE = 2.0**63
_LONGEST_INTEGER = 18
"""Digits that always fit into 64 bits."""

_EXACT = ("args", "response")


def with_exact_numbers(body: Json, raw: bytes) -> Json:
    """``body``, read from ``raw``, with every digit of calls and results: orjson reads longer integers as floats."""
    if any(b'"%b"' % name.encode() in raw for name in _EXACT) and _has_huge_number(body):
        _restore(body, json.loads(raw, parse_int=_exact_integer))
    return body


def decode_arguments(args: Json | None) -> str:
    """The JSON text of an object that has been read."""
    return "{}" if not args else orjson.dumps(args).decode()


def encode_arguments(text: str) -> orjson.Fragment | None:
    """The arguments as they stand, digit for digit, on one line; ``None`` if they are not a JSON object (TOOL-17)."""
    text = text or "{}"
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    # A raw line end can only stand between tokens: inside a JSON string it must be escaped.
    return orjson.Fragment(text.replace("\n", " ").replace("\r", " "))


def _has_huge_number(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_has_huge_number(inner) for inner in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and abs(value) >= _HUGE


def _exact_integer(digits: str) -> int | orjson.Fragment:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else orjson.Fragment(digits)


def _restore(value: Any, exact: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _EXACT and "name" in value and isinstance(inner, dict):
                value[name] = exact[name]
            else:
                _restore(inner, exact[name])
    elif isinstance(value, list):
        for inner, exact_inner in zip(value, exact, strict=True):
            _restore(inner, exact_inner)
