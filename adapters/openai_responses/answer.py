"""Items of an answer, as parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import Context
from adapters.model.message import Json, Opaque, Part, Refusal, Text
from adapters.openai_responses.calls import CALL_TEXTS, decode_answered_call
from adapters.openai_responses.citations import decode_annotations
from adapters.openai_responses.extras import decode_extra
from adapters.openai_responses.fields import ANSWER_FIELDS, ECHOES, NAME, USUAL_TIERS
from adapters.openai_responses.names import tool_names
from adapters.openai_responses.reasoning import decode_reasoning
from adapters.openai_responses.turns import with_item_mark
from adapters.wire.fields import Fields, wrong_type

MESSAGE_FIELDS = frozenset({"id", "type", "role", "status", "content"})
"""Fields of a message item that are read by name; ids and states of items are minted anew by whoever writes them."""


@dataclass(slots=True)
class AnswerParts:
    """The parts of an answer so far, and the log probabilities of their tokens."""

    context: Context
    parts: list[Part] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)

    def add_item(self, value: Any, path: str) -> Sequence[Part]:
        """The parts of one more item; what is empty is no part."""
        parts = self._decode(value, path)
        self.parts += parts
        return parts

    def _decode(self, value: Any, path: str) -> Sequence[Part]:
        fields = Fields(value, path)
        kind = fields.need_string("type")
        if kind in CALL_TEXTS:
            names = tool_names(self.context.request)
            spare = "" if fields.has("call_id") or fields.has("id") else self.context.new_id("call_")
            return [decode_answered_call(fields, kind, names, spare)]
        if kind == "reasoning":
            return decode_reasoning(fields, answer=True)
        if kind != "message":
            return [Opaque(NAME, value)]
        content = fields.array("content") or []
        parts = [
            part for index, entry in enumerate(content) for part in self._content(entry, f"{path}.content[{index}]")
        ]
        return with_item_mark(self.parts, with_item_mark((), parts, message_fields(value)))

    def _content(self, value: Any, path: str) -> list[Part]:
        fields = Fields(value, path)
        kind = fields.need_string("type")
        if kind == "refusal":
            text = fields.string("refusal") or ""
            return [Refusal(text, extra=decode_extra(fields))] if text else []
        if kind != "output_text":
            raise fields.error("type", "must be output_text or refusal")
        text = fields.string("text") or ""
        citations = decode_annotations(fields.any("annotations"), fields.path_of("annotations"))
        self.logprobs += fields.array("logprobs") or []
        return [Text(text, citations, extra=decode_extra(fields))] if text or citations else []


def message_fields(item: Json) -> Json:
    """The fields of a message item that are not read by name, as its ``phase``."""
    return {name: value for name, value in item.items() if name not in MESSAGE_FIELDS and value is not None}


def answer_fields(answer: Mapping[str, Any], incomplete: str | None, *, usual: bool) -> Json:
    """What an answer says besides: neither read by name nor a repetition of the request.

    ``usual``: the reason of its being incomplete is one that the model has a word for.
    """
    known = ANSWER_FIELDS | ECHOES
    kept = {name: value for name, value in answer.items() if name not in known and value is not None}
    tier = answer.get("service_tier")
    if tier is not None and tier not in USUAL_TIERS:
        kept["service_tier"] = tier
    if incomplete is not None and not usual:
        kept["incomplete_details"] = answer.get("incomplete_details")
    return {name: value for name, value in kept.items() if value is not None}


def incomplete_reason(answer: Mapping[str, Any]) -> str | None:
    """Why the answer is incomplete, "" if that is not told; ``None`` if it is complete."""
    if answer.get("status") != "incomplete":
        return None
    details = answer.get("incomplete_details")
    if details is not None and not isinstance(details, dict):
        raise wrong_type("incomplete_details", "an object", details)
    reason = details.get("reason") if details else None
    return reason if isinstance(reason, str) else ""
