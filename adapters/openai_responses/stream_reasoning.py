"""Reasoning in a streamed answer."""

from collections.abc import Callable
from typing import Any

from adapters.model.event import Event, ReasoningDelta
from adapters.model.message import Json, Reasoning
from adapters.openai_responses.extras import REASONING_TEXT
from adapters.openai_responses.fields import NAME
from adapters.openai_responses.open_items import Key, OpenItem, OpenItems, array_of, place_of, string_of
from adapters.openai_responses.reasoning import decode_reasoning
from adapters.wire.fields import Fields


class StreamReasoning:
    """Turns the events of reasoning into parts and their deltas."""

    __slots__ = ("_open", "readers")

    def __init__(self, opened: OpenItems) -> None:
        self._open = opened
        self.readers: dict[str, Callable[[Json, list[Event]], bool]] = {
            "response.reasoning_summary_part.added": _nothing,
            "response.reasoning_summary_part.done": _nothing,
            "response.reasoning_summary_text.delta": self._summary_delta,
            "response.reasoning_summary_text.done": self._summary_done,
            "response.reasoning_text.delta": self._thought_delta,
            "response.reasoning_text.done": self._thought_done,
        }

    def _summary_delta(self, event: Json, events: list[Event]) -> bool:
        return self._thought(event, "summary", event.get("delta"), events)

    def _thought_delta(self, event: Json, events: list[Event]) -> bool:
        return self._thought(event, "content", event.get("delta"), events)

    def _summary_done(self, event: Json, events: list[Event]) -> bool:
        return self._whole_thought(event, "summary", events)

    def _thought_done(self, event: Json, events: list[Event]) -> bool:
        return self._whole_thought(event, "content", events)

    def _whole_thought(self, event: Json, place: str, events: list[Event]) -> bool:
        item = self._open.item(event, "reasoning")
        key = (place, place_of(event, f"{place}_index"))
        if item is not None and not item.texts.get(key):
            self._thought(event, place, event.get("text"), events)
        if item is not None and item.key == key:
            self._open.close(item, events)
        return True

    def _thought(self, event: Json, place: str, value: Any, events: list[Event]) -> bool:
        item = self._open.item(event, "reasoning")
        text = string_of(value, "delta")
        key = (place, place_of(event, f"{place}_index"))
        if item is not None and text:
            self._think(item, key, text, events)
        return True

    def _think(self, item: OpenItem, key: Key, text: str, events: list[Event]) -> None:
        if item.key != key:
            identity = item.wire.get("id")
            extra = {NAME: {REASONING_TEXT: None}} if key[0] == "content" else None
            identity = identity if type(identity) is str and identity else None
            self._open.begin(item, key, Reasoning("", id=identity, origin=NAME, extra=extra), events)
        item.texts[key] = True
        events.append(ReasoningDelta(item.part, text))

    def finish(self, item: OpenItem, wire: Json, events: list[Event]) -> None:
        """What of the item was not streamed, and its payload, which is only complete now."""
        parts = decode_reasoning(Fields(wire, "item"), answer=True)
        for place in ("summary", "content"):
            for index, entry in enumerate(array_of(wire, place)):
                text = entry.get("text") if type(entry) is dict else ""
                if text and not item.texts.get((place, index)):
                    self._think(item, (place, index), text, events)
        if parts and parts[-1].redacted is not None:
            self._open.begin(item, None, parts[-1], events)


def _nothing(event: Json, events: list[Event]) -> bool:
    return True
