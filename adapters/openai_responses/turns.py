"""A turn of the model's in the history: reasoning, messages and calls, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from adapters.openai_responses.calls import encode_call
from adapters.openai_responses.extras import ITEM, own_extra
from adapters.openai_responses.fields import NAME
from adapters.openai_responses.parts import encode_output_part, lose_cache, shortened
from adapters.openai_responses.reasoning import ReasoningItem, unwritten_reasoning


def with_item_mark(before: Sequence[Part], parts: Sequence[Part], kept: Mapping[str, Any] | None = None) -> list[Part]:
    """The parts of an item, the first marked if it must be told apart from the text ``before``, or has fields."""
    marked = list(parts)
    first = marked[0] if marked else None
    if not isinstance(first, Text | Refusal):
        return marked
    own = own_extra(first.extra)
    if kept or (ITEM not in own and before and isinstance(before[-1], Text | Refusal)):
        marked[0] = replace(first, extra={**(first.extra or {}), NAME: {**own, ITEM: dict(kept) if kept else None}})
    return marked


def encode_turn(parts: Sequence[Part], path: str, losses: list[Loss]) -> list[Json]:
    """The items of a turn; what is lost joins ``losses``."""
    items: list[Json] = []
    content: list[Json] | None = None  # of the message that is still open
    reasoning: ReasoningItem | None = None
    with_ids = True
    for index, part in enumerate(parts):
        part_path = f"{path}.parts[{index}]"
        if isinstance(part, Text | Refusal):
            if content is None or ITEM in own_extra(part.extra):
                content = _open_message(items, part)
            content.append(encode_output_part(part, part_path, losses))
            reasoning = None
            continue
        content = None
        if isinstance(part, Reasoning) and part.origin == NAME:
            losses += unwritten_reasoning(part, part_path)
            if reasoning is None or not reasoning.takes(part):
                reasoning = ReasoningItem(part.id)
                items.append(reasoning.wire)
            reasoning.add(part)
            items[-1] = reasoning.wire
            continue
        reasoning = None
        if isinstance(part, Reasoning):
            with_ids = False
            losses.append(Loss(part_path, LossReason.UNSUPPORTED, "reasoning goes back only to where it came from"))
        elif isinstance(part, ToolCall):
            lose_cache(part, part_path, losses)
            items.append(encode_call(part, part_path, losses, with_id=with_ids))
        elif not isinstance(part, Opaque):
            losses.append(Loss(part_path, LossReason.UNSUPPORTED, "the model's turns cannot hold it"))
        elif part.dialect == NAME:
            items.append(part.payload)
    return [_closed(item) for item in items]


def _open_message(items: list[Json], part: Text | Refusal) -> list[Json]:
    content: list[Json] = []
    items.append({"type": "message", "role": "assistant", "content": content} | (own_extra(part.extra).get(ITEM) or {}))
    return content


def _closed(item: Json) -> Json:
    """A message without fields of its own in the short form."""
    if item.get("type") != "message" or item.keys() != {"type", "role", "content"}:
        return item
    return item | {"content": shortened(item["content"])}
