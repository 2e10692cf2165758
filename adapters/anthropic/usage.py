"""Token counts. Here ``input_tokens`` are only those that the cache neither gave nor took (USE-01, USE-02)."""

from collections.abc import Collection
from typing import Any

from adapters.anthropic.extras import keep, own, said, with_kept
from adapters.contract import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.model.response import Usage
from adapters.wire.fields import Fields

_TOO_MANY = 2**53


def decode_usage(value: Any, path: str = "usage") -> Usage | None:
    """The counts; ``None`` if nothing is counted."""
    if value is None:
        return None
    fields = Fields(value, path)
    details = fields.fields("output_tokens_details")
    fresh, read = _count(fields, "input_tokens"), _count(fields, "cache_read_input_tokens")
    written = _count(fields, "cache_creation_input_tokens")
    made = _count(fields, "output_tokens")
    thought = None if details is None else _count(details, "thinking_tokens")
    kept = said(fields.rest())
    if details is not None and said(details.rest()):
        kept["output_tokens_details"] = said(details.rest())
    spent = None if fresh is None else fresh + (read or 0) + (written or 0)
    usage = Usage(spent, made, read, written, thought, keep(kept))
    return None if usage == Usage() else usage


def _count(fields: Fields, name: str) -> int | None:
    value = fields.integer(name, 0)
    if value is not None and value > _TOO_MANY:
        raise DecodeError(f"{fields.path_of(name)} is no number of tokens", fields.path_of(name), "invalid_value")
    return value


def encode_usage(usage: Usage | None) -> tuple[Json, list[Loss]]:
    """The counts, and what is lost of them.

    Both totals are always there, null if unknown: clients read them without a look, and a 0 would be a lie. The
    official clients for Python and TypeScript take the null.
    """
    usage = usage or Usage()
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    losses: list[Loss] = []
    fresh = None
    if usage.input_tokens is not None:
        fresh = usage.input_tokens - (read or 0) - (written or 0)
        if fresh < 0:
            losses.append(Loss("usage.input_tokens", LossReason.APPROXIMATED, "it is less than its cached part"))
            fresh = 0
    wire: Json = {"input_tokens": fresh, "output_tokens": usage.output_tokens}
    if written is not None:
        wire["cache_creation_input_tokens"] = written
    if read is not None:
        wire["cache_read_input_tokens"] = read
    if usage.reasoning_tokens is not None:
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return with_kept(wire, own(usage.extra)), losses


def uncounted(usage: Usage | None, losses: Collection[Loss]) -> list[Loss]:
    """The losses of token counts that hold nothing but other dialects' fields: then the whole record goes."""
    if usage is None or usage.extra is None or decode_usage(encode_usage(usage)[0]) is not None:
        return list(losses)
    others = [loss for loss in losses if not loss.field.startswith("usage.extra.")]
    return [*others, Loss("usage.extra", LossReason.FOREIGN, "only another dialect understands it")]
