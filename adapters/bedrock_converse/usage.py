"""Token counts. On the wire cached tokens are counted apart from the input (USE-05), in the model within it."""

from typing import Any

from adapters.bedrock_converse.extra import keep, kept_in, with_kept
from adapters.bedrock_converse.fields import NAME
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.model.response import Usage
from adapters.wire.fields import Fields

METADATA = ("metrics", "trace", "performanceConfig", "serviceTier")
"""What comes with the counts: at the top of a whole answer, and in the last event of a stream."""
UNMEASURED = {"latencyMs": 0}
"""``metrics`` is required and clients index it, but a codec knows no time: 0 is visibly no measurement."""

_COUNTS = ("inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
# SEEN (families.py): what the live API sends besides, against its own model.
_TWINS = {"cacheReadInputTokenCount": "cacheReadInputTokens", "cacheWriteInputTokenCount": "cacheWriteInputTokens"}


def decode_usage(value: Any, metadata: Json, path: str = "usage") -> Usage | None:
    """The counts, with the ``metadata`` around them; ``None`` if nothing is said. Raises ``DecodeError``."""
    fields = Fields({} if value is None else value, path)
    counts = {name: fields.integer(name, 0) for name in _COUNTS}
    for twin, name in _TWINS.items():
        if fields.rest().get(twin) == counts[name]:
            fields.any(twin)
    for empty in ("serverToolUsage", "cacheDetails"):
        if not fields.rest().get(empty, True):
            fields.any(empty)
    fresh, said = counts["inputTokens"], counts["outputTokens"]
    read, written = counts["cacheReadInputTokens"], counts["cacheWriteInputTokens"]
    cached = (read or 0) + (written or 0)
    total = counts["totalTokens"]
    known = None if fresh is None or said is None else fresh + said
    beside = {} if total is None or (known is not None and total in (known, known + cached)) else {"totalTokens": total}
    around = {name: item for name, item in metadata.items() if item is not None and item != {}}
    if around.get("metrics") == UNMEASURED:
        del around["metrics"]
    usage = Usage(
        input_tokens=None if fresh is None else fresh + cached,
        output_tokens=said,
        cache_read_tokens=read,
        cache_write_tokens=written,
        extra=keep({**beside, **fields.rest()}, metadata=around),
    )
    return None if usage == Usage() else usage


def encode_usage(usage: Usage | None, losses: list[Loss]) -> Json:
    """``usage`` and what comes with it. What is not known is left out, never 0."""
    if usage is None:
        return {"usage": {}, "metrics": UNMEASURED}
    if usage.reasoning_tokens is not None:
        losses.append(Loss("usage.reasoning_tokens", LossReason.UNSUPPORTED, "there is no such count"))
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    cached = (read or 0) + (written or 0)
    fresh = None if usage.input_tokens is None else max(usage.input_tokens - cached, 0)
    if fresh is not None and fresh + cached != usage.input_tokens:
        problem = "fewer than the cached ones, which are among them"
        losses.append(Loss("usage.input_tokens", LossReason.APPROXIMATED, problem))
    said = usage.output_tokens
    total = None if fresh is None or said is None else fresh + cached + said
    counts = {
        "inputTokens": fresh,
        "outputTokens": said,
        "totalTokens": total,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": written,
    }
    kept = dict(kept_in(usage.extra))
    metadata = kept.pop("metadata", {})
    total_kept = kept.get("totalTokens")
    known = {name: count for name, count in counts.items() if count is not None}
    if total_kept is not None:
        known["totalTokens"] = total_kept
    around = {name: item for name, item in metadata.items() if name in METADATA} if isinstance(metadata, dict) else {}
    if around != metadata:
        losses.append(Loss(f"usage.extra.{NAME}.metadata", LossReason.UNSUPPORTED, "there is no such field"))
    return {"usage": with_kept(known, kept), "metrics": UNMEASURED, **around}
