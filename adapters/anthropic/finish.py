"""Why an answer ended, and what was said with it."""

from typing import NamedTuple

from adapters.anthropic.extras import own, said
from adapters.anthropic.fields import FINISH_REASONS, WIRE_REASONS
from adapters.contract import EncodeError
from adapters.model.error import ErrorKind
from adapters.model.message import Extra, Json, Refusal
from adapters.model.response import FinishReason
from adapters.wire.fields import Fields

RAW = "stop_reason"
"""Among the kept fields: the word itself, where another one would be written for what it means."""


class Finish(NamedTuple):
    """The end of an answer. ``refusal`` is what the model, or who watches it, had to say for declining."""

    reason: FinishReason
    stop_sequence: str | None
    refusal: Refusal | None
    kept: Json


def decode_finish(fields: Fields, *, called: bool) -> Finish:
    """The end of an answer, given whether it has tool calls for the client."""
    word, sequence = fields.string("stop_reason"), fields.string("stop_sequence")
    reason = _reason(word, called)
    # A call must be run although the word is the wrong one: FIN-19.
    corrected = word == "end_turn" and reason is FinishReason.TOOL_CALL
    raw = None if word is None or corrected or word == _word(reason, sequence) else word
    details = fields.fields("stop_details")
    explanation = None if details is None else details.string("explanation")
    beside = {} if details is None else {name: value for name, value in said(details.rest()).items() if name != "type"}
    kept: Json = {} if raw is None else {RAW: raw}
    if beside:
        kept["stop_details"] = beside
    return Finish(reason, sequence, Refusal(explanation) if explanation else None, kept)


def _reason(word: str | None, called: bool) -> FinishReason:
    reason = FinishReason.OTHER if word is None else FINISH_REASONS.get(word, FinishReason.OTHER)
    return FinishReason.TOOL_CALL if reason is FinishReason.STOP and called else reason


def _word(reason: FinishReason, sequence: str | None) -> str | None:
    if reason is FinishReason.STOP and sequence is not None:
        return "stop_sequence"
    return WIRE_REASONS.get(reason)


class WireFinish(NamedTuple):
    """``stop_reason``, ``stop_sequence`` and ``stop_details``; ``changed``: how the word says something else."""

    fields: Json
    changed: str


def encode_finish(finish: Finish, extra: Extra | None, *, called: bool) -> WireFinish:
    """The end of an answer on the wire. Raises ``EncodeError`` for an answer that broke: no word says that."""
    reason, kept = finish.reason, own(extra)
    if reason is FinishReason.ERROR:
        problem = "the model broke off its answer with an error"
        raise EncodeError(problem, "choices[0].finish_reason", "upstream_error", ErrorKind.BAD_UPSTREAM)
    raw = kept.get(RAW)
    if isinstance(raw, str) and _reason(raw, called) is reason:
        word = raw
    elif called and reason in (FinishReason.STOP, FinishReason.OTHER):
        word = "tool_use"  # a client that reads ``end_turn`` would not look for calls
    elif finish.refusal is not None and reason in (FinishReason.STOP, FinishReason.OTHER):
        word = "refusal"
    else:
        word = _word(reason, finish.stop_sequence) or "end_turn"
    changed = "" if _reason(word, called) is reason else f"{word} is the nearest there is"
    fields: Json = {"stop_reason": word, "stop_sequence": finish.stop_sequence}
    details = kept.get("stop_details")
    if finish.refusal is not None or details:
        explanation = None if finish.refusal is None else finish.refusal.text
        fields["stop_details"] = {"type": "refusal", "category": None, "explanation": explanation, **(details or {})}
    return WireFinish(fields, changed)
