"""How much to think: one effort for all models, and for some families fields of their own."""

from dataclasses import dataclass, field

from adapters.bedrock_converse.families import EFFORT_PATHS, MODEL_FIELDS, Path, Thinking
from adapters.bedrock_converse.fields import EFFORTS
from adapters.bedrock_converse.parts import Writing
from adapters.model.loss import LossReason
from adapters.model.message import Json
from adapters.model.request import ReasoningOptions, Sampling
from adapters.wire.fields import Fields

LEAST_BUDGET = 1024
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 32_000}
"""Tokens to think with, for Claude models that take a budget and no effort. Ours: nobody documents a mapping."""

_ALL_EFFORTS = EFFORTS | {"none", "minimal"}
_SUMMARIZED = "summarized"


def decode_reasoning_options(output: Fields | None, fields: Fields) -> ReasoningOptions | None:
    """What ``outputConfig`` and ``additionalModelRequestFields`` say of thinking; what is not understood stays.

    The effort and Claude's ``thinking`` are taken together or not at all.
    """
    places: list[tuple[Fields, Path]] = [] if output is None else [(output, ("effort",))]
    places += [(fields, path[1:]) for path in EFFORT_PATHS]
    place = next((place for place in places if _effort_at(*place) is not None), None)
    thinking = fields.rest().get("thinking")
    if thinking is None:
        return None if place is None else ReasoningOptions(_take_effort(*place))
    if not isinstance(thinking, dict):
        return None
    budget, kind = thinking.get("budget_tokens"), thinking.get("type")
    if kind == "enabled" and type(budget) is int and thinking.keys() == {"type", "budget_tokens"}:
        fields.any("thinking")
        return ReasoningOptions(None if place is None else _take_effort(*place), budget)
    if place is None:
        if thinking != {"type": "disabled"}:
            return None
        fields.any("thinking")
        return ReasoningOptions("none")
    if kind != "adaptive":
        return None
    summary = None
    if thinking.get("display") == _SUMMARIZED and thinking.keys() == {"type", "display"}:
        summary = "auto"
    if summary is not None or thinking.keys() == {"type"}:
        fields.any("thinking")
    return ReasoningOptions(_take_effort(*place), summary=summary)


def _effort_at(fields: Fields, path: Path) -> str | None:
    """The effort at this place, if it is one that the model knows and nothing beside it turns thinking off."""
    value = fields.rest().get(path[0])
    if len(path) > 1:
        if not isinstance(value, dict) or value.get("type") not in (None, "enabled"):
            return None
        value = value.get(path[1])
    return value if isinstance(value, str) and value in _ALL_EFFORTS else None


def _take_effort(fields: Fields, path: Path) -> str | None:
    effort = _effort_at(fields, path)
    value = fields.any(path[0])
    if isinstance(value, dict):
        rest = {name: item for name, item in value.items() if name != path[1] and (name, item) != ("type", "enabled")}
        if rest:
            fields.rest()[path[0]] = rest
    return effort


@dataclass(slots=True)
class EncodedThinking:
    """``effort`` is for ``outputConfig``, ``model_fields`` for ``additionalModelRequestFields``."""

    effort: str | None = None
    model_fields: Json = field(default_factory=dict)
    thinks: bool = False
    """Claude thinks, as far as this request says, and so takes fewer settings."""


def encode_reasoning_options(
    options: ReasoningOptions | None, sampling: Sampling, max_tokens: int | None, writing: Writing
) -> EncodedThinking:
    """The fields for the options; ``max_tokens`` is what will be sent."""
    encoded = EncodedThinking()
    if options is None:
        return encoded
    family = writing.family
    if family.claude:
        _encode_claude(options, max_tokens, encoded, writing)
        return encoded
    _lose_summary(options, writing)
    if options.budget_tokens is not None:
        problem = "there is no field for a thinking budget"
        writing.lose("reasoning.budget_tokens", LossReason.UNSUPPORTED, problem)
    effort = _effort_word(options.effort, writing)
    if effort is None:
        return encoded
    if family.effort_path[0] != MODEL_FIELDS:
        encoded.effort = effort
        return encoded
    capped = (max_tokens, sampling.temperature, sampling.top_p) != (None, None, None)
    if effort == "high" and family.effort_path[1] == "reasoningConfig" and capped:
        # SEEN (families.py): "`maxTokens` must be unset when ... maxReasoningEffort is 'high'".
        writing.lose("reasoning.effort", LossReason.APPROXIMATED, "medium: high goes with no other setting")
        effort = "medium"
    encoded.model_fields = _nested(family.effort_path[1:], effort)
    return encoded


def _nested(path: Path, effort: str) -> Json:
    if len(path) == 1:
        return {path[0]: effort}
    return {path[0]: {**({"type": "enabled"} if path[0] == "reasoningConfig" else {}), path[1]: effort}}


