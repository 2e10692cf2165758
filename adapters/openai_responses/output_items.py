"""The items of an answer while they are being written: each gives its events, and is whole when it is closed."""

from collections.abc import Sequence
from typing import Any

from adapters.model.message import Json, Reasoning, Refusal, Text, ToolCall
from adapters.openai_responses.calls import custom_input
from adapters.openai_responses.extras import CUSTOM, ITEM, REASONING_TEXT, encode_extra, marked, own_extra
from adapters.openai_responses.fields import NAME


class _Item:
    """What all items have; ``wire`` is the item as readers see it at the end."""

    def __init__(self, wire: Json, index: int) -> None:
        self.wire = wire
        self.index = index

    def added(self, **empty: Any) -> Json:
        """The event that opens the item; ``empty`` are its fields that will be filled later."""
        return {"type": "response.output_item.added", "output_index": self.index, "item": {**self.wire, **empty}}

    def done(self) -> Json:
        return {"type": "response.output_item.done", "output_index": self.index, "item": self.wire}

    def event(self, kind: str, **more: Any) -> Json:
        """An event about the inside of the item."""
        return {"type": f"response.{kind}", "item_id": self.wire["id"], "output_index": self.index, **more}


class MessageItem(_Item):
    """A message: texts and refusals, one open at a time."""

    def __init__(self, identity: str, index: int, part: Text | Refusal) -> None:
        head: Json = {"id": identity, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        super().__init__(head | (own_extra(part.extra).get(ITEM) or {}), index)
        self.pieces: list[str] = []
        self.part: Json | None = None

    @property
    def content_index(self) -> int:
        return len(self.wire["content"])

    def open(self, part: Text | Refusal) -> Json:
        """Begin a content part."""
        blank: Json = {"type": "refusal", "refusal": ""}
        if isinstance(part, Text):
            blank = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
        self.part = encode_extra(blank, part.extra, (ITEM,))
        shown = self.part | {name: [] for name in ("annotations", "logprobs") if name in self.part}
        return self.event("content_part.added", content_index=self.content_index, part=shown)

    def delta(self, text: str, logprobs: Sequence[Any] = ()) -> Json:
        """More text of the open part, or log probabilities of what was sent."""
        self.pieces.append(text)
        place = {"content_index": self.content_index, "delta": text}
        if self.part is None or self.part["type"] == "refusal":
            return self.event("refusal.delta", **place)
        self.part["logprobs"] += logprobs
        return self.event("output_text.delta", **place, logprobs=list(logprobs))

    def annotate(self, annotation: Json) -> Json:
        """An annotation of the open part."""
        annotations: list[Json] = [] if self.part is None else self.part["annotations"]
        annotations.append(annotation)
        place = {"content_index": self.content_index, "annotation_index": len(annotations) - 1}
        return self.event("output_text.annotation.added", **place, annotation=annotation)

    def close_part(self) -> list[Json]:
        """End the open part, if there is one."""
        if self.part is None:
            return []
        part, self.part = self.part, None
        text = "".join(self.pieces)
        self.pieces = []
        place = {"content_index": self.content_index}
        if part["type"] == "refusal":
            part["refusal"] = text
            done = self.event("refusal.done", **place, refusal=text)
        else:
            part["text"] = text
            done = self.event("output_text.done", **place, text=text, logprobs=part["logprobs"])
        self.wire["content"].append(part)
        return [done, self.event("content_part.done", **place, part=part)]

    def close(self, status: str) -> list[Json]:
        """End the message."""
        events = self.close_part()
        self.wire["status"] = status
        return [*events, self.done()]


class ReasoningItem(_Item):
    """Reasoning: texts, one open at a time, and an encrypted payload."""

    def __init__(self, identity: str, index: int) -> None:
        super().__init__({"id": identity, "type": "reasoning", "summary": []}, index)
        self.pieces: list[str] | None = None
        self.in_content = False

    def takes(self, part: Reasoning) -> bool:
        """Whether the part belongs to this item too: what follows a payload is another item."""
        return part.origin == NAME and part.id == self.wire["id"] and "encrypted_content" not in self.wire

    def add(self, part: Reasoning, *, with_payload: bool) -> None:
        """Take in the payload and the further fields of a part."""
        if with_payload and part.redacted is not None:
            self.wire["encrypted_content"] = part.redacted
        self.wire = encode_extra(self.wire, part.extra)

    def open(self, part: Reasoning) -> Json:
        """Begin a text."""
        self.pieces = []
        self.in_content = marked(part, REASONING_TEXT)
        if self.in_content:
            blank = {"type": "reasoning_text", "text": ""}
            return self.event("content_part.added", content_index=len(self.wire.setdefault("content", [])), part=blank)
        return self.event("reasoning_summary_part.added", **self._place(), part={"type": "summary_text", "text": ""})

    def delta(self, text: str) -> Json:
        """More of the open text."""
        if self.pieces is not None:
            self.pieces.append(text)
        kind = "reasoning_text" if self.in_content else "reasoning_summary_text"
        return self.event(f"{kind}.delta", **self._place(), delta=text)

    def close_part(self) -> list[Json]:
        """End the open text, if there is one."""
        if self.pieces is None:
            return []
        text = "".join(self.pieces)
        self.pieces = None
        place = self._place()
        if self.in_content:
            part = {"type": "reasoning_text", "text": text}
            self.wire["content"].append(part)
            return [
                self.event("reasoning_text.done", **place, text=text),
                self.event("content_part.done", **place, part=part),
            ]
        part = {"type": "summary_text", "text": text}
        self.wire["summary"].append(part)
        return [
            self.event("reasoning_summary_text.done", **place, text=text),
            self.event("reasoning_summary_part.done", **place, part=part),
        ]

    def close(self, status: str) -> list[Json]:
        """End the item; a state is only told if it is news."""
        events = self.close_part()
        if status != "completed":
            self.wire["status"] = status
        return [*events, self.done()]

    def _place(self) -> Json:
        if self.in_content:
            return {"content_index": len(self.wire["content"])}
        return {"summary_index": len(self.wire["summary"])}


class CallItem(_Item):
    """A call. A custom tool's text is only known when its arguments are whole: it is sent in one piece."""

    def __init__(self, identity: str, index: int, call: ToolCall, *, custom: bool) -> None:
        wire: Json = {"id": identity, "type": "function_call", "status": "in_progress"}
        if custom:
            wire["type"] = "custom_tool_call"
        wire |= {"call_id": call.id, "name": call.name, "input" if custom else "arguments": ""}
        super().__init__(encode_extra(wire, call.extra, (CUSTOM,)), index)
        self.custom = custom
        self.pieces: list[str] = []

    def delta(self, arguments: str) -> list[Json]:
        """More of the arguments."""
        self.pieces.append(arguments)
        return [] if self.custom else [self.event("function_call_arguments.delta", delta=arguments)]

    @property
    def is_free_text(self) -> bool:
        """Whether a custom tool's arguments do not hold its text in the way we ask for."""
        return self.custom and custom_input("".join(self.pieces)) is None

    def close(self, status: str) -> list[Json]:
        """End the call."""
        self.wire["status"] = status
        whole = "".join(self.pieces)
        if self.custom:
            text = custom_input(whole)
            whole = whole if text is None else text
            self.wire["input"] = whole
            deltas = [self.event("custom_tool_call_input.delta", delta=whole)] if whole else []
            return [*deltas, self.event("custom_tool_call_input.done", input=whole), self.done()]
        deltas = [] if whole else [self.event("function_call_arguments.delta", delta="{}")]  # TOOL-13
        self.wire["arguments"] = whole = whole or "{}"
        return [
            *deltas,
            self.event("function_call_arguments.done", arguments=whole, name=self.wire["name"]),
            self.done(),
        ]


class OpaqueItem(_Item):
    """An item that only this dialect understands, whole as it came."""


OutputItem = MessageItem | ReasoningItem | CallItem
