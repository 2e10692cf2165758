"""Complete answers."""

from typing import Any

import orjson

from adapters.contract import Context, Encoded, WireResponse
from adapters.gemini.answer import AnswerParts, encode_answer_part
from adapters.gemini.arguments import with_exact_numbers
from adapters.gemini.extras import encode_extra, kept, own_extra
from adapters.gemini.fields import CANDIDATE_FIELDS, CHUNK_FIELDS, NAME
from adapters.gemini.finish import decode_finish_reason, encode_finish_reason
from adapters.gemini.logprobs import decode_logprobs, encode_logprobs
from adapters.gemini.usage import decode_usage, encode_usage
from adapters.model.error import DecodeError
from adapters.model.event import ChoiceFinished
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Extra, Json, Opaque, Refusal, ToolCall
from adapters.model.response import Choice, FinishReason, Response
from adapters.wire.body import read_object
from adapters.wire.fields import Fields, wrong_type

ERROR_IN_200 = "error_in_200"
"""The code of the ``DecodeError`` for an error sent with status 200: ``decode_error`` reads such a body."""

FEEDBACK = "promptFeedback"


def decode_response(wire: WireResponse, context: Context) -> Response:
    """The answer. Raises ``DecodeError`` for anything else, with code ``error_in_200`` for an error."""
    body = with_exact_numbers(read_object(wire.body), wire.body)
    fields = Fields(body)
    if fields.has("error"):
        raise DecodeError("the answer is an error, although its status is 200", "error", ERROR_IN_200)
    values = fields.array("candidates") or []
    choices = [_decode_candidate(value, position, context) for position, value in enumerate(values)]
    choices.sort(key=lambda choice: choice.index)
    if len({choice.index for choice in choices}) < len(choices):
        raise DecodeError("two candidates have the same index", "candidates", "invalid_value")
    if not choices:
        blocked = blocked_text(body)
        if blocked is None:
            raise DecodeError("candidates is required", "candidates", "missing_required_field")
        choices = [Choice(0, (Refusal(blocked),), FinishReason.CONTENT_FILTER)]
    return Response(
        tuple(choices),
        fields.string("responseId") or None,
        fields.string("modelVersion") or None,
        usage=decode_usage(fields.any("usageMetadata")),
        extra=answer_extra(body),
    )


def blocked_text(body: Json) -> str | None:
    """Why the prompt was blocked; ``None`` if it was not (FIN-05, hard-cases.md)."""
    feedback = body.get(FEEDBACK)
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(reason, str) or not reason or reason == "BLOCKED_REASON_UNSPECIFIED":
        return None
    message = feedback.get("blockReasonMessage") if isinstance(feedback, dict) else None
    return message if isinstance(message, str) and message else f"The prompt was blocked: {reason}."


def answer_extra(body: Json) -> Extra | None:
    """The fields of an answer that the model has no place for; what is empty says nothing."""
    return kept({name: item for name, item in body.items() if name not in CHUNK_FIELDS and not is_empty(item)})


def is_empty(item: Any) -> bool:
    """Whether a field says nothing, like the ``groundingMetadata: {}`` in most chunks of a searching model."""
    return item is None or item == {} or item == []


def candidate_parts(candidate: Json, path: str) -> list[Any]:
    """The parts of a candidate's content; both may be missing."""
    content = candidate.get("content")
    if content is None:
        return []
    if not isinstance(content, dict):
        raise wrong_type(f"{path}.content", "an object", content)
    parts = content.get("parts")
    if parts is None:
        return []
    if not isinstance(parts, list):
        raise wrong_type(f"{path}.content.parts", "an array", parts)
    return parts


def encode_response(response: Response, context: Context) -> Encoded[WireResponse]:
    """The answer for the client."""
    losses = foreign_losses(response, NAME)
    if response.model is None:
        losses.append(Loss("model", LossReason.APPROXIMATED, "the model that was asked for is named"))
    wire: Json = {}
    if not is_blocked(response):
        wire["candidates"] = [
            _encode_choice(choice, f"choices[{index}]", losses) for index, choice in enumerate(response.choices)
        ]
    usage = encode_usage(response.usage, losses)
    if usage is not None:
        wire["usageMetadata"] = usage
    wire |= answer_names(response.model, context)
    return Encoded(WireResponse(200, orjson.dumps(encode_extra(wire, response.extra))), tuple(losses))


