"""Calls in a streamed answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from adapters.contract import Context
from adapters.model.event import ArgumentsDelta, Event
from adapters.model.message import Json
from adapters.openai_responses.calls import CALL_TEXTS, CUSTOM_HEAD, decode_answered_call, escaped
from adapters.openai_responses.names import tool_names
from adapters.openai_responses.open_items import OpenItem, OpenItems, string_of
from adapters.wire.fields import Fields, wrong_type


class StreamCalls:
    """Turns the events of calls into parts and their deltas."""

    __slots__ = ("_context", "_open", "readers")

    def __init__(self, context: Context, opened: OpenItems) -> None:
        self._context = context
        self._open = opened
        self.readers: dict[str, Callable[[Json, list[Event]], bool]] = {
            "response.function_call_arguments.delta": self._call_delta,
            "response.function_call_arguments.done": self._call_done,
            "response.custom_tool_call_input.delta": self._custom_delta,
            "response.custom_tool_call_input.done": self._custom_done,
        }

    def start(self, item: OpenItem, wire: Json, events: list[Event]) -> None:
        """Begin the call, once its name is known; what came before is handed on now."""
        if item.said or not wire.get("name"):
            return
        fields = Fields(wire, "item")
        fields.any(CALL_TEXTS[item.kind])
        fields.any("type")
        spare = "" if wire.get("call_id") or wire.get("id") else self._context.new_id("call_")
        call = decode_answered_call(fields, item.kind, tool_names(self._context.request), spare)
        item.said = True
        self._open.begin(item, None, replace(call, arguments=""), events)
        if item.kind == "custom_tool_call":
            events.append(ArgumentsDelta(item.part, CUSTOM_HEAD))
        events += (ArgumentsDelta(item.part, piece) for piece in item.pieces)
        item.pieces.clear()

    def finish(self, item: OpenItem, value: Any, events: list[Event]) -> None:
        text = string_of(value, "item.arguments")
        if not item.said:
            raise wrong_type("item.name", "a string", None)
        if text and not item.texts:
            self._add_arguments(item, text, events)

    def _add_arguments(self, item: OpenItem, text: str, events: list[Event]) -> None:
        if not text:
            return  # as some servers begin: TOOL-18, hard-cases.md
        item.texts[("arguments", 0)] = True
        piece = escaped(text) if item.kind == "custom_tool_call" else text
        if item.part >= 0:
            events.append(ArgumentsDelta(item.part, piece))
        else:
            item.pieces.append(piece)

    def _call_delta(self, event: Json, events: list[Event]) -> bool:
        return self._arguments(event, "function_call", event.get("delta"), events)

    def _custom_delta(self, event: Json, events: list[Event]) -> bool:
        return self._arguments(event, "custom_tool_call", event.get("delta"), events)

    def _arguments(self, event: Json, kind: str, text: Any, events: list[Event]) -> bool:
        item = self._open.item(event, kind)
        if item is not None:
            self._add_arguments(item, string_of(text, "delta"), events)
        return True

    def _call_done(self, event: Json, events: list[Event]) -> bool:
        return self._whole_arguments(event, "function_call", event.get("arguments"), events)

    def _custom_done(self, event: Json, events: list[Event]) -> bool:
        return self._whole_arguments(event, "custom_tool_call", event.get("input"), events)

    def _whole_arguments(self, event: Json, kind: str, text: Any, events: list[Event]) -> bool:
        item = self._open.item(event, kind)
        return True if item is None or item.texts else self._arguments(event, kind, text, events)
