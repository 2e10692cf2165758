"""What the families of models on Bedrock take, by the beginning of their ids. Data, as of November 2026.

Converse is one API over many models, and passes their differences on. AWS: docs.aws.amazon.com/bedrock; ANT:
platform.claude.com/docs, model overviews and "Adaptive thinking"; SEEN: answers of the live API, recorded in the
fixtures of vercel/ai (packages/amazon-bedrock). An id that nobody knows, such as that of an application inference
profile, gets what the API documents for all models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from adapters.bedrock_converse.fields import EFFORTS

Path = tuple[str, ...]
"""Where a field stands in the body."""

MODEL_FIELDS = "additionalModelRequestFields"
COMMON_EFFORTS = {"minimal": "low", **{word: word for word in sorted(EFFORTS)}}
"""Effort as the model has it -> as ``outputConfig.effort`` has it."""


class Thinking(StrEnum):
    """How Claude's thinking is set, in ``additionalModelRequestFields.thinking``."""

    BUDGET = "budget"
    """``enabled`` with a number of tokens."""
    EITHER = "either"
    """As before (deprecated), or ``adaptive`` with an effort."""
    ADAPTIVE = "adaptive"
    """``adaptive`` with an effort, or ``disabled``."""
    ALWAYS = "always"
    """``adaptive`` only; it cannot be turned off, and no tool can be forced."""


@dataclass(frozen=True, slots=True)
class Family:
    """What models that have the same beginning of their id take.

    ``output_limit`` is sent where nothing caps the answer. ``efforts`` are the words that ``effort_path`` takes.
    ``sampling``: temperature and top_p are taken, ``both``: together. ``system_turns``: messages with role system.
    ``mixed_turns``: text and tool blocks in one turn. ``result_status``: whether a tool result is an error.
    """

    claude: bool = False
    output_limit: int | None = None
    thinking: Thinking | None = None
    effort_path: Path = ("outputConfig", "effort")
    efforts: Mapping[str, str] = field(default_factory=lambda: COMMON_EFFORTS)
    top_k_path: Path | None = None
    sampling: bool = True
    both: bool = True
    system_turns: bool = True
    mixed_turns: bool = True
    result_status: bool = True
    cache: bool = True
    tool_cache: bool = True


UNKNOWN = Family()

# Claude: `top_k` by name (AWS); 4096 output tokens are the default, whatever the documentation says (PAR-02).
_CLAUDE = Family(claude=True, efforts={}, top_k_path=(MODEL_FIELDS, "top_k"), system_turns=False)
_CLAUDE_3 = replace(_CLAUDE, output_limit=4096)
_CLAUDE_3_5 = replace(_CLAUDE, output_limit=8192)
_CLAUDE_4 = replace(_CLAUDE, output_limit=64_000, thinking=Thinking.BUDGET)
# ANT: from Opus 4.1 on temperature or top_p, not both.
_CLAUDE_4_5 = replace(_CLAUDE_4, both=False)
_CLAUDE_4_6 = replace(
    _CLAUDE_4_5,
    output_limit=128_000,
    thinking=Thinking.EITHER,
    efforts={**COMMON_EFFORTS, "xhigh": "high"},
)
# SEEN: "`temperature` is deprecated for this model", the same for top_p, while top_k passes.
_CLAUDE_4_7 = replace(_CLAUDE_4_6, thinking=Thinking.ADAPTIVE, efforts=COMMON_EFFORTS, sampling=False)
# ANT: system messages in the middle of a conversation came with Opus 4.8.
_CLAUDE_4_8 = replace(_CLAUDE_4_7, system_turns=True)
_CLAUDE_ALWAYS = replace(_CLAUDE_4_8, thinking=Thinking.ALWAYS)

# AWS: prompt caching is for Claude and Nova; the status of a tool result for Claude 3, 4 and Nova.
_OTHER = Family(efforts={}, system_turns=False, result_status=False, cache=False)
# SEEN: "Conversation blocks and tool result blocks cannot be provided in the same turn" (TRES-18).
_SEPARATE_TURNS = replace(_OTHER, mixed_turns=False)
_NOVA = Family(efforts={}, top_k_path=(MODEL_FIELDS, "inferenceConfig", "topK"), system_turns=False, tool_cache=False)
_GPT_OSS_EFFORTS = {"none": "low", "minimal": "low", "low": "low", "medium": "medium", "high": "high"}

