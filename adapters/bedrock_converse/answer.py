"""An answer's parts and the reason for its end, as whole answers and streams say them alike."""

from typing import Any, assert_never

from adapters.bedrock_converse.blocks import text_block
from adapters.bedrock_converse.citations import citation_losses, encode_cited_text
from adapters.bedrock_converse.exact import object_text
from adapters.bedrock_converse.extra import kept_in, with_kept
from adapters.bedrock_converse.families import UNKNOWN
from adapters.bedrock_converse.fields import BROKEN_REASONS, FINISH_REASONS, NAME, WIRE_REASONS
from adapters.bedrock_converse.media import encode_media
from adapters.bedrock_converse.parts import encode_call
from adapters.bedrock_converse.reasoning import encode_reasoning, signature_mark
from adapters.contract import DecodeError, EncodeError
from adapters.model.error import ErrorKind
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from adapters.model.response import Choice, FinishReason

EMPTY_TEXT = "an empty text is no part of an answer"
MODEL_FIELDS = "additionalModelResponseFields"


def is_empty(part: Part) -> bool:
    """Whether the part says nothing, so that it is no part of an answer (THK-02: a signature alone is something)."""
    match part:
        case Text():
            return not part.text and not part.citations
        case Reasoning():
            return not part.text and part.signature is None and part.redacted is None
        case _:
            return False


def decode_reason(word: str, *, called: bool) -> FinishReason:
    """Why the answer ended. Raises ``DecodeError`` where the model broke its own format (FIN-11)."""
    if word in BROKEN_REASONS:
        raise DecodeError(
            "the model's output does not have the form it must have", "stopReason", word, ErrorKind.BAD_UPSTREAM
        )
    reason = FINISH_REASONS.get(word, FinishReason.OTHER)
    return FinishReason.TOOL_CALL if called and reason is FinishReason.STOP else reason


def kept_reason(word: str, reason: FinishReason, stop_sequence: str | None) -> Json:
    """The word itself, where it says more than the model's reason does."""
    implied = "stop_sequence" if reason is FinishReason.STOP and stop_sequence is not None else WIRE_REASONS.get(reason)
    return {} if word == implied else {"stopReason": word}


def take_stop_sequence(fields: Any) -> tuple[str | None, Any]:
    """The matched stop text in ``additionalModelResponseFields``, and what else is there.

    It stands where the request asked for it: ``/stop_sequence``, or ``/delta/stop_sequence`` (SEEN, families.py).
    """
    if not isinstance(fields, dict):
        return None, fields
    rest = dict(fields)
    delta = rest.get("delta")
    if isinstance(delta, dict) and "stop_sequence" in delta:
        text, inner = _take(delta)
        rest = {name: value for name, value in rest.items() if name != "delta"} | ({"delta": inner} if inner else {})
    else:
        text, rest = _take(rest)
    return text, rest or None


def _take(fields: Json) -> tuple[str | None, Json]:
    text = fields.get("stop_sequence")
    if text is not None and not isinstance(text, str):
        return None, fields
    return text, {name: value for name, value in fields.items() if name != "stop_sequence"}


def encode_reason(choice: Choice, path: str, losses: list[Loss]) -> str:
    """The word for the reason. Raises ``EncodeError`` where every word would be a lie."""
    reason = choice.finish_reason
    if reason in (FinishReason.PAUSED, FinishReason.ERROR):
        raise EncodeError(
            f"an answer that ended as {reason} cannot be given", f"{path}.finish_reason", "upstream_error"
        )
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    own = kept_in(choice.extra).get("stopReason")
    word = own if isinstance(own, str) and _means(own, reason, called=called) else WIRE_REASONS.get(reason, "end_turn")
    if word == own:
        return word
    if reason is FinishReason.STOP and choice.stop_sequence is not None:
        word = "stop_sequence"
    if called and FINISH_REASONS[word] is FinishReason.STOP:
        word = "tool_use"  # a client that reads `end_turn` would not look for calls
    if FINISH_REASONS[word] is not reason:
        losses.append(Loss(f"{path}.finish_reason", LossReason.APPROXIMATED, f"written as {word}"))
    return word


def _means(word: str, reason: FinishReason, *, called: bool) -> bool:
    return word not in BROKEN_REASONS and decode_reason(word, called=called) is reason


def encode_model_fields(choice: Choice, stop_sequence: Json) -> Json:
    """``additionalModelResponseFields``, as far as there is something to say; ``stop_sequence`` is put into it."""
    kept = kept_in(choice.extra).get(MODEL_FIELDS)
    if choice.stop_sequence is None:
        return {} if kept is None else {MODEL_FIELDS: kept}
    return {MODEL_FIELDS: with_kept(stop_sequence, kept if isinstance(kept, dict) else {})}


def encode_answer_part(part: Part, path: str, losses: list[Loss]) -> Json | None:
    """The block for a part of a whole answer; ``None`` if there is none. Raises ``EncodeError`` for a broken call."""
    lose_cache(part, path, losses)
    match part:
        case Text():
            return _encode_text(part, path, losses)
        case Refusal():
            reason = "a refusal is written as text" if part.text else EMPTY_TEXT
            losses.append(Loss(path, LossReason.APPROXIMATED, reason))
            return {"text": part.text} if part.text else None
        case Reasoning():
            if is_unsayable(part):
                losses.append(Loss(path, LossReason.UNSUPPORTED, "there is nothing in it that can be written"))
                return None
            return {"reasoningContent": encode_reasoning(part, path, losses)}
        case ToolCall():
            arguments = object_text(part.arguments)
            if arguments is None:
                # An object is required, also where the output cap has cut the call (TOOL-34): a stream can tell it.
                problem = "a tool call's arguments are not a JSON object"
                raise EncodeError(problem, f"{path}.arguments", "invalid_tool_arguments")
            return {"toolUse": encode_call(part, arguments)}
        case Media():
            written = encode_media(part, path, UNKNOWN, losses)
            return None if written is None else {part.kind.value: written}
        case Opaque():
            return part.payload if part.dialect == NAME else None
        case ToolResult():
            losses.append(Loss(path, LossReason.UNSUPPORTED, "an answer holds no tool results"))
            return None
        case _:
            assert_never(part)


def lose_cache(part: Part, path: str, losses: list[Loss]) -> None:
    """Reports a cache mark, which no answer has."""
    if isinstance(part, Text | Media | ToolCall | ToolResult) and part.cache is not None:
        losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, "an answer has no cache marks"))


def is_unsayable(part: Reasoning) -> bool:
    """Whether nothing of it can be written: it is empty, or a payload or signature of which nobody knows the maker."""
    return not part.text and (signature_mark(part.origin) is None or (part.signature is None and part.redacted is None))


def _encode_text(part: Text, path: str, losses: list[Loss]) -> Json | None:
    kept = kept_in(part.extra)
    if part.citations:
        problems = citation_losses(part, path)
        if part.text or len(problems) < len(part.citations):
            cited = encode_cited_text(part, path, losses)
            return {"text": part.text} if cited is None else {"citationsContent": with_kept(cited, kept)}
    if not part.text:
        losses.append(Loss(path, LossReason.APPROXIMATED, EMPTY_TEXT))
        return None
    return text_block(part, kept)
