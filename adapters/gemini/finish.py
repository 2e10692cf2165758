"""Why a candidate ended."""

from adapters.gemini.fields import FINISH_REASONS, WIRE_REASONS
from adapters.model.error import EncodeError, ErrorKind
from adapters.model.response import FinishReason

MALFORMED_CALL = "MALFORMED_FUNCTION_CALL"


def decode_finish_reason(word: str | None, *, called: bool) -> tuple[FinishReason, str | None]:
    """The reason behind ``word``, and the word itself if the reason alone would not bring it back.

    ``called``: there is a call anywhere in the answer; no word says so (FIN-01, FIN-02, hard-cases.md).
    """
    reason = FinishReason.OTHER if word is None else FINISH_REASONS.get(word, FinishReason.OTHER)
    if reason is FinishReason.STOP and called:
        reason = FinishReason.TOOL_CALL
    return reason, None if word in (None, WIRE_REASONS[reason]) else word


def encode_finish_reason(reason: FinishReason, raw: object, *, called: bool, broken: bool) -> tuple[str, str]:
    """The word, and how it says something else than ``reason``: empty if it does not.

    ``raw`` is this dialect's own word, where one was kept; ``broken``: a call had to be left out because its arguments
    are no JSON object. Raises ``EncodeError`` for an answer that is to be continued, without the means for it.
    """
    word = WIRE_REASONS[reason]
    if isinstance(raw, str) and decode_finish_reason(raw, called=called)[0] is reason:
        word = raw
    elif reason is FinishReason.PAUSED:
        raise EncodeError(
            f"an answer that ended with {reason} cannot be told here",
            code="unsupported_finish_reason",
            kind=ErrorKind.BAD_UPSTREAM,
        )
    if broken and reason in (FinishReason.TOOL_CALL, FinishReason.STOP):
        word = MALFORMED_CALL
    if decode_finish_reason(word, called=called)[0] is reason:
        return word, ""
    return word, f"{word} is the nearest there is"
