"""Whether a JSON value fits the ``TypedDict``s by which an official Python client describes its requests.

pydantic would do it lazily (``Iterable``) and let unknown keys pass; here both are looked at, and each fault is named.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, TypeVar, Union, get_args, get_origin

from typing_extensions import ReadOnly, get_type_hints, is_typeddict

_PLAIN: dict[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    NoneType: (NoneType,),
    None: (NoneType,),
}
_WRAPPERS = (Annotated, Required, NotRequired, ReadOnly)
_LISTS = ("Iterable", "Sequence", "SequenceNotStr", "List", "list")


def faults(value: object, kind: Any, path: str = "") -> list[str]:
    """What keeps ``value`` from being a ``kind``, each with its path; empty if it is one."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object or isinstance(kind, TypeVar):
        return []
    if origin in _WRAPPERS:
        return faults(value, arguments[0], path)
    if origin in (Union, UnionType):
        return _of_any(value, arguments, path)
    if origin is Literal:
        return [] if any(value is option or value == option for option in arguments) else [_fault(path, value, kind)]
    if is_typeddict(kind):
        return _of_object(value, kind, path)
    if origin in (dict, Mapping):
        return _of_mapping(value, arguments, path)
    if getattr(origin, "__name__", "") in _LISTS or origin in (list, Iterable, Sequence):
        return _of_list(value, arguments[0], path)
    if kind in _PLAIN:
        fits = isinstance(value, _PLAIN[kind]) and not (isinstance(value, bool) and kind in (int, float))
        return [] if fits else [_fault(path, value, kind)]
    return [_fault(path, value, kind)]  # a class that no JSON value is an instance of


def _of_any(value: object, options: tuple[Any, ...], path: str) -> list[str]:
    """The faults of the option that fits best: of the objects, the one whose ``type`` or ``role`` it has.

    Something missing is less of a misfit than something that does not belong there.
    """
    found = [faults(value, option, path) for option in options]
    return min(
        found, key=lambda list_: (_is_elsewhere(list_, path), sum(": missing (" not in fault for fault in list_))
    )


def _is_elsewhere(found: list[str], path: str) -> bool:
    """Whether the faults show that another option was meant."""
    return any(
        fault.startswith((f"{path}: ", f"{path}.type: ", f"{path}.role: ")) and ": not one of its keys" not in fault
        for fault in found
    )


def _of_object(value: object, kind: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [_fault(path, value, kind)]
    hints = _hints(kind)
    found = [f"{path}.{name}: not one of its keys ({kind.__name__})" for name in value if name not in hints]
    found += [f"{path}.{name}: missing ({kind.__name__})" for name in hints if name not in value and _must(name, kind)]
    for name, item in value.items():
        if name in hints:
            found += faults(item, hints[name], f"{path}.{name}")
    return found


def _must(name: str, kind: Any) -> bool:
    """Whether the key is required. ``__required_keys__`` alone does not know: the clients' annotations are strings."""
    wrapper = get_origin(_hints(kind)[name])
    return wrapper is Required or (name in kind.__required_keys__ and wrapper is not NotRequired)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _of_mapping(value: object, arguments: tuple[Any, ...], path: str) -> list[str]:
    if not isinstance(value, dict):
        return [_fault(path, value, dict)]
    return [fault for name, item in value.items() for fault in faults(item, arguments[1], f"{path}.{name}")]


def _of_list(value: object, kind: Any, path: str) -> list[str]:
    if not isinstance(value, list):
        return [_fault(path, value, list)]
    return [fault for index, item in enumerate(value) for fault in faults(item, kind, f"{path}[{index}]")]


def _fault(path: str, value: object, kind: Any) -> str:
    shown = repr(value)
    return f"{path}: {shown[:60]} is no {getattr(kind, '__name__', kind)}"
