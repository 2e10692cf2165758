"""The items of a streamed answer that have begun, and the parts that are open in them."""

from dataclasses import dataclass, field
from typing import Any

from adapters.model.event import ArgumentsDelta, Event, PartEnded, PartStarted
from adapters.model.message import Json, Part
from adapters.openai_responses.calls import CUSTOM_TAIL
from adapters.wire.fields import wrong_type

_MOST_ITEMS = 100_000

Key = tuple[str, int]
"""A text of an item: the list it is in (``content``, ``summary``) and its place there."""


@dataclass(slots=True)
class OpenItem:
    """One item. ``part`` is the index of its open part, -1 if there is none; ``texts`` are those that have begun.

    ``said``: its first part has begun; ``pieces`` wait for that.
    """

    kind: str
    wire: Json
    part: int = -1
    key: Key | None = None
    texts: dict[Key, bool] = field(default_factory=dict)
    citations: dict[Key, int] = field(default_factory=dict)
    with_logprobs: set[Key] = field(default_factory=set)
    blanks: dict[Key, Json] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    said: bool = False
    done: bool = False


class OpenItems:
    """All items so far, by their place in the answer, and all parts, in the order in which they began.

    ``flowing_*`` tell the text that is open: a delta for it needs nothing but to be handed on.
    """

    __slots__ = ("_next", "flowing_content", "flowing_output", "flowing_part", "items", "parts")

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.items: dict[int, OpenItem] = {}
        self.flowing_output = self.flowing_content = self.flowing_part = -1
        self._next = 0

    def open(self, index: int, wire: Json) -> OpenItem:
        """Begin an item."""
        kind = wire.get("type")
        if type(kind) is not str or not kind:
            raise wrong_type("item.type", "a string", kind)
        if len(self.items) >= _MOST_ITEMS:
            raise wrong_type("output_index", f"one of at most {_MOST_ITEMS}", index)
        item = self.items[index] = OpenItem(kind, wire)
        return item

    def item(self, event: Json, kind: str) -> OpenItem | None:
        """The item an event belongs to; ``None`` if nothing may follow in it."""
        index = place_of(event, "output_index")
        item = self.items.get(index)
        if item is None:
            item = self.open(index, {"type": kind, "id": event.get("item_id")})
        if item.kind != kind:
            raise wrong_type("output_index", f"the index of a {kind} item", index)
        return None if item.done else item

    def begin(self, item: OpenItem, key: Key | None, part: Part, events: list[Event]) -> None:
        """Begin a part of the item, after the one that is open in it."""
        self.close(item, events)
        item.part, item.key = self._next, key
        self._next += 1
        self.parts.append(part)
        events.append(PartStarted(item.part, part))

    def close(self, item: OpenItem, events: list[Event]) -> None:
        """End the open part of the item, if there is one."""
        if item.part < 0:
            return
        if item.kind == "custom_tool_call":
            events.append(ArgumentsDelta(item.part, CUSTOM_TAIL))
        if self.flowing_part == item.part:
            self.flowing_output = self.flowing_content = self.flowing_part = -1
        events.append(PartEnded(item.part))
        item.part, item.key = -1, None


def place_of(event: Json, name: str) -> int:
    """A place in a list, as an event gives it."""
    value = event.get(name)
    if type(value) is not int or value < 0:
        raise wrong_type(name, "an integer of at least 0", value)
    return value


def object_of(value: Any, path: str) -> Json:
    """The value, which must be an object."""
    if type(value) is not dict:
        raise wrong_type(path, "an object", value)
    return value


def array_of(wire: Json, name: str) -> list[Any]:
    """The array in a field of an item; ``null`` is an empty one."""
    value = wire.get(name)
    if value is not None and type(value) is not list:
        raise wrong_type(f"item.{name}", "an array", value)
    return value or []


def string_of(value: Any, path: str) -> str:
    """The value, which must be a string; ``null`` is an empty one."""
    if value is None:
        return ""
    if type(value) is not str:
        raise wrong_type(path, "a string", value)
    return value
