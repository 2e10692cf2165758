"""What the model thought: a string beside the content, which OpenAI itself does not have."""

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Reasoning
from adapters.openai_chat.extras import unwritten_extra
from adapters.wire.fields import Fields


def decode_reasoning(fields: Fields) -> str | None:
    """The text, as DeepSeek, Kimi and vLLM spell its field or as OpenRouter does (THK-13, hard-cases.md)."""
    other = fields.rest().get("reasoning")
    reasoning = fields.string("reasoning_content")
    if reasoning is None and isinstance(other, str):
        return fields.string("reasoning")
    if reasoning is not None and other == reasoning:
        fields.any("reasoning")  # servers on their way from one spelling to the other send both
    return reasoning


def unwritten_reasoning(part: Reasoning, path: str) -> list[Loss]:
    """The losses of a part of which only the text is written."""
    losses = [
        Loss(f"{path}.{name}", LossReason.UNSUPPORTED, f"reasoning has no {name} here")
        for name in ("signature", "redacted", "id")
        if getattr(part, name) is not None
    ]
    return losses + unwritten_extra(path, part.extra)
