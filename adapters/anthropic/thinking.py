"""What the model thought: ``thinking`` and ``redacted_thinking`` blocks.

A signature is worth something only to who made it (THK-11). One made elsewhere goes to a client of this API in a
wrapping of ours, inside the one field that clients send back untouched (THK-07), and is known by it when it returns.
"""

import base64
from typing import Any

import orjson

from adapters.anthropic.extras import keep, own, unread, with_kept
from adapters.anthropic.fields import NAME
from adapters.model.message import Extra, Json, Reasoning
from adapters.wire.fields import Fields

_WRAPPED = "dragoman."
_WRAPPED_FIELDS = ("origin", "signature", "redacted", "id")


def decode_thinking(block: Fields) -> Reasoning:
    """The reasoning in a ``thinking`` block. An empty text with a signature is one, too (THK-02)."""
    text, signature = block.string("thinking") or "", block.string("signature") or ""
    return read_signature(text, signature, keep(unread(block)))


def decode_redacted(block: Fields) -> Reasoning:
    """The reasoning in a ``redacted_thinking`` block."""
    data = block.need_string("data")
    return Reasoning("", redacted=data, origin=NAME, extra=keep(unread(block)))


def read_signature(text: str, signature: str, extra: Extra | None = None) -> Reasoning:
    """The reasoning that this text and this signature stand for, whoever made it."""
    wrapped = _unwrapped(signature)
    if wrapped is None:
        return Reasoning(text, signature or None, origin=NAME, extra=extra)
    return Reasoning(text, **wrapped, extra=extra)


def _unwrapped(signature: str) -> dict[str, Any] | None:
    if not signature.startswith(_WRAPPED):
        return None
    try:
        values = orjson.loads(base64.b64decode(signature[len(_WRAPPED) :], validate=True))
    except ValueError:  # not base64, or not JSON: then it is not ours
        return None
    if not isinstance(values, dict):
        return None
    return {name: values[name] for name in _WRAPPED_FIELDS if isinstance(values.get(name), str)}


def encode_answer_thinking(part: Reasoning) -> Json:
    """The block for reasoning in an answer."""
    return with_kept(_plain_block(part) or _block(part.text, _wrapped(part)), own(part.extra))


def encode_request_thinking(part: Reasoning) -> Json | None:
    """The block for reasoning that this API made, byte for byte (THK-01); ``None`` for any other."""
    block = _plain_block(part) if part.origin == NAME else None
    return None if block is None else with_kept(block, own(part.extra))


def encode_signature(part: Reasoning) -> str:
    """What stands in the ``signature`` of this reasoning's ``thinking`` block; ``""`` if there is nothing to say."""
    return (part.signature or "") if _is_plain(part) else _wrapped(part)


def is_redacted(part: Reasoning) -> bool:
    """Whether it has a block of its own, without text or signature."""
    return part.origin == NAME and part.redacted is not None and not (part.text or part.signature or part.id)


def _plain_block(part: Reasoning) -> Json | None:
    if is_redacted(part):
        return {"type": "redacted_thinking", "data": part.redacted}
    return _block(part.text, part.signature or "") if _is_plain(part) else None


def _is_plain(part: Reasoning) -> bool:
    return part.origin == NAME and part.redacted is None and part.id is None


def _block(text: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": text, "signature": signature}


def _wrapped(part: Reasoning) -> str:
    values = {name: getattr(part, name) for name in _WRAPPED_FIELDS if getattr(part, name) is not None}
    return _WRAPPED + base64.b64encode(orjson.dumps(values)).decode()
