"""Token counts: thoughts stand beside the answer's tokens, and the results of Google's tools beside the prompt's."""

from typing import Any

from adapters.gemini.extras import kept, own_extra
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.model.response import Usage
from adapters.wire.fields import wrong_type

_TOO_MANY = 2**53
"""No answer has as many tokens; sums of such numbers would not fit where JSON writers put them."""

_TOOL_PROMPT = "toolUsePromptTokenCount"
_TOTAL = "totalTokenCount"
_COUNTS = frozenset(
    {"promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount", _TOOL_PROMPT}
)
_USUAL = {"serviceTier": "standard", "trafficType": "ON_DEMAND"}
"""What is told in every answer and only stands out where it is something else."""

_DETAILS = {
    "promptTokensDetails": "promptTokenCount",
    "candidatesTokensDetails": "candidatesTokenCount",
    "cacheTokensDetails": "cachedContentTokenCount",
    "toolUsePromptTokensDetails": _TOOL_PROMPT,
}


def decode_usage(value: Any, path: str = "usageMetadata") -> Usage | None:
    """The counts; ``None`` if nothing is counted (USE-06, USE-07, hard-cases.md). What is no count stays in extra."""
    if value is None:
        return None
    if type(value) is not dict:
        raise wrong_type(path, "an object", value)
    prompt, said = _count(value, "promptTokenCount"), _count(value, "candidatesTokenCount")
    thought, cached = _count(value, "thoughtsTokenCount"), _count(value, "cachedContentTokenCount")
    tool_prompt = _count(value, _TOOL_PROMPT)
    total = (prompt or 0) + (tool_prompt or 0) + (said or 0) + (thought or 0)
    left = {
        name: item
        for name, item in value.items()
        if name not in _COUNTS or type(item) is not int
        if (name != _TOTAL or item != total) and _says_more(name, item, value)
    }
    if tool_prompt:
        left[_TOOL_PROMPT] = tool_prompt
    if not left and prompt is None and said is None and thought is None and cached is None:
        return None
    return Usage(
        None if prompt is None else prompt + (tool_prompt or 0),
        None if said is None and thought is None else (said or 0) + (thought or 0),
        cached,
        None,
        thought,
        kept(left),
    )


def encode_usage(usage: Usage | None, losses: list[Loss]) -> Json | None:
    """The counts that are known, ``None`` if none is; what is lost joins ``losses``."""
    if usage is None:
        return None
    own = own_extra(usage.extra)
    said, thought = usage.output_tokens, usage.reasoning_tokens
    if thought is not None and (said is None or said < thought):
        losses.append(Loss("usage.output_tokens", LossReason.APPROXIMATED, "it is at least what was thought"))
    if usage.cache_write_tokens is not None:
        losses.append(Loss("usage.cache_write_tokens", LossReason.UNSUPPORTED, "writing to a cache is not counted"))
    wire: Json = {}
    if usage.input_tokens is not None:
        wire["promptTokenCount"] = usage.input_tokens - _within(own.get(_TOOL_PROMPT), usage.input_tokens)
    if usage.cache_read_tokens is not None:
        wire["cachedContentTokenCount"] = usage.cache_read_tokens
    if said is not None:
        wire["candidatesTokenCount"] = max(said - (thought or 0), 0)
    if thought is not None:
        wire["thoughtsTokenCount"] = thought
    if usage.input_tokens is not None or said is not None:
        wire[_TOTAL] = (usage.input_tokens or 0) + max(said or 0, thought or 0)
    return (wire | own) or None


# --- decoding ---------------------------------------------------------------------------------------------------


def _count(value: Json, name: str) -> int | None:
    count = value.get(name)
    return count if type(count) is int and 0 <= count < _TOO_MANY else None


def _says_more(name: str, item: Any, value: Json) -> bool:
    """Whether a field says something that the counts do not: details mostly repeat them."""
    if item is None or item == [] or item == {} or item == _USUAL.get(name):
        return False
    detailed = _DETAILS.get(name)
    return detailed is None or item != [{"modality": "TEXT", "tokenCount": value.get(detailed)}]


# --- encoding ---------------------------------------------------------------------------------------------------


def _within(count: Any, most: int) -> int:
    return count if type(count) is int and 0 <= count <= most else 0
