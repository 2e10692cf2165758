"""How much to think: ``thinking`` and ``output_config.effort``."""

from dataclasses import dataclass

from adapters.anthropic.extras import own, unread
from adapters.anthropic.fields import (
    BETA_HEADER,
    BUDGETS,
    EFFORTS,
    INTERLEAVED_THINKING,
    LEAST_BUDGET,
    ModelFacts,
    Thinking,
)
from adapters.anthropic.notes import Notes
from adapters.model.loss import LossReason
from adapters.model.message import Json
from adapters.model.request import ReasoningOptions, Request
from adapters.wire.fields import Fields

EFFORT_ALONE = "effort_alone"
"""Among the kept fields: an effort was named, but ``thinking`` was not, which on some models turns it off."""

_SUMMARIZED = "summarized"


def decode_reasoning(body: Fields, config: Fields | None) -> tuple[ReasoningOptions | None, Json]:
    """What is said about thinking, and what of it the model has no place for. ``config``: ``output_config``."""
    thinking = body.fields("thinking")
    effort = None if config is None else config.choice("effort", EFFORTS)
    if thinking is None:
        return (ReasoningOptions(effort), {EFFORT_ALONE: True}) if effort else (None, {})
    kind = thinking.need_string("type")
    if kind == "enabled":
        budget = thinking.integer("budget_tokens", LEAST_BUDGET)
        if budget is None:
            raise thinking.error("budget_tokens", "is required", code="missing_required_field")
        return ReasoningOptions(effort, budget, _decode_summary(thinking)), _beside(thinking)
    if kind == "disabled":
        kept = _beside(thinking)
        return ReasoningOptions("none"), kept | ({"output_config": {"effort": effort}} if effort else {})
    summary = _decode_summary(thinking) if kind == "adaptive" else None
    said = ReasoningOptions(effort, summary=summary) if effort or summary else None
    if kind == "adaptive" and effort:
        return said, _beside(thinking)
    return said, {"thinking": {"type": kind} | unread(thinking)}


def _decode_summary(thinking: Fields) -> str | None:
    if thinking.rest().get("display") == _SUMMARIZED:
        thinking.any("display")
        return "auto"
    return None


def _beside(thinking: Fields) -> Json:
    rest = unread(thinking)
    return {"thinking": rest} if rest else {}


@dataclass(frozen=True, slots=True)
class WireReasoning:
    """The fields ``thinking`` and ``output_config.effort``, each only if there is something to say."""

    thinking: Json | None = None
    effort: str | None = None

    @property
    def asked_for(self) -> bool:
        """Whether the model is told to think, which rules out other settings."""
        return self.thinking is not None and self.thinking.get("type") in ("enabled", "adaptive")


def encode_reasoning(request: Request, max_tokens: int, notes: Notes) -> WireReasoning:
    """What to send for the reasoning options, in the terms of the model that is asked."""
    options = request.reasoning or ReasoningOptions()
    kept = own(request.extra)
    kept_thinking = kept.get("thinking")
    if isinstance(kept_thinking, dict) and "type" in kept_thinking:
        written = WireReasoning({"type": kept_thinking["type"]}, options.effort)
    elif kept.get(EFFORT_ALONE) is True:
        written = WireReasoning(effort=options.effort)
    else:
        written = _in_terms_of(notes.facts, request, max_tokens, notes)
    return _with_summary(written, options.summary, notes)


