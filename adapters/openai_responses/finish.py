"""Why an answer ended: its ``status`` and ``incomplete_details``."""

from adapters.model.error import EncodeError, ErrorKind
from adapters.model.response import FinishReason
from adapters.model.tables import reverse

_INCOMPLETE = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}
_WIRE_INCOMPLETE = reverse(_INCOMPLETE)


def decode_finish_reason(incomplete: str | None, *, called: bool, refused: bool) -> FinishReason:
    """The reason, given why the answer is ``incomplete`` if it is, and whether it has calls and a refusal."""
    if incomplete is not None:
        return _INCOMPLETE.get(incomplete, FinishReason.OTHER)
    if refused:
        return FinishReason.REFUSAL
    return FinishReason.TOOL_CALL if called else FinishReason.STOP


def encode_finish_reason(
    reason: FinishReason, raw: object, *, called: bool, refused: bool
) -> tuple[str | None, FinishReason]:
    """Why the answer is incomplete, ``None`` if it is not, and what readers take that for.

    ``raw`` is the dialect's own word kept for ``OTHER``. Raises ``EncodeError`` where every word would be a lie.
    """
    if reason in (FinishReason.ERROR, FinishReason.PAUSED):
        raise EncodeError(
            f"an answer that ended with {reason} cannot be told here",
            code="unsupported_finish_reason",
            kind=ErrorKind.BAD_UPSTREAM,
        )
    word = _WIRE_INCOMPLETE.get(reason)
    if reason is FinishReason.REFUSAL and not refused:
        word = _WIRE_INCOMPLETE[FinishReason.CONTENT_FILTER]
    if reason is FinishReason.OTHER and isinstance(raw, str) and raw and raw not in _INCOMPLETE:
        word = raw
    return word, decode_finish_reason(word, called=called, refused=refused)
