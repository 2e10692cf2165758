"""What this API cannot say, as reports; and the answers that must not be given for want of words."""

from collections.abc import Iterable
from dataclasses import fields

from adapters.amarsia.fields import HINTS, NAME, UNSAID_PARTS, UNSAYABLE, UNSAYABLE_WITHOUT_TEXT
from adapters.contract import EncodeError
from adapters.model.error import ErrorKind
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, Json, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from adapters.model.response import FinishReason, Usage

JOINED = Loss("choices[0].parts", LossReason.APPROXIMATED, "an answer is one text here")
LOGPROBS_LOST = Loss("choices[0].logprobs", LossReason.UNSUPPORTED, "there is no place for log probabilities")


def hint_losses(part: Part, path: str) -> list[Loss]:
    """What is left out of a part that is itself sent."""
    said = [name for name in HINTS if getattr(part, name, None) not in (None, ())]
    return [Loss(f"{path}.{name}", LossReason.UNSUPPORTED, HINTS[name]) for name in said]


def own_extra_losses(extra: Extra | None, path: str) -> list[Loss]:
    """Our own fields where there is no object to write them back into; those of others are foreign losses."""
    kept = (extra or {}).get(NAME, {})
    return [Loss(f"{path}extra.{NAME}.{name}", LossReason.UNSUPPORTED, "its object is not sent") for name in kept]


def write_extra(wire: Json, extra: Extra | None, path: str, losses: list[Loss]) -> None:
    """Put our own kept fields back into the object they came from, unless the encoder has put something else there."""
    for name, value in (extra or {}).get(NAME, {}).items():
        if name in wire:
            detail = "another value has its place"
            losses.append(Loss(f"{path}extra.{NAME}.{name}", LossReason.UNSUPPORTED, detail))
        else:
            wire[name] = value


def unsaid_part_losses(part: Reasoning | ToolCall | ToolResult | Opaque, path: str) -> list[Loss]:
    """The report of a part that is left out; another dialect's own parts are reported with all that is foreign."""
    if isinstance(part, Opaque) and part.dialect != NAME:
        return []
    return [Loss(path, LossReason.UNSUPPORTED, UNSAID_PARTS[type(part)])]


# --- answers, whole or streamed ---


def answer_part_losses(part: Part, path: str) -> list[Loss]:
    """What is lost of this part of an answer. Raises ``EncodeError`` for a tool call: none may be dropped (A9)."""
    match part:
        case Text():
            return hint_losses(part, path) + own_extra_losses(part.extra, f"{path}.")
        case Refusal():
            return [Loss(path, LossReason.APPROXIMATED, "sent as ordinary text")]
        case ToolCall():
            raise _refusal(*UNSAYABLE[FinishReason.TOOL_CALL])
        case Media():
            return [Loss(path, LossReason.UNSUPPORTED, "an answer holds no media here")]
        case _:
            return unsaid_part_losses(part, path)


def finish_losses(reason: FinishReason, stop_sequence: str | None) -> list[Loss]:
    """What is lost of the end of the answer: everything but that it ended."""
    losses: list[Loss] = []
    if reason is not FinishReason.STOP:
        losses.append(Loss("choices[0].finish_reason", LossReason.UNSUPPORTED, "every answer just ends"))
    if stop_sequence is not None:
        losses.append(Loss("choices[0].stop_sequence", LossReason.UNSUPPORTED, "every answer just ends"))
    return losses


def further_choice_loss(index: int) -> Loss:
    """The report of a second or later answer to the same request."""
    return Loss(f"choices[{index}]", LossReason.UNSUPPORTED, "there is one answer to a request")


def usage_losses(usage: Usage) -> list[Loss]:
    """The report of token counts that are left out altogether."""
    said = any(getattr(usage, field.name) is not None for field in fields(usage))
    return [Loss("usage", LossReason.UNSUPPORTED, "there is no place for these counts")] if said else []


def demand_sayable(reason: FinishReason, parts: Iterable[type[Part]], *, said: bool) -> None:
    """Raise ``EncodeError`` for an end that must not look like that of an ordinary answer (A9, A12, AMA-10).

    An answer cut at its length is fine even if it is empty. One without text must not hide a refusal, nor content of
    the kinds in ``parts`` that was left out.
    """
    if reason in UNSAYABLE:
        raise _refusal(*UNSAYABLE[reason])
    if said:
        return
    if reason in UNSAYABLE_WITHOUT_TEXT:
        raise _refusal(*UNSAYABLE_WITHOUT_TEXT[reason])
    kinds = set(parts)
    if Refusal in kinds:
        raise _refusal(*UNSAYABLE_WITHOUT_TEXT[FinishReason.REFUSAL])
    if kinds & {Media, Opaque, ToolResult}:
        raise _refusal("unsupported_content", "the answer has no text, and this API can pass on nothing else")


def _refusal(code: str, message: str) -> EncodeError:
    return EncodeError(message, code=code, kind=ErrorKind.BAD_UPSTREAM)
