"""Small lookups over name tables."""

from collections.abc import Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def reverse(table: Mapping[Key, Value]) -> dict[Value, Key]:
    """Value -> key. Where two keys share a value the first one wins, so write the preferred spelling first."""
    reversed_table: dict[Value, Key] = {}
    for key, value in table.items():
        reversed_table.setdefault(value, key)
    return reversed_table
