"""The items of a streamed answer, put together from their events."""

from collections.abc import Callable
from typing import Any

from adapters.contract import Context
from adapters.model.event import CitationAdded, Event, ForeignEvent, LogprobsReported, TextDelta
from adapters.model.message import Json, Opaque, Part, Refusal, Text
from adapters.openai_responses.answer import message_fields
from adapters.openai_responses.calls import CALL_TEXTS
from adapters.openai_responses.citations import decode_annotations
from adapters.openai_responses.fields import NAME
from adapters.openai_responses.open_items import Key, OpenItem, OpenItems, array_of, object_of, place_of, string_of
from adapters.openai_responses.stream_calls import StreamCalls
from adapters.openai_responses.stream_reasoning import StreamReasoning
from adapters.openai_responses.turns import with_item_mark
from adapters.wire.fields import wrong_type

_CONTENT_FIELDS = frozenset({"type", "text", "refusal", "annotations", "logprobs"})


class StreamItems:
    """Turns the events of items into parts and their deltas."""

    __slots__ = ("_calls", "_open", "_readers", "_reasoning")

    def __init__(self, context: Context, opened: OpenItems) -> None:
        self._open = opened
        self._calls = StreamCalls(context, self._open)
        self._reasoning = StreamReasoning(self._open)
        self._readers: dict[str, Callable[[Json, list[Event]], bool]] = {
            "response.output_item.added": self._added,
            "response.output_item.done": self._done,
            "response.content_part.added": self._content_added,
            "response.content_part.done": self._content_done,
            "response.output_text.delta": self._text_delta,
            "response.output_text.done": self._text_done,
            "response.refusal.delta": self._refusal_delta,
            "response.refusal.done": self._refusal_done,
            "response.output_text.annotation.added": self._annotation,
            **self._calls.readers,
            **self._reasoning.readers,
        }

    def read(self, kind: str, event: Json, events: list[Event]) -> bool:
        """Take an event; gives back whether it is one that is known here."""
        reader = self._readers.get(kind)
        return reader is not None and reader(event, events)

    def finish(self, output: Any, events: list[Event]) -> None:
        """The end of the answer: what ``output`` has and was not streamed is added, what is open is closed."""
        if output is not None and type(output) is not list:
            raise wrong_type("response.output", "an array", output)
        done = [item.wire for item in self._open.items.values() if item.done]
        for index, value in enumerate(output or ()):
            wire = object_of(value, f"response.output[{index}]")
            item = self._open.items.get(index)
            # Places may differ where an item was announced and then given up.
            if (item is None or not item.done) and wire not in done:
                self._finish(index, wire, events)
        for item in self._open.items.values():
            self._open.close(item, events)

    # --- items

    def _added(self, event: Json, events: list[Event]) -> bool:
        index, wire = place_of(event, "output_index"), object_of(event.get("item"), "item")
        if index in self._open.items:
            return True
        item = self._open.open(index, wire)
        if item.kind in CALL_TEXTS:
            self._calls.start(item, wire, events)
        elif item.kind not in ("message", "reasoning"):
            events.append(
                ForeignEvent(NAME, {name: value for name, value in event.items() if name != "sequence_number"})
            )
        return True

    def _done(self, event: Json, events: list[Event]) -> bool:
        self._finish(place_of(event, "output_index"), object_of(event.get("item"), "item"), events)
        return True

    def _finish(self, index: int, wire: Json, events: list[Event]) -> None:
        item = self._open.items.get(index)
        if item is None:
            item = self._open.open(index, wire)
        if item.done:
            return
        if wire.get("type") != item.kind:
            raise wrong_type("item.type", f"{item.kind!r} as before", wire.get("type"))
        if item.kind == "message":
            for place, content in enumerate(array_of(wire, "content")):
                self._finish_content(index, item, ("content", place), object_of(content, "item.content[]"), events)
        elif item.kind in CALL_TEXTS:
            self._calls.start(item, wire, events)
            self._calls.finish(item, wire.get(CALL_TEXTS[item.kind]), events)
        elif item.kind == "reasoning":
            self._reasoning.finish(item, wire, events)
        else:
            part = Opaque(NAME, wire)
            self._open.begin(item, None, part, events)
        self._open.close(item, events)
        item.wire, item.done = wire, True

    # --- messages

    def _content_added(self, event: Json, events: list[Event]) -> bool:
        item = self._open.items.get(place_of(event, "output_index"))
        part = object_of(event.get("part"), "part")
        if item is not None and item.kind == "message":
            item.blanks[("content", place_of(event, "content_index"))] = part
        return True

    def _content_done(self, event: Json, events: list[Event]) -> bool:
        index, place = place_of(event, "output_index"), place_of(event, "content_index")
        item = self._open.items.get(index)
        if item is not None and item.kind == "message" and not item.done:
            self._finish_content(index, item, ("content", place), object_of(event.get("part"), "part"), events)
        return True

    def _finish_content(self, index: int, item: OpenItem, key: Key, part: Json, events: list[Event]) -> None:
        kind = part.get("type")
        if kind not in ("output_text", "refusal"):
            raise wrong_type("part.type", "output_text or refusal", kind)
        item.blanks.setdefault(key, part)
        text = part.get("text" if kind == "output_text" else "refusal")
        if not item.texts.get(key):
            self._text(index, item, key, text, events)
        if kind == "output_text":
            citations = decode_annotations(part.get("annotations"), "part.annotations")
            for citation in citations[item.citations.get(key, 0) :]:
                self._cite(index, item, key, citation, events)
            self._add_logprobs(item, key, part.get("logprobs"), events)
        if item.key == key:
            self._open.close(item, events)

    def _text_delta(self, event: Json, events: list[Event]) -> bool:
        return self._delta(event, "output_text", event.get("delta"), events)

    def _refusal_delta(self, event: Json, events: list[Event]) -> bool:
        return self._delta(event, "refusal", event.get("delta"), events)

    def _delta(self, event: Json, kind: str, text: Any, events: list[Event]) -> bool:
        item = self._open.item(event, "message")
        key = ("content", place_of(event, "content_index"))
        if item is not None:
            item.blanks.setdefault(key, {"type": kind})
            self._text(place_of(event, "output_index"), item, key, text, events)
            if event.get("logprobs"):
                self._add_logprobs(item, key, event["logprobs"], events, more=True)
        return True

    def _text_done(self, event: Json, events: list[Event]) -> bool:
        return self._whole_text(event, "output_text", event.get("text"), events)

    def _refusal_done(self, event: Json, events: list[Event]) -> bool:
        return self._whole_text(event, "refusal", event.get("refusal"), events)

    def _whole_text(self, event: Json, kind: str, text: Any, events: list[Event]) -> bool:
        item = self._open.item(event, "message")
        key = ("content", place_of(event, "content_index"))
        if item is not None and not item.texts.get(key):
            self._delta({**event, "logprobs": None}, kind, text, events)
        return True

    def _text(self, index: int, item: OpenItem, key: Key, text: Any, events: list[Event]) -> None:
        text = string_of(text, "delta")
        if not text:
            return
        self._begin_content(index, item, key, events)
        item.texts[key] = True
        events.append(TextDelta(item.part, text))
        opened = self._open
        opened.flowing_output, opened.flowing_content, opened.flowing_part = index, key[1], item.part

    def _begin_content(self, index: int, item: OpenItem, key: Key, events: list[Event]) -> None:
        if item.key == key:
            return
        blank = item.blanks.get(key) or {}
        kept = {name: value for name, value in blank.items() if name not in _CONTENT_FIELDS and value is not None}
        extra = {NAME: kept} if kept else None
        part: Text | Refusal = Refusal("", extra) if blank.get("type") == "refusal" else Text("", extra=extra)
        first: Part = part
        if not item.said:
            (first,) = with_item_mark(self._open.parts[-1:], with_item_mark((), [part], message_fields(item.wire)))
        item.said = True
        self._open.begin(item, key, first, events)

    def _annotation(self, event: Json, events: list[Event]) -> bool:
        item = self._open.item(event, "message")
        key = ("content", place_of(event, "content_index"))
        if item is not None and event.get("annotation") is not None:
            item.blanks.setdefault(key, {"type": "output_text"})
            self._cite(place_of(event, "output_index"), item, key, object_of(event["annotation"], "annotation"), events)
        return True

    def _cite(self, index: int, item: OpenItem, key: Key, citation: Json, events: list[Event]) -> None:
        if (item.blanks.get(key) or {}).get("type") == "refusal":
            raise wrong_type("part.type", "output_text", "refusal")
        self._begin_content(index, item, key, events)
        item.citations[key] = item.citations.get(key, 0) + 1
        events.append(CitationAdded(item.part, citation))

    def _add_logprobs(self, item: OpenItem, key: Key, value: Any, events: list[Event], *, more: bool = False) -> None:
        """Those of a delta, or of a whole text unless its deltas had them."""
        if value is None or (key in item.with_logprobs and not more):
            return
        if type(value) is not list:
            raise wrong_type("logprobs", "an array", value)
        if value:
            item.with_logprobs.add(key)
            events.append(LogprobsReported(0, {"content": value}))
