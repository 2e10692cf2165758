"""Why a choice ended."""

from adapters.model.error import EncodeError, ErrorKind
from adapters.model.response import FinishReason
from adapters.openai_chat.fields import FINISH_REASONS, WIRE_REASONS


def decode_finish_reason(word: str | None, *, called: bool, refused: bool) -> FinishReason:
    """The reason behind ``word``, given whether the answer has tool calls and a refusal."""
    reason = FinishReason.OTHER if word is None else FINISH_REASONS.get(word, FinishReason.OTHER)
    if reason is FinishReason.STOP and called:
        return FinishReason.TOOL_CALL  # Ollama, and OpenAI where the choice of tool was forced: FIN-19, hard-cases.md
    if reason is FinishReason.CONTENT_FILTER and refused:
        return FinishReason.REFUSAL  # how a refusal is written: FIN-07, hard-cases.md
    return reason


def encode_finish_reason(reason: FinishReason, raw: object, *, called: bool, refused: bool) -> tuple[str, str]:
    """The word, and how it says something else than ``reason``: empty if it does not.

    ``raw`` is the dialect's own word kept for ``OTHER``. Raises ``EncodeError`` where every word would be a lie.
    """
    if reason in (FinishReason.ERROR, FinishReason.PAUSED):
        raise EncodeError(
            f"an answer that ended with {reason} cannot be told here",
            code="unsupported_finish_reason",
            kind=ErrorKind.BAD_UPSTREAM,
        )
    if reason is FinishReason.OTHER and isinstance(raw, str) and raw and raw not in FINISH_REASONS:
        return raw, ""
    word = WIRE_REASONS.get(reason, "stop")
    if reason is FinishReason.STOP and called:
        word = WIRE_REASONS[FinishReason.TOOL_CALL]
    if decode_finish_reason(word, called=called, refused=refused) is reason:
        return word, ""
    return word, f"{word} is the nearest there is"
