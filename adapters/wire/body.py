"""JSON bodies: strict reading, and edits that leave every other byte alone."""

import json
import re
from typing import Any

import orjson

from adapters.model.error import DecodeError
from adapters.model.message import Json

MAX_DEPTH = 64
MAX_STRUCTURE = 500_000
"""Most brackets and commas a body may hold: 24 MB of ``{},`` would keep the process busy for over half a second."""


# An escape such as \\u006d can spell a letter of a key.
_SPELLS_ASCII = re.compile(rb"\\u00[2-7]")


def read_object(raw: bytes, once: tuple[str, ...] = ()) -> Json:
    """The JSON object in ``raw``. ``once`` names the top-level keys that must not be given twice.

    Raises ``DecodeError`` for anything else: not UTF-8, not JSON (RFC 8259: no NaN, no byte order mark), a lone
    surrogate, nested deeper than 64, or not an object.
    """
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets + raw.count(b",") > MAX_STRUCTURE:
        raise DecodeError(f"the body has more than {MAX_STRUCTURE} values", code="too_many_values")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise DecodeError("the body must be a JSON object", code="invalid_json")
    if brackets > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise DecodeError(f"the body is nested deeper than {MAX_DEPTH} levels", code="too_deep")
    if once:
        _refuse_twice(raw, once)
    return value


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _refuse_twice(raw: bytes, names: tuple[str, ...]) -> None:
    """Readers disagree on which of two equal keys counts, so a key that decides something must stand once."""
    if not _SPELLS_ASCII.search(raw) and all(raw.count(b'"%b"' % name.encode()) < 2 for name in names):
        return
    keys: list[str] = []

    def remember(pairs: list[tuple[str, Any]]) -> None:
        keys[:] = [key for key, _ in pairs]  # the outermost object is finished last

    json.loads(raw, object_pairs_hook=remember)
    for name in names:
        if keys.count(name) > 1:
            raise DecodeError(f"{name!r} is given more than once", param=name, code="duplicate_key")


def replace_string(raw: bytes, key: str, old: str, new: str) -> bytes | None:
    """``raw`` with the top-level string ``key`` changed from ``old`` to ``new`` and every other byte as it was.

    ``None`` if the place cannot be told for certain: the key's name stands more than once, or is spelled with escapes.
    """
    name = b'"%b"' % key.encode()
    if raw.count(name) != 1 or _SPELLS_ASCII.search(raw):
        return None
    found = re.compile(re.escape(name) + rb'\s*:\s*("(?:[^"\\]|\\.)*")').search(raw)
    if found is None or orjson.loads(found[1]) != old:
        return None
    return raw[: found.start(1)] + orjson.dumps(new) + raw[found.end(1) :]
