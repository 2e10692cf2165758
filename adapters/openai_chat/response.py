"""Complete answers."""

from typing import Any

import orjson

from adapters.contract import Context, Encoded, WireResponse
from adapters.model.error import DecodeError
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Json, Opaque, Part, Refusal, ToolCall
from adapters.model.response import Choice, FinishReason, Response
from adapters.openai_chat.answer import decode_answer, encode_answer
from adapters.openai_chat.extras import decode_extra, encode_extra, own_extra, unread
from adapters.openai_chat.fields import NAME
from adapters.openai_chat.finish import decode_finish_reason, encode_finish_reason
from adapters.openai_chat.usage import decode_usage, encode_usage
from adapters.wire.body import read_object
from adapters.wire.fields import Fields, wrong_type

ERROR_IN_200 = "error_in_200"
"""The code of the ``DecodeError`` for an error sent with status 200: ``decode_error`` reads such a body."""


def decode_response(wire: WireResponse, context: Context) -> Response:
    """The answer. Raises ``DecodeError`` for anything else, with code ``error_in_200`` for an error."""
    fields = Fields(read_object(wire.body))
    if fields.has("error") and not fields.rest().get("choices"):
        raise DecodeError("the answer is an error, although its status is 200", "error", ERROR_IN_200)
    fields.any("object")
    values = fields.need_array("choices")
    choices = [_decode_choice(value, position, context) for position, value in enumerate(values)]
    choices.sort(key=lambda choice: choice.index)
    if len({choice.index for choice in choices}) < len(choices):
        raise DecodeError("two choices have the same index", "choices", "invalid_value")
    return Response(
        tuple(choices),
        fields.string("id") or None,
        fields.string("model") or None,
        decode_created(fields.any("created")),
        decode_usage(fields.any("usage")),
        decode_extra(fields),
    )


def decode_created(value: Any) -> int | None:
    """The time in whole seconds; some servers send fractions."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise wrong_type("created", "a number of seconds", value)
    return int(value)


def decode_logprobs(value: Any, path: str) -> Json | None:
    """Log probabilities as they stand, lists by name; ``None`` if there are none."""
    if value is None:
        return None
    fields = Fields(value, path)
    lists = [fields.array(name) for name in value]
    return None if all(entries is None for entries in lists) else dict(value)


def encode_response(response: Response, context: Context) -> Encoded[WireResponse]:
    """The answer for the client."""
    losses = foreign_losses(response, NAME)
    if response.model is None:
        losses.append(Loss("model", LossReason.APPROXIMATED, "the model that was asked for is named"))
    wire: Json = {
        "id": answer_id(context),
        "object": "chat.completion",
        "created": context.now,
        "model": response.model or context.request.model,
        "choices": [
            _encode_choice(choice, f"choices[{index}]", context, losses)
            for index, choice in enumerate(response.choices)
        ],
    }
    usage, usage_losses = encode_usage(response.usage)
    losses += usage_losses
    if usage is not None:
        wire["usage"] = usage
    return Encoded(WireResponse(200, orjson.dumps(encode_extra(wire, response.extra))), tuple(losses))


def answer_id(context: Context) -> str:
    """The id of the answer and of all its chunks (K24, dialects/arka.md)."""
    return "chatcmpl-" + context.request_id


# --- details ----------------------------------------------------------------------------------------------------


def _decode_choice(value: Any, position: int, context: Context) -> Choice:
    fields = Fields(value, f"choices[{position}]")
    index = fields.integer("index", 0)
    index = position if index is None else index
    message = fields.need_fields("message")
    parts = decode_answer(message, index, context)
    word = fields.string("finish_reason") or None
    reason = decode_finish_reason(word, called=has_calls(parts), refused=has_refusal(parts))
    raw = word if reason is FinishReason.OTHER else None
    logprobs = decode_logprobs(fields.any("logprobs"), fields.path_of("logprobs"))
    extra = decode_extra(fields, message=unread(message), finish_reason=raw)
    return Choice(index, parts, reason, logprobs=logprobs, extra=extra)


def _encode_choice(choice: Choice, path: str, context: Context, losses: list[Loss]) -> Json:
    parts = choice.parts
    raw = own_extra(choice.extra).get("finish_reason")
    word, changed = encode_finish_reason(choice.finish_reason, raw, called=has_calls(parts), refused=has_refusal(parts))
    if changed:
        losses.append(Loss(f"{path}.finish_reason", LossReason.APPROXIMATED, changed))
    if choice.stop_sequence is not None:
        losses.append(Loss(f"{path}.stop_sequence", LossReason.UNSUPPORTED, "which stop sequence it was is not told"))
    wire: Json = {
        "index": choice.index,
        "message": encode_answer(parts, path, context, losses),
        "logprobs": choice.logprobs,
        "finish_reason": word,
    }
    return encode_extra(wire, choice.extra)


def has_calls(parts: tuple[Part, ...]) -> bool:
    """Whether a tool is called among the parts."""
    return any(isinstance(part, ToolCall) or (isinstance(part, Opaque) and part.dialect == NAME) for part in parts)


def has_refusal(parts: tuple[Part, ...]) -> bool:
    """Whether a refusal is among the parts."""
    return any(isinstance(part, Refusal) and part.text for part in parts)