FAMILIES: dict[str, Family] = {
    "anthropic.claude-v2": _CLAUDE_3,
    "anthropic.claude-instant": _CLAUDE_3,
    "anthropic.claude-3-": _CLAUDE_3,
    "anthropic.claude-3-5-": _CLAUDE_3_5,
    "anthropic.claude-3-7-": _CLAUDE_4,
    "anthropic.claude-opus-4-": replace(_CLAUDE_4, output_limit=32_000),
    "anthropic.claude-opus-4-1": replace(_CLAUDE_4_5, output_limit=32_000),
    "anthropic.claude-sonnet-4-": _CLAUDE_4,
    "anthropic.claude-opus-4-5": _CLAUDE_4_5,
    "anthropic.claude-sonnet-4-5": _CLAUDE_4_5,
    "anthropic.claude-haiku-4-5": _CLAUDE_4_5,
    "anthropic.claude-opus-4-6": _CLAUDE_4_6,
    "anthropic.claude-sonnet-4-6": _CLAUDE_4_6,
    "anthropic.claude-opus-4-7": _CLAUDE_4_7,
    "anthropic.claude-opus-4-8": _CLAUDE_4_8,
    "anthropic.claude-opus-5-5": _CLAUDE_ALWAYS,
    "anthropic.claude-sonnet-5-5": _CLAUDE_ALWAYS,
    "anthropic.claude-fable": _CLAUDE_ALWAYS,
    "anthropic.claude-mythos": _CLAUDE_ALWAYS,
    # Opus 5, Sonnet 5, Haiku 5.5, and what is newer than this table.
    "anthropic.claude-": _CLAUDE_4_8,
    "amazon.nova-": _NOVA,
    # AWS, "Extended thinking in Amazon Nova 2".
    "amazon.nova-2": replace(
        _NOVA,
        effort_path=(MODEL_FIELDS, "reasoningConfig", "maxReasoningEffort"),
        efforts={"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"},
    ),
    "amazon.titan": _OTHER,
    "ai21.": _OTHER,
    "cohere.command-r": replace(_OTHER, top_k_path=(MODEL_FIELDS, "k")),
    "cohere.": _OTHER,
    "deepseek.": _OTHER,
    "meta.": _SEPARATE_TURNS,
    "mistral.": replace(_SEPARATE_TURNS, top_k_path=(MODEL_FIELDS, "top_k")),
    # SEEN: `reasoning_effort` is an unknown parameter for the newer ones.
    "openai.gpt-oss": replace(
        _OTHER,
        effort_path=(MODEL_FIELDS, "reasoning_effort"),
        efforts={**_GPT_OSS_EFFORTS, "xhigh": "high", "max": "high"},
    ),
    "openai.": replace(
        _OTHER,
        effort_path=(MODEL_FIELDS, "reasoning", "effort"),
        efforts={**COMMON_EFFORTS, "none": "none", "minimal": "minimal", "max": "xhigh"},
    ),
}
# Requests are read without a look at the model, whose name may be an alias: the shapes tell.
TOP_K_PATHS = tuple(dict.fromkeys(family.top_k_path for family in FAMILIES.values() if family.top_k_path))
EFFORT_PATHS = (
    *dict.fromkeys(family.effort_path for family in FAMILIES.values() if family.effort_path[0] == MODEL_FIELDS),
    (MODEL_FIELDS, "output_config", "effort"),
)
_LONGEST_FIRST = sorted(FAMILIES, key=len, reverse=True)


def family_of(model: str) -> Family:
    """The family of a model id: plain, with a region before it (``us.``), or at the end of an ARN."""
    name = model.rpartition("/")[2].lower()
    for candidate in (name, name.partition(".")[2]):
        for beginning in _LONGEST_FIRST:
            if candidate.startswith(beginning):
                return FAMILIES[beginning]
    return UNKNOWN


def is_prompt(model: str) -> bool:
    """Whether the id is that of a stored prompt, which brings messages, settings and tools of its own (AWS)."""
    return model.startswith("arn:") and ":prompt/" in model
