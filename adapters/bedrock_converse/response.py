"""The whole answer of ``converse``."""

from collections.abc import Mapping

import orjson

from adapters.bedrock_converse.answer import (
    MODEL_FIELDS,
    decode_reason,
    encode_answer_part,
    encode_model_fields,
    encode_reason,
    is_empty,
    kept_reason,
    take_stop_sequence,
)
from adapters.bedrock_converse.blocks import BLOCKS_BY_ROLE, decode_blocks
from adapters.bedrock_converse.exact import with_exact_documents
from adapters.bedrock_converse.extra import keep, kept_in, with_kept
from adapters.bedrock_converse.fields import NAME
from adapters.bedrock_converse.losses import once_each
from adapters.bedrock_converse.names import original_names
from adapters.bedrock_converse.usage import METADATA, decode_usage, encode_usage
from adapters.contract import Context, DecodeError, Encoded, EncodeError, WireResponse
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Json, Part, ToolCall
from adapters.model.response import Choice, Response
from adapters.wire.body import read_object
from adapters.wire.fields import Fields


def decode_response(wire: WireResponse, context: Context) -> Response:
    """The answer in a 200 body. Its model is the one that was asked: the wire does not say. Raises ``DecodeError``."""
    body = Fields(with_exact_documents(read_object(wire.body), wire.body))
    output = body.need_fields("output")
    message = output.need_fields("message")
    content, path = message.array("content"), message.path_of("content")
    if content is None:
        raise DecodeError(f"{path} is required", param=path, code="missing_required_field")
    message.any("role")
    decoded = decode_blocks(content, path, BLOCKS_BY_ROLE["assistant"])
    names = original_names(context.request)
    parts = [_renamed(part, names) for part in decoded if not is_empty(part)]
    word = body.need_string("stopReason")
    reason = decode_reason(word, called=any(isinstance(part, ToolCall) for part in parts))
    stop_sequence, model_fields = take_stop_sequence(body.any(MODEL_FIELDS))
    usage = decode_usage(body.any("usage"), {name: body.any(name) for name in METADATA})
    extra = keep(
        kept_reason(word, reason, stop_sequence) | ({} if model_fields is None else {MODEL_FIELDS: model_fields}),
        message=message.rest(),
        output=output.rest(),
    )
    choice = Choice(0, tuple(parts), reason, stop_sequence, extra=extra)
    return Response(
        (choice,),
        wire.headers.get("x-amzn-requestid"),
        context.request.model,
        usage=usage,
        extra=keep(body.rest()),
    )


def _renamed(part: Part, names: Mapping[str, str]) -> Part:
    if isinstance(part, ToolCall) and part.name in names:
        return ToolCall(part.id, names[part.name], part.arguments, part.cache, part.extra)
    return part


def encode_response(response: Response, context: Context) -> Encoded[WireResponse]:
    """The answer. Raises ``EncodeError`` for what cannot pass as one: paused, failed, cut inside a call."""
    if not response.choices:
        raise EncodeError("the answer holds no choice", "choices", "no_choice")
    choice, *others = response.choices
    losses = foreign_losses(response, NAME)
    losses += other_choices_losses(len(others)) + answer_losses(response, context)
    blocks: list[Json] = []
    for index, part in enumerate(choice.parts):
        block = encode_answer_part(part, f"choices[0].parts[{index}]", losses)
        if block is not None:
            blocks.append(block)
    kept = kept_in(choice.extra)
    message = with_kept({"role": "assistant", "content": blocks}, _object(kept, "message"))
    body: Json = {
        "output": with_kept({"message": message}, _object(kept, "output")),
        "stopReason": encode_reason(choice, "choices[0]", losses),
        **encode_usage(response.usage, losses),
        **encode_model_fields(choice, {"stop_sequence": choice.stop_sequence}),
    }
    beside = {name: value for name, value in kept.items() if name not in CHOICE_FIELDS}
    body = with_kept(with_kept(body, beside), kept_in(response.extra))
    return Encoded(WireResponse(200, orjson.dumps(body)), once_each(losses))


CHOICE_FIELDS = frozenset({"stopReason", "message", "output", MODEL_FIELDS})
"""Fields kept with the choice that have a place of their own."""


def other_choices_losses(count: int) -> list[Loss]:
    """The losses of the choices behind the first."""
    return [
        Loss(f"choices[{index}]", LossReason.UNSUPPORTED, "an answer holds one choice") for index in range(1, 1 + count)
    ]


def answer_losses(response: Response, context: Context) -> list[Loss]:
    """What no answer has room for, whatever its parts are."""
    losses: list[Loss] = []
    choice = response.choices[0]
    if response.model != context.request.model:
        losses.append(Loss("model", LossReason.APPROXIMATED, "an answer names no model: it is the one asked for"))
    if choice.index != 0:
        losses.append(Loss("choices[0].index", LossReason.APPROXIMATED, "an answer holds one choice"))
    if choice.logprobs is not None:
        losses.append(Loss("choices[0].logprobs", LossReason.UNSUPPORTED, "there are no log probabilities"))
    return losses


def _object(kept: Json, name: str) -> Json:
    value = kept.get(name)
    return value if isinstance(value, dict) else {}
