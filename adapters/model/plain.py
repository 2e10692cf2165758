"""The model as plain JSON and back: for test vectors, for ``demo/mirror`` and for people who want to look."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import partial
from operator import is_
from typing import Any, get_args, get_origin, get_type_hints

from adapters.model import catalog, error, message, request, response
from adapters.model.message import Json

_TYPES: dict[str, type] = {
    name: thing
    for module in (message, request, response, error, catalog)
    for name, thing in vars(module).items()
    if isinstance(thing, type) and is_dataclass(thing)
}


def to_plain(value: Any) -> Any:
    """``value`` with every record as an object that names its type in ``"is"``; what was not said is left out."""
    if is_dataclass(value) and not isinstance(value, type):
        plain: Json = {"is": type(value).__name__}
        for field in fields(value):
            item = getattr(value, field.name)
            if field.default is MISSING or item not in (None, (), field.default):
                plain[field.name] = to_plain(item)
        return plain
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {name: to_plain(item) for name, item in value.items()}
    return value


def from_plain(plain: Any) -> Any:
    """The records that ``to_plain`` wrote out."""
    if not isinstance(plain, dict) or plain.get("is") not in _TYPES:
        return plain
    kind = _TYPES[plain["is"]]
    hints = get_type_hints(kind)
    return kind(**{name: _read(hints[name], item) for name, item in plain.items() if name != "is"})


def _read(hint: Any, item: Any) -> Any:
    if isinstance(item, str) and isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(item)
    collection = next((kind for kind in (tuple, frozenset) if _mentions(hint, partial(is_, kind))), None)
    # A client's own JSON may look like a record; where the model has no record, it is left alone.
    read = from_plain if _mentions(hint, is_dataclass) else lambda entry: entry
    if isinstance(item, list) and collection is not None:
        return collection(read(entry) for entry in item)
    return read(item)


def _mentions(hint: Any, wanted: Callable[[Any], bool]) -> bool:
    """Whether the type hint, or one it is made of, is wanted."""
    return wanted(hint) or wanted(get_origin(hint)) or any(_mentions(part, wanted) for part in get_args(hint))