def answer_names(model: str | None, context: Context) -> Json:
    """Who answered, and the answer's id: the same in every chunk."""
    return {"modelVersion": model or context.request.model, "responseId": context.request_id}


def is_blocked(response: Response) -> bool:
    """Whether this is how an answer without candidates was read, so that it is written without any again."""
    text = blocked_text(own_extra(response.extra))
    return text is not None and [choice.parts for choice in response.choices] == [(Refusal(text),)]


# --- details ----------------------------------------------------------------------------------------------------


def _decode_candidate(value: Any, position: int, context: Context) -> Choice:
    path = f"candidates[{position}]"
    fields = Fields(value, path)
    index = fields.integer("index", 0)
    index = position if index is None else index
    reader = AnswerParts(context, index)
    parts = tuple(
        part
        for place, item in enumerate(candidate_parts(value, path))
        for part in reader.decode(
            Fields(item, f"{path}.content.parts[{place}]").rest(), f"{path}.content.parts[{place}]"
        )
    )
    reason, raw = decode_finish_reason(fields.string("finishReason") or None, called=reader.called)
    logprobs, logprobs_rest = decode_logprobs(fields.any("logprobsResult"), f"{path}.logprobsResult")
    extra = candidate_extra(value, raw, logprobs_rest)
    return Choice(index, parts, reason, logprobs=logprobs, extra=extra)


def candidate_extra(candidate: Json, raw: str | None, logprobs_rest: Json) -> Extra | None:
    """The fields of a candidate that the model has no place for, ``raw`` being its own word for the reason."""
    left = {name: item for name, item in candidate.items() if name not in CANDIDATE_FIELDS and not is_empty(item)}
    if raw is not None:
        left["finishReason"] = raw
    if logprobs_rest:
        left["logprobsResult"] = logprobs_rest
    return kept(left)


def _encode_choice(choice: Choice, path: str, losses: list[Loss]) -> Json:
    parts: list[Json] = []
    broken = called = False
    for index, part in enumerate(choice.parts):
        encoded = encode_answer_part(part, f"{path}.parts[{index}]", losses)
        if encoded is not None:
            parts.append(encoded)
            called = called or is_call(part)
        broken = broken or (encoded is None and isinstance(part, ToolCall))
    content: Json = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    end = ChoiceFinished(choice.index, choice.finish_reason, choice.stop_sequence, choice.extra)
    finish = encode_finish(end, path, losses, called=called, broken=broken)
    wire: Json = {"content": content, **finish, "index": choice.index}
    if choice.logprobs is not None:
        logprobs, whole = encode_logprobs(choice.logprobs)
        wire["logprobsResult"] = logprobs | own_extra(choice.extra).get("logprobsResult", {})
        if not whole:
            losses.append(Loss(f"{path}.logprobs", LossReason.APPROXIMATED, "tokens and their probabilities are told"))
    return wire


def encode_finish(end: ChoiceFinished, path: str, losses: list[Loss], *, called: bool, broken: bool) -> Json:
    """The fields of a candidate that ended so; ``called`` and ``broken`` as for ``encode_finish_reason``."""
    own = own_extra(end.extra)
    raw = "CONTINUATION" if "continuationToken" in own else own.get("finishReason")
    word, changed = encode_finish_reason(end.reason, raw, called=called, broken=broken)
    if changed:
        losses.append(Loss(f"{path}.finish_reason", LossReason.APPROXIMATED, changed))
    if end.stop_sequence is not None:
        losses.append(Loss(f"{path}.stop_sequence", LossReason.UNSUPPORTED, "which stop sequence it was is not told"))
    return encode_extra({"finishReason": word}, end.extra)


def is_call(part: object) -> bool:
    """Whether the part makes the answer one with calls."""
    return isinstance(part, ToolCall) or (isinstance(part, Opaque) and "functionCall" in part.payload)