def _effort_word(effort: str | None, writing: Writing) -> str | None:
    """The effort as the model spells it."""
    if effort is None:
        return None
    word = writing.family.efforts.get(effort)
    if word is None:
        writing.lose("reasoning.effort", LossReason.UNSUPPORTED, "the model has no such effort")
    elif word != effort:
        writing.lose("reasoning.effort", LossReason.APPROXIMATED, f"sent as {word}")
    return word


def _lose_summary(options: ReasoningOptions, writing: Writing) -> None:
    if options.summary is not None:
        writing.lose("reasoning.summary", LossReason.UNSUPPORTED, "there is no field for summaries of reasoning")


# --- Claude -----------------------------------------------------------------------------------------------------


def _encode_claude(
    options: ReasoningOptions, max_tokens: int | None, encoded: EncodedThinking, writing: Writing
) -> None:
    thinking = writing.family.thinking
    if options.effort is None and options.budget_tokens is None:
        _lose_summary(options, writing)
    elif options.effort == "none" or options.budget_tokens == 0:
        _encode_no_thinking(options, encoded, writing)
    elif thinking is None:
        _lose_all(options, writing)
    elif thinking is Thinking.BUDGET or (thinking is Thinking.EITHER and options.effort is None):
        _encode_budget(options, max_tokens, encoded, writing)
    else:
        _encode_adaptive(options, encoded, writing)


def _encode_no_thinking(options: ReasoningOptions, encoded: EncodedThinking, writing: Writing) -> None:
    _lose_summary(options, writing)
    if writing.family.thinking is Thinking.ALWAYS:
        writing.lose("reasoning", LossReason.UNSUPPORTED, "this model always thinks")
        return
    encoded.model_fields = {"thinking": {"type": "disabled"}}
    if options != ReasoningOptions("none", summary=options.summary):
        writing.lose("reasoning", LossReason.APPROXIMATED, "sent as no thinking at all")


def _lose_all(options: ReasoningOptions, writing: Writing) -> None:
    _lose_summary(options, writing)
    for name in ("effort", "budget_tokens"):
        if getattr(options, name) is not None:
            writing.lose(f"reasoning.{name}", LossReason.UNSUPPORTED, "this model does not think")


def _encode_budget(
    options: ReasoningOptions, max_tokens: int | None, encoded: EncodedThinking, writing: Writing
) -> None:
    """A budget is at least 1024 and below the cap of the whole answer (THK-17)."""
    _lose_summary(options, writing)
    wanted = options.budget_tokens
    if wanted is None:
        wanted = BUDGETS.get(options.effort or "")
    if wanted is None:
        _lose_all(ReasoningOptions(options.effort), writing)
        return
    if max_tokens is not None and max_tokens <= LEAST_BUDGET:
        problem = f"max_tokens {max_tokens} leaves no room for the least budget of {LEAST_BUDGET}"
        writing.lose("reasoning", LossReason.UNSUPPORTED, problem)
        return
    budget = max(wanted, LEAST_BUDGET)
    if max_tokens is not None:
        # Of a client's own budget nothing is taken that need not be; ours leaves half for the answer.
        most = max_tokens - 1 if options.budget_tokens is not None else max(max_tokens // 2, LEAST_BUDGET)
        budget = min(budget, most)
    encoded.model_fields = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    encoded.thinks = True
    if options.budget_tokens is None:
        problem = f"effort {options.effort} is sent as a budget of {budget} tokens"
        writing.lose("reasoning", LossReason.APPROXIMATED, problem)
        return
    if budget != options.budget_tokens:
        problem = f"sent as {budget}: between {LEAST_BUDGET} and max_tokens"
        writing.lose("reasoning.budget_tokens", LossReason.CLAMPED, problem)
    if options.effort is not None:
        writing.lose("reasoning.effort", LossReason.UNSUPPORTED, "the budget says how much to think")


def _encode_adaptive(options: ReasoningOptions, encoded: EncodedThinking, writing: Writing) -> None:
    encoded.thinks = True
    encoded.effort = _effort_word(options.effort, writing)
    thinking: Json = {"type": "adaptive"}
    if options.summary is not None and encoded.effort is None:
        _lose_summary(options, writing)
    elif options.summary is not None:
        # Newer models leave the text of their thinking out unless asked for it (ANT, families.py).
        thinking["display"] = _SUMMARIZED
        if options.summary != "auto":
            writing.lose("reasoning.summary", LossReason.APPROXIMATED, "summaries have one form")
    if options.budget_tokens is not None:
        problem = "the model decides by itself how much to think"
        writing.lose("reasoning.budget_tokens", LossReason.APPROXIMATED, problem)
    encoded.model_fields = {"thinking": thinking}
