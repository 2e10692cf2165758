"""Token counts: ``completion_usage.py``. As in the model, the totals include cached and reasoning tokens."""

from typing import Any

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.model.response import Usage
from adapters.openai_chat.extras import decode_extra, encode_extra, own_extra, unread
from adapters.wire.fields import Fields

_TOO_MANY = 2**53
"""No answer has as many tokens; sums of such numbers would not fit where JSON writers put them."""


def decode_usage(value: Any, path: str = "usage") -> Usage | None:
    """The counts; ``None`` if nothing is counted. A field that holds no count stays as an extra field."""
    if value is None:
        return None
    fields = Fields(value, path)
    prompt, completion = _details(fields, "prompt_tokens_details"), _details(fields, "completion_tokens_details")
    input_tokens, output_tokens = _count(fields, "prompt_tokens"), _count(fields, "completion_tokens")
    if input_tokens is not None and output_tokens is not None:
        _take_if(fields, "total_tokens", input_tokens + output_tokens)
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=_count(prompt, "cached_tokens"),
        cache_write_tokens=_count(prompt, "cache_write_tokens"),
        reasoning_tokens=_count(completion, "reasoning_tokens"),
        extra=decode_extra(fields, prompt_tokens_details=unread(prompt), completion_tokens_details=unread(completion)),
    )
    return None if usage == Usage() else usage


def encode_usage(usage: Usage | None) -> tuple[Json | None, list[Loss]]:
    """The counts that are known, ``None`` if none is: what is not known is left out, never 0."""
    if usage is None:
        return None, []
    wire: Json = _known(prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens)
    if len(wire) == 2 and "total_tokens" not in own_extra(usage.extra):
        wire["total_tokens"] = sum(wire.values())
    prompt = _known(cached_tokens=usage.cache_read_tokens, cache_write_tokens=usage.cache_write_tokens)
    completion = _known(reasoning_tokens=usage.reasoning_tokens)
    if prompt:
        wire["prompt_tokens_details"] = prompt
    if completion:
        wire["completion_tokens_details"] = completion
    wire = encode_extra(wire, usage.extra)
    if not wire and usage.extra:
        return None, [Loss("usage.extra", LossReason.FOREIGN, "nothing else is counted")]
    return wire or None, []


# --- decoding ---------------------------------------------------------------------------------------------------


def _details(fields: Fields, name: str) -> Fields:
    value = fields.rest().get(name)
    return Fields(fields.any(name) if isinstance(value, dict) else {}, fields.path_of(name))


def _count(fields: Fields, name: str) -> int | None:
    value = fields.rest().get(name)
    if type(value) is not int or not 0 <= value < _TOO_MANY:
        return None
    fields.any(name)
    return value


def _take_if(fields: Fields, name: str, expected: int) -> None:
    if fields.rest().get(name) == expected:
        fields.any(name)


# --- encoding ---------------------------------------------------------------------------------------------------


def _known(**counts: int | None) -> Json:
    return {name: count for name, count in counts.items() if count is not None}
