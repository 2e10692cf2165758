"""Schemas: this API's own ``Schema``, a part of OpenAPI 3.0 with types in capitals, as JSON Schema."""

import re
from collections.abc import Callable
from typing import Any

from adapters.model.message import Json
from adapters.wire.fields import wrong_type

_INTEGER = re.compile(r"-?[0-9]{1,18}")

# Schema in types.py; what is missing here stays as it is.
_SPELLINGS: dict[str, str] = {
    "any_of": "anyOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
    "prefix_items": "prefixItems",
    "defs": "$defs",
    "ref": "$ref",
}
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})


class ConvertedSchema(dict[str, Any]):
    """A JSON Schema that was made from a ``Schema``; ``wire`` is that, untouched, for upstreams of this dialect.

    It is not an extra field: every other dialect gets all of it in the JSON Schema, so nothing is lost there.
    """

    __slots__ = ("wire",)

    def __init__(self, schema: Json, wire: Json) -> None:
        super().__init__(schema)
        self.wire = wire


def decode_schema(wire: Json, path: str) -> ConvertedSchema:
    """The JSON Schema that says the same (SCH-06, hard-cases.md)."""
    return ConvertedSchema(_converted(wire, path), wire)


def encode_schema(schema: Json, plain_name: str, json_name: str) -> Json:
    """The field that holds the schema: ``json_name``, which takes all of JSON Schema (SCH-01), or as it came."""
    if isinstance(schema, ConvertedSchema):
        return {plain_name: schema.wire}
    return {json_name: schema}


def _converted(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    schema: Json = {}
    for name, item in value.items():
        known = _SPELLINGS[name] if name in _SPELLINGS else str(name)
        if item is not None and (name, item) != ("format", "enum") and name != "nullable":
            convert = _CONVERTERS.get(known)
            schema[known] = item if convert is None else convert(item, f"{path}.{name}")
    if schema.get("type") == "type_unspecified":
        del schema["type"]
    if schema.get("type") == "integer":
        _number_enum(schema)
    if value.get("nullable") is True:
        _make_nullable(schema)
    return schema


def _convert_type(value: Any, path: str) -> Any:
    return value.lower() if isinstance(value, str) else value


def _convert_map(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    return {name: _converted(inner, f"{path}.{name}") for name, inner in value.items()}


def _convert_list(value: Any, path: str) -> list[Json]:
    if not isinstance(value, list):
        raise wrong_type(path, "an array", value)
    return [_converted(inner, f"{path}[{index}]") for index, inner in enumerate(value)]


def _convert_open(value: Any, path: str) -> Any:
    return _converted(value, path) if isinstance(value, dict) else value


def _convert_count(value: Any, path: str) -> Any:
    """64-bit numbers may be written as strings in proto3 JSON."""
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value


def _convert_ref(value: Any, path: str) -> Any:
    return value.replace("#/defs/", "#/$defs/", 1) if isinstance(value, str) else value


_CONVERTERS: dict[str, Callable[[Any, str], Any]] = {
    "type": _convert_type,
    "properties": _convert_map,
    "$defs": _convert_map,
    "items": _convert_open,
    "additionalProperties": _convert_open,
    "anyOf": _convert_list,
    "prefixItems": _convert_list,
    "$ref": _convert_ref,
    **dict.fromkeys(_COUNTS, _convert_count),
}


def _number_enum(schema: Json) -> None:
    """An enumeration has strings even where the type is a number (SCH-07, hard-cases.md)."""
    words = schema.get("enum")
    if isinstance(words, list) and all(isinstance(word, str) and _INTEGER.fullmatch(word) for word in words):
        schema["enum"] = [int(word) for word in words]


def _make_nullable(schema: Json) -> None:
    kind, choices, words = schema.get("type"), schema.get("anyOf"), schema.get("enum")
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
    elif isinstance(choices, list):
        schema["anyOf"] = [*choices, {"type": "null"}]
    if isinstance(words, list):
        schema["enum"] = [*words, None]
