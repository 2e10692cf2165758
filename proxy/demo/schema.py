"""JSON values that fit a JSON Schema, always the same for the same schema.

Not looked at: ``pattern``, ``uniqueItems``, ``minProperties``, ``not``, ``if`` and its kin, references to elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any
from urllib.parse import unquote

import orjson

from adapters.model.message import Json
from proxy.demo.call import invalid
from proxy.demo.numbers import fit_number, whole_number

EXAMPLE = "example"

FORMATS = {
    "date": "2024-01-02",
    "date-time": "2024-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

MAX_DEPTH = 64
MAX_WORK = 100_000
"""Roughly the characters written and the schema entries read; references make a small schema ask for gigabytes."""

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}

# What a schema without "type" must be about, by the first of these words it uses.
_TYPE_OF_WORD = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "minimum": "number",
    "exclusiveMinimum": "number",
    "maximum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
}


def json_text(value: Any) -> str:
    """``value`` as compact JSON. Raises ``DemoFailure`` for what JSON cannot say, or not that deep."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise invalid(
            "a value cannot be written as JSON: it is nested too deeply, or a number in it is too large", "not_json"
        ) from None


def fill(schema: Json) -> Any:
    """A value that fits ``schema``: every property, the first of several possibilities, the least number allowed.

    Raises ``DemoFailure`` for a schema that asks for too much or for a value without end.
    """
    return _Filler(schema).value(schema, _Place())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the value we are. ``tight``: inside a repeated reference, so that only what must be there is made."""

    depth: int = 0
    references: frozenset[str] = frozenset()
    tight: bool = False


class _Filler:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._work_left = MAX_WORK
        self._makers: dict[str, Callable[[Json, _Place], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": lambda schema, _: fit_number(schema, integer=True),
            "number": lambda schema, _: fit_number(schema, integer=False),
            "boolean": lambda _, __: True,
            "null": lambda _, __: None,
        }

    def value(self, schema: Any, place: _Place) -> Any:
        self._charge(len(schema) + 1 if isinstance(schema, dict) else 1)
        if place.depth > MAX_DEPTH:
            raise invalid("the schema is nested too deeply, or asks for a value without end", "schema_too_large")
        if not isinstance(schema, dict):
            return EXAMPLE  # true: anything will do
        found, given = _given(schema)
        if found:
            self._charge(len(json_text(given)))
            return given
        deeper = replace(place, depth=place.depth + 1)
        if isinstance(schema.get("$ref"), str):
            return self._referred(schema, deeper)
        for word in ("allOf", "anyOf", "oneOf"):
            options = schema.get(word)
            if isinstance(options, list) and options:
                self._charge(len(options))
                rest = {name: item for name, item in schema.items() if name != word}
                chosen = options if word == "allOf" else [_choose(options, place)]
                return self.value(self._merged(rest, chosen), deeper)
        return self._makers[_type_of(schema, place)](schema, deeper)

    def _charge(self, work: int) -> None:
        self._work_left -= work
        if self._work_left < 0:
            raise invalid("the schema asks for more than the demo models write", "schema_too_large")

    def _referred(self, schema: Json, place: _Place) -> Any:
        reference = schema["$ref"]
        self._charge(len(reference))
        rest = {name: item for name, item in schema.items() if name != "$ref"}
        inside = replace(
            place,
            references=place.references | {reference},
            tight=place.tight or reference in place.references,
        )
        return self.value(self._merged(rest, [self._target(reference)]), inside)

    def _target(self, reference: str) -> Any:
        target: Any = self._root
        if not reference.startswith("#"):
            return {}
        for step in unquote(reference[1:]).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and name.isdecimal() and len(name) < 6 and int(name) < len(target):
                target = target[int(name)]
            elif isinstance(target, dict) and name in target:
                target = target[name]
            else:
                return {}
        return target

    def _merged(self, schema: Json, others: list[Any]) -> Json:
        opened = [self._opened(other) if len(others) > 1 else other for other in others]
        return reduce(self._merge, (other for other in opened if isinstance(other, dict)), schema)

    def _opened(self, schema: Any) -> Any:
        # Two references cannot be merged as they stand: one would take the other's place.
        if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
            return self._merge(
                {name: item for name, item in schema.items() if name != "$ref"}, self._target(schema["$ref"])
            )
        return schema

    def _merge(self, first: Json, second: Any) -> Json:
        if not isinstance(second, dict):
            return first
        properties = {**_table(first, "properties"), **_table(second, "properties")}
        required = list(dict.fromkeys([*_names(first), *_names(second)]))
        self._charge(len(first) + len(second) + len(properties) + len(required))
        merged = {**first, **second}
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = required
        return merged

    def _object(self, schema: Json, place: _Place) -> Json:
        properties, required = _table(schema, "properties"), _names(schema)
        self._charge(sum(len(name) + 4 for name in (*properties, *required)))
        needed = frozenset(required)
        wanted = {name: item for name, item in properties.items() if not place.tight or name in needed}
        others = schema.get("additionalProperties", True)
        wanted |= {name: others for name in required if name not in properties}
        return {name: self.value(item, place) for name, item in wanted.items() if item is not False}

    def _array(self, schema: Json, place: _Place) -> list[Any]:
        least, most = whole_number(schema, "minItems") or 0, whole_number(schema, "maxItems")
        first = schema.get("prefixItems")
        items: list[Any] = list(first) if isinstance(first, list) else []
        self._charge(least + len(items))
        length = max(least, 0 if place.tight else 1, len(items))
        others = schema.get("items", True)
        items += [others] * (length - len(items)) if others is not False else []
        return [self.value(item, place) for item in items[:most]]

    def _string(self, schema: Json, _: _Place) -> str:
        form = schema.get("format")
        text = FORMATS.get(form, EXAMPLE) if isinstance(form, str) else EXAMPLE
        least = whole_number(schema, "minLength") or 0
        self._charge(max(least, len(text)))
        return text.ljust(least, "x")[: whole_number(schema, "maxLength")]


def _given(schema: Json) -> tuple[bool, Any]:
    """Whether the schema itself names a value that fits, and which."""
    if "const" in schema:
        return True, schema["const"]
    possible = schema.get("enum")
    if isinstance(possible, list) and possible:
        return True, possible[0]
    if "default" in schema and _fits(schema["default"], schema.get("type")):
        return True, schema["default"]
    return False, None


def _fits(value: Any, kinds: Any) -> bool:
    names = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)]
    if isinstance(value, bool):
        return not names or "boolean" in names
    return not names or any(isinstance(value, _TYPES.get(name, object)) for name in names if name != "boolean")


def _choose(options: list[Any], place: _Place) -> Any:
    """The first possibility; inside a reference to itself, the first that comes to an end."""
    fresh = [option for option in options if not _leads_back(option, place)]
    simple = [option for option in fresh if _is_simple(option)] if place.tight else []
    return (simple or fresh or options)[0]


def _leads_back(option: Any, place: _Place) -> bool:
    reference = option.get("$ref") if isinstance(option, dict) else None
    return isinstance(reference, str) and reference in place.references


def _is_simple(option: Any) -> bool:
    if not isinstance(option, dict):
        return True
    kind = option.get("type")
    return "const" in option or "enum" in option or (isinstance(kind, str) and kind not in ("object", "array"))


def _type_of(schema: Json, place: _Place) -> str:
    said = schema.get("type")
    kinds = [kind for kind in (said if isinstance(said, list) else [said]) if isinstance(kind, str) and kind in _TYPES]
    if place.tight and "null" in kinds:
        return "null"
    real = [kind for kind in kinds if kind != "null"] or kinds
    if real:
        return real[0]
    return next((kind for word, kind in _TYPE_OF_WORD.items() if word in schema), "string")


def _table(schema: Json, name: str) -> Json:
    table = schema.get(name)
    return table if isinstance(table, dict) else {}


def _names(schema: Json) -> list[str]:
    names = schema.get("required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