def _in_terms_of(facts: ModelFacts, request: Request, max_tokens: int, notes: Notes) -> WireReasoning:
    options = request.reasoning or ReasoningOptions()
    if options.budget_tokens is not None:
        by_budget = _by_budget(options.budget_tokens, request, max_tokens, notes)
        if by_budget is not None:
            return by_budget
    if options.effort is None:
        return WireReasoning()
    if options.effort == "none":
        return _off("reasoning.effort", facts, notes)
    if facts.thinking is Thinking.NEVER:
        notes.lose("reasoning.effort", LossReason.UNSUPPORTED, "this model does not think")
        return WireReasoning()
    if facts.thinking is Thinking.BUDGET:
        return _budget_of_effort(options.effort, max_tokens, notes)
    effort = "low" if options.effort == "minimal" else options.effort  # THK-18
    if effort != options.effort:
        notes.lose("reasoning.effort", LossReason.APPROXIMATED, "low is the least there is")
    return WireReasoning({"type": "adaptive"}, effort)


def _off(path: str, facts: ModelFacts, notes: Notes) -> WireReasoning:
    if facts.off == "disabled":
        return WireReasoning({"type": "disabled"})
    if facts.off is not None:
        notes.lose(path, LossReason.APPROXIMATED, f"thinking {facts.off} is the least there is")
        return WireReasoning({"type": facts.off})
    detail = "this model always thinks" if facts.thinks_unasked else "thinking is not asked for"
    notes.lose(path, LossReason.APPROXIMATED, detail)
    return WireReasoning()


def _by_budget(budget: int, request: Request, max_tokens: int, notes: Notes) -> WireReasoning | None:
    facts = notes.facts
    effort = request.reasoning.effort if request.reasoning is not None else None
    path = "reasoning.budget_tokens"
    if budget == 0:
        notes.lose("reasoning", LossReason.APPROXIMATED, "no budget means no thinking")
        return _off("reasoning", facts, notes)
    if facts.thinking is Thinking.NEVER:
        notes.lose(path, LossReason.UNSUPPORTED, "this model does not think")
    elif facts.thinking is Thinking.ADAPTIVE:
        notes.lose(path, LossReason.APPROXIMATED, "this model decides itself how long to think")
        return None if effort else WireReasoning({"type": "adaptive"})
    elif not _is_possible(budget, max_tokens, request):
        detail = f"a budget must be at least {LEAST_BUDGET} and less than max_tokens"
        notes.lose(path, LossReason.UNSUPPORTED, detail)
    else:
        written_effort = effort if effort in EFFORTS and facts.takes_effort else None
        if written_effort != effort:
            notes.lose("reasoning.effort", LossReason.APPROXIMATED, "the budget says how much to think")
        return WireReasoning({"type": "enabled", "budget_tokens": budget}, written_effort)
    return None


def _is_possible(budget: int, max_tokens: int, request: Request) -> bool:
    betas = str(own(request.extra).get("headers", {}).get(BETA_HEADER, ""))
    return budget >= LEAST_BUDGET and (budget < max_tokens or INTERLEAVED_THINKING in betas)


def _budget_of_effort(effort: str, max_tokens: int, notes: Notes) -> WireReasoning:
    """A model of before there were efforts: the nearest budget, if any is possible (THK-17)."""
    if max_tokens <= LEAST_BUDGET or effort not in BUDGETS:
        detail = f"thinking takes at least {LEAST_BUDGET} tokens of max_tokens"
        notes.lose("reasoning.effort", LossReason.UNSUPPORTED, detail)
        return WireReasoning()
    budget = max(LEAST_BUDGET, min(BUDGETS[effort], max_tokens // 2))
    notes.lose("reasoning", LossReason.APPROXIMATED, f"sent as a budget of {budget} tokens")
    return WireReasoning({"type": "enabled", "budget_tokens": budget})


def _with_summary(written: WireReasoning, summary: str | None, notes: Notes) -> WireReasoning:
    if summary is None:
        return written
    if written.thinking is None or not written.asked_for:
        notes.lose("reasoning.summary", LossReason.UNSUPPORTED, "there is no thinking to show")
        return written
    if summary != "auto":
        notes.lose("reasoning.summary", LossReason.APPROXIMATED, "how long a summary is cannot be said")
    return WireReasoning({**written.thinking, "display": _SUMMARIZED}, written.effort)
