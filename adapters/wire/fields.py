"""Typed access to a JSON object: errors name the field and what was expected, and what nobody asked for is kept."""

from collections.abc import Collection
from typing import Any, TypeVar

from adapters.model.error import DecodeError
from adapters.model.message import Extra, Json

Value = TypeVar("Value")

_JSON_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def wrong_type(path: str, expected: str, value: object) -> DecodeError:
    """The error for a field that holds something else; it tells the type found, never the value."""
    found = _JSON_NAMES.get(type(value), "something else")
    return DecodeError(f"{path or 'the body'} must be {expected}, not {found}", param=path or None, code="invalid_type")


class Fields:
    """Reads the fields of one JSON object, each once; ``rest()`` has those that nobody asked for.

    ``null`` counts as absent, as every vendor's own API has it. Every method raises ``DecodeError`` with the wire path
    of the field (``messages[2].content``) when the value is not what its name promises.
    """

    __slots__ = ("_left", "path")

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        self._left: Json = dict(value)
        self.path = path

    def path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def error(self, name: str, problem: str, code: str = "invalid_value") -> DecodeError:
        """A ``DecodeError`` for the field: ``problem`` follows its path, as in ``must not be empty``."""
        path = self.path_of(name)
        return DecodeError(f"{path} {problem}", param=path, code=code)

    def has(self, name: str) -> bool:
        """Whether the field is there, not null and not read yet."""
        return self._left.get(name) is not None

    def any(self, name: str) -> Any:
        """The value whatever its type; ``None`` if absent."""
        return self._left.pop(name, None)

    def string(self, name: str) -> str | None:
        return self._typed(name, str, "a string")

    def boolean(self, name: str) -> bool | None:
        return self._typed(name, bool, "a boolean")

    def object(self, name: str) -> Json | None:
        return self._typed(name, dict, "an object")

    def array(self, name: str) -> list[Any] | None:
        return self._typed(name, list, "an array")

    def fields(self, name: str) -> "Fields | None":
        """The object in this field, itself to be read field by field."""
        value = self.object(name)
        return None if value is None else Fields(value, self.path_of(name))

    def strings(self, name: str) -> tuple[str, ...] | None:
        values = self.array(name)
        if values is None:
            return None
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise wrong_type(f"{self.path_of(name)}[{index}]", "a string", value)
        return tuple(values)

    def integer(self, name: str, low: int | None = None, high: int | None = None) -> int | None:
        """A whole number within ``low`` and ``high``, both included."""
        value = self.any(name)
        if value is None:
            return None
        if type(value) is not int:
            raise wrong_type(self.path_of(name), "an integer", value)
        self._check_range(name, value, low, high)
        return value

    def number(self, name: str, low: float | None = None, high: float | None = None) -> float | None:
        """A number within ``low`` and ``high``, both included; 1 stays an ``int``, so that 1 is sent on."""
        value = self.any(name)
        if value is None:
            return None
        if type(value) is not int and type(value) is not float:
            raise wrong_type(self.path_of(name), "a number", value)
        self._check_range(name, value, low, high)
        return value

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """A string that is one of ``allowed``."""
        value = self.string(name)
        if value is not None and value not in allowed:
            raise self.error(name, f"must be one of {', '.join(allowed)}")
        return value

    def need_string(self, name: str) -> str:
        """A string that must be there and must not be empty."""
        value = self.string(name)
        if value is None:
            raise self._missing(name)
        if not value:
            raise self.error(name, "must not be empty")
        return value

    def need_array(self, name: str) -> list[Any]:
        """An array that must be there and must not be empty."""
        value = self.array(name)
        if value is None:
            raise self._missing(name)
        if not value:
            raise self.error(name, "must not be empty")
        return value

    def need_object(self, name: str) -> Json:
        value = self.object(name)
        if value is None:
            raise self._missing(name)
        return value

    def need_fields(self, name: str) -> "Fields":
        return Fields(self.need_object(name), self.path_of(name))

    def rest(self) -> Json:
        """The fields not read so far, in their order; fields that hold null are among them."""
        return self._left

    def extra(self, dialect: str) -> Extra | None:
        """The fields not read so far, as the model keeps them; ``None`` if there are none."""
        return {dialect: self._left} if self._left else None

    def _missing(self, name: str) -> DecodeError:
        return self.error(name, "is required", code="missing_required_field")

    def _typed(self, name: str, kind: type[Value], expected: str) -> Value | None:
        value = self._left.pop(name, None)
        if value is None or isinstance(value, kind):
            return value
        raise wrong_type(self.path_of(name), expected, value)

    def _check_range(self, name: str, value: float, low: float | None, high: float | None) -> None:
        if (low is not None and value < low) or (high is not None and value > high):
            if high is None:
                raise self.error(name, f"must be at least {low}")
            raise self.error(name, f"must be at most {high}" if low is None else f"must be between {low} and {high}")
