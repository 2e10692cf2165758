"""Complete answers."""

import orjson

from adapters.anthropic.answer import decode_answer, encode_answer
from adapters.anthropic.calls import keep_digits
from adapters.anthropic.extras import keep, own, unread, with_kept
from adapters.anthropic.fields import ANSWER_ID_PREFIX, CHOICE_FIELDS, NAME, REQUEST_ID_PREFIX
from adapters.anthropic.finish import RAW, Finish, decode_finish, encode_finish
from adapters.anthropic.names import client_names
from adapters.anthropic.usage import decode_usage, encode_usage, uncounted
from adapters.contract import JSON_HEADERS, Context, DecodeError, Encoded, EncodeError, WireResponse
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Json, ToolCall
from adapters.model.response import Choice, Response
from adapters.wire.body import read_object
from adapters.wire.fields import Fields

ERROR_IN_200 = "error_in_200"
"""The code of the ``DecodeError`` for an error sent with status 200: ``decode_error`` reads such a body."""


def decode_response(wire: WireResponse, context: Context) -> Response:
    """The answer. Raises ``DecodeError`` for anything else, with code ``error_in_200`` for an error."""
    values = read_object(wire.body)
    keep_digits(wire.body, values, "content")
    fields = Fields(values)
    kind = fields.string("type")
    if kind == "error" or (fields.has("error") and not fields.has("content")):
        raise DecodeError("the answer is an error, although its status is 200", "error", ERROR_IN_200)
    content = fields.array("content")
    if content is None:
        raise fields.error("content", "is required", code="missing_required_field")
    fields.any("role")
    parts = decode_answer(content, "content", client_names(context.request), context)
    finish = decode_finish(fields, called=any(isinstance(part, ToolCall) for part in parts))
    if finish.refusal is not None:
        parts.append(finish.refusal)
    kept = finish.kept | {name: value for name in CHOICE_FIELDS if (value := fields.any(name)) is not None}
    choice = Choice(0, tuple(parts), finish.reason, finish.stop_sequence, extra=keep(kept))
    identity, model = fields.string("id") or None, fields.string("model") or None
    usage = decode_usage(fields.any("usage"))
    return Response((choice,), identity, model, usage=usage, extra=keep(unread(fields)))


def encode_response(response: Response, context: Context) -> Encoded[WireResponse]:
    """The answer for the client. Raises ``EncodeError`` for one that broke, and for none."""
    if not response.choices:
        raise EncodeError("the answer holds no choice", "choices", "no_choice")
    losses = uncounted(response.usage, foreign_losses(response, NAME))
    choice, *others = response.choices
    losses += further_choices(*range(1, 1 + len(others)))
    if choice.index != 0:
        losses.append(Loss("choices[0].index", LossReason.APPROXIMATED, "there is one answer, without a number"))
    if choice.logprobs is not None:
        losses.append(LOGPROBS_LOST)
    if response.model is None:
        losses.append(MODEL_PUT_IN)
    content, refusal, called = encode_answer(choice.parts, losses)
    finish, changed = encode_finish(
        Finish(choice.finish_reason, choice.stop_sequence, refusal, {}), choice.extra, called=called
    )
    if changed:
        losses.append(Loss("choices[0].finish_reason", LossReason.APPROXIMATED, changed))
    usage, usage_losses = encode_usage(response.usage)
    losses += usage_losses
    written: Json = {
        "id": ANSWER_ID_PREFIX + context.request_id,
        "type": "message",
        "role": "assistant",
        "model": response.model or context.request.model,
        "content": content,
        **finish,
        "usage": usage,
    }
    kept = {name: value for name, value in own(choice.extra).items() if name != RAW}
    body = orjson.dumps(with_kept(with_kept(written, kept), own(response.extra)))
    headers = {**JSON_HEADERS, "request-id": REQUEST_ID_PREFIX + context.request_id}
    return Encoded(WireResponse(200, body, headers), tuple(losses))


LOGPROBS_LOST = Loss("choices[0].logprobs", LossReason.UNSUPPORTED, "there is no place for log probabilities")
MODEL_PUT_IN = Loss("model", LossReason.APPROXIMATED, "the model that was asked for is named")


def further_choices(*places: int) -> list[Loss]:
    """The losses of the choices at these places, none of which is the first."""
    return [Loss(f"choices[{place}]", LossReason.UNSUPPORTED, "there is one answer") for place in places]
