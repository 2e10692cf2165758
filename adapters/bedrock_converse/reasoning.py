"""What the model thought: ``reasoningContent`` blocks.

A signature is worth something only to the service that made it. Where an answer from elsewhere is written in this
dialect, its signature is marked with its origin, so that it finds its way back there with the next turn, and is never
taken for one of Bedrock's own (THK-01, THK-05, THK-11).
"""

import base64
import re

from adapters.bedrock_converse.extra import keep, kept_in, with_kept
from adapters.bedrock_converse.fields import NAME
from adapters.contract import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Reasoning
from adapters.wire.fields import Fields
from adapters.wire.inline_data import clean_base64

# In a stream the mark comes first and again with the signature: some clients join the pieces, others keep the last.
_MARK = re.compile(r"(?:dragoman:([a-z][a-z0-9_]*):)+(.*)", re.DOTALL)
_MARK_IN_BASE64 = base64.b64encode(b"dragoman:").decode()


def decode_reasoning(value: object, path: str) -> Reasoning:
    """The block's content. Raises ``DecodeError``."""
    block = Fields(value, path)
    text = block.fields("reasoningText")
    redacted = block.string("redactedContent")
    if (text is None) == (redacted is None):
        problem = f"{path} must hold either reasoningText or redactedContent"
        raise DecodeError(problem, param=path, code="invalid_value")
    if text is None:
        origin, payload = read_redacted(clean_base64(redacted or "", block.path_of("redactedContent")))
        return Reasoning("", redacted=payload, origin=origin, extra=keep(block.rest()))
    words = text.string("text") or ""
    origin, signature = read_signature(text.string("signature"))
    return Reasoning(words, signature, origin=origin, extra=keep(block.rest(), reasoningText=text.rest()))


def read_signature(marked: str | None) -> tuple[str, str | None]:
    """Who made the signature, and the signature itself."""
    found = _MARK.fullmatch(marked or "")
    return (NAME, marked or None) if found is None else (found[1], found[2] or None)


def read_redacted(data: str) -> tuple[str, str]:
    """Who made the payload, and the payload itself; ``data`` is clean base64."""
    if data.startswith(_MARK_IN_BASE64):
        found = _MARK.fullmatch(base64.b64decode(data).decode("utf-8", "replace"))
        if found is not None:
            return found[1], found[2]
    return NAME, data


def signature_mark(origin: str | None) -> str | None:
    """What goes before a signature in an answer; ``None`` if nobody knows who made it, so that it stays out."""
    return "" if origin == NAME else None if origin is None else f"dragoman:{origin}:"


def encode_sent_reasoning(part: Reasoning, path: str, losses: list[Loss]) -> Json | None:
    """The block for reasoning in a request: that of other services is refused there, and not sent."""
    if part.origin != NAME:
        losses.append(Loss(path, LossReason.UNSUPPORTED, "reasoning goes back only to where it came from"))
        return None
    return {"reasoningContent": encode_reasoning(part, path, losses)}


def encode_reasoning(part: Reasoning, path: str, losses: list[Loss]) -> Json:
    """The content of a ``reasoningContent`` block."""
    losses += reasoning_losses(part, path)
    kept = kept_in(part.extra)
    if is_redacted(part):
        return with_kept({"redactedContent": redacted_data(part)}, kept)
    text: Json = {"text": part.text}
    mark = signature_mark(part.origin)
    if mark is not None and (mark or part.signature is not None):
        text["signature"] = mark + (part.signature or "")
    return with_kept({"reasoningText": text}, kept)


def reasoning_losses(part: Reasoning, path: str) -> list[Loss]:
    """What a block cannot say of a part. Made for parts that are complete."""
    losses: list[Loss] = []
    if part.id is not None:
        losses.append(Loss(f"{path}.id", LossReason.UNSUPPORTED, "reasoning has no id here"))
    if is_redacted(part):
        return losses
    if part.redacted is not None:
        losses.append(Loss(f"{path}.redacted", LossReason.UNSUPPORTED, "a block holds text or a redacted payload"))
    if part.signature is not None and part.origin is None:
        losses.append(Loss(f"{path}.signature", LossReason.UNSUPPORTED, "nobody knows who made it"))
    if part.origin is None:
        losses.append(Loss(f"{path}.origin", LossReason.APPROXIMATED, "it counts as this dialect's own from here on"))
    return losses


def is_redacted(part: Reasoning) -> bool:
    """Whether the part is written as a redacted payload: there is one, and nothing else to say."""
    return part.redacted is not None and not part.text and part.signature is None and part.origin is not None


def redacted_data(part: Reasoning) -> str:
    """The payload as base64, marked if it came from elsewhere."""
    payload = part.redacted or ""
    if part.origin == NAME:
        return payload
    return base64.b64encode(f"dragoman:{part.origin}:{payload}".encode()).decode()
