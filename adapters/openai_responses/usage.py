"""Token counts: ``response_usage.py``. As in the model, the totals include cached and reasoning tokens."""

from typing import Any

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.model.response import Usage
from adapters.openai_responses.extras import decode_extra, encode_extra, own_extra, unread
from adapters.openai_responses.fields import NAME
from adapters.wire.fields import Fields

_TOO_MANY = 2**53
"""No answer has as many tokens; sums of such numbers would not fit where JSON writers put them."""

_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def decode_usage(value: Any, path: str = "usage") -> Usage | None:
    """The counts; ``None`` if nothing is counted. A field that holds no count stays as an extra field."""
    if value is None:
        return None
    fields = Fields(value, path)
    inward, outward = _details(fields, "input_tokens_details"), _details(fields, "output_tokens_details")
    input_tokens, output_tokens = _count(fields, "input_tokens"), _count(fields, "output_tokens")
    if input_tokens is not None and output_tokens is not None:
        total = fields.rest().get("total_tokens")
        if total == input_tokens + output_tokens:
            fields.any("total_tokens")
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=_count(inward, "cached_tokens"),
        cache_write_tokens=_count(inward, "cache_write_tokens"),
        reasoning_tokens=_count(outward, "reasoning_tokens"),
        extra=decode_extra(fields, input_tokens_details=unread(inward), output_tokens_details=unread(outward)),
    )
    return None if usage == Usage() else usage


def encode_usage(usage: Usage | None) -> tuple[Json | None, list[Loss]]:
    """The counts, all of which the format demands (USE-15, hard-cases.md): 0 stands for unknown, and is reported."""
    if usage is None:
        return None, []
    known = {name: getattr(usage, name) for name in _COUNTS}
    if all(count is None for count in known.values()):
        said = usage.extra is not None
        return None, [Loss("usage.extra", LossReason.FOREIGN, "nothing else is counted")] if said else []
    losses = [
        Loss(f"usage.{name}", LossReason.APPROXIMATED, "0 stands for unknown")
        for name, count in known.items()
        if count is None
    ]
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    wire: Json = {
        "input_tokens": usage.input_tokens or 0,
        "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }
    if "total_tokens" not in own_extra(usage.extra):
        wire["total_tokens"] = wire["input_tokens"] + wire["output_tokens"]
    wire = encode_extra(wire, usage.extra)
    losses += [
        Loss(f"usage.extra.{NAME}.{name}", LossReason.INVALID, "it stands where a count must stand")
        for name, value in own_extra(usage.extra).items()
        if not _holds(wire.get(name), value)
    ]
    return wire, losses


def _holds(written: Any, value: Any) -> bool:
    """Whether the value, or each field of it, was written or says nothing."""
    if isinstance(value, dict):
        return all(
            _holds(written.get(name) if isinstance(written, dict) else None, item) for name, item in value.items()
        )
    return bool(written == value or value == 0)


def _details(fields: Fields, name: str) -> Fields:
    value = fields.rest().get(name)
    return Fields(fields.any(name) if isinstance(value, dict) else {}, fields.path_of(name))


def _count(fields: Fields, name: str) -> int | None:
    value = fields.rest().get(name)
    if type(value) is not int or not 0 <= value < _TOO_MANY:
        return None
    fields.any(name)
    return value
