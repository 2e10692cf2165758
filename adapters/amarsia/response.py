"""Whole answers: ``content`` and, where known, the model's name and two token counts."""

from typing import TypeVar

import orjson

from adapters.amarsia.fields import NAME, STRUCTURED, UNCOUNTED
from adapters.amarsia.losses import (
    JOINED,
    LOGPROBS_LOST,
    answer_part_losses,
    demand_sayable,
    finish_losses,
    further_choice_loss,
    own_extra_losses,
    usage_losses,
    write_extra,
)
from adapters.contract import JSON_HEADERS, Context, DecodeError, Encoded, EncodeError, WireResponse
from adapters.model.error import ErrorKind
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Extra, Json, Part, Refusal, Text
from adapters.model.request import OutputKind
from adapters.model.response import Choice, FinishReason, Response, Usage
from adapters.wire.body import read_object
from adapters.wire.fields import wrong_type

Value = TypeVar("Value")


def decode_response(wire: WireResponse, context: Context) -> Response:
    """The answer. An object in ``content`` becomes its JSON text, and the choice's extra remembers that it was one."""
    body = read_object(wire.body)
    if "content" not in body:
        raise DecodeError("content is required", "content", "missing_required_field")
    parts, extra = _decode_content(body.pop("content"))
    usage = Usage(_take(body, "input_tokens", int), _take(body, "output_tokens", int))
    return Response(
        (Choice(0, parts, FinishReason.STOP, extra=extra),),
        id=_take(body, "request_id", str),
        model=_take(body, "model", str),
        usage=None if usage == Usage() else usage,
        extra={NAME: body} if body else None,
    )


def _decode_content(content: object) -> tuple[tuple[Part, ...], Extra | None]:
    if isinstance(content, str):
        return ((Text(content),) if content else ()), None
    if isinstance(content, dict):
        return (Text(orjson.dumps(content).decode()),), {NAME: {STRUCTURED: True}}
    if content is None:
        return (), None
    raise wrong_type("content", "a string or an object", content)


def _take(body: Json, name: str, kind: type[Value]) -> Value | None:
    """The field if it has the right JSON type; any other is left in its place, as the first-party client does it."""
    value = body.get(name)
    if type(value) is kind:
        del body[name]
        return value
    if value is None:
        body.pop(name, None)
    return None


def encode_response(response: Response, context: Context) -> Encoded[WireResponse]:
    """The answer's text, or the object in it if JSON was asked for.

    Raises ``EncodeError`` for an answer that its text alone would misrepresent.
    """
    if not response.choices:
        raise EncodeError("the answer holds no choice", code="empty_answer", kind=ErrorKind.BAD_UPSTREAM)
    choice = response.choices[0]
    losses = foreign_losses(response, NAME)
    losses += [further_choice_loss(index) for index in range(1, len(response.choices))]
    losses += _choice_losses(choice)
    body: Json = {"content": _encode_content(choice, context, losses)}
    if response.model is not None:
        body["model"] = response.model
    body |= _encode_usage(response.usage, losses)
    body["request_id"] = "req_" + context.request_id
    write_extra(body, response.extra, "", losses)
    # The body has no field for it; who knows us can look here (A12).
    headers = {**JSON_HEADERS, "x-finish-reason": choice.finish_reason.value}
    return Encoded(WireResponse(200, orjson.dumps(body), headers), tuple(losses))


def _choice_losses(choice: Choice) -> list[Loss]:
    losses: list[Loss] = []
    for place, part in enumerate(choice.parts):
        losses += answer_part_losses(part, f"choices[0].parts[{place}]")
    losses += finish_losses(choice.finish_reason, choice.stop_sequence)
    if choice.logprobs is not None:
        losses.append(LOGPROBS_LOST)
    if choice.index != 0:
        losses.append(Loss("choices[0].index", LossReason.APPROXIMATED, "there is one answer, without a number"))
    return losses


def _encode_content(choice: Choice, context: Context, losses: list[Loss]) -> str | orjson.Fragment:
    spoken = {place: part.text for place, part in enumerate(choice.parts) if isinstance(part, Text | Refusal)}
    raw = "".join(spoken.values()).encode("utf-8", "replace")
    demand_sayable(choice.finish_reason, map(type, choice.parts), said=bool(raw))
    if len(spoken) > 1 or (spoken and not raw):
        losses.append(JOINED)
    own = dict((choice.extra or {}).get(NAME, {}))
    value = _object_in(raw) if own.get(STRUCTURED) is True or _wants_json(context) else None
    if value is None:
        losses += own_extra_losses({NAME: own}, "choices[0].")
        return raw.decode()
    own.pop(STRUCTURED, None)
    losses += own_extra_losses({NAME: own}, "choices[0].")
    if len(spoken) == 1 and orjson.dumps(value) != raw:
        detail = "sent as an object, in which white space means nothing"
        losses.append(Loss(f"choices[0].parts[{min(spoken)}].text", LossReason.APPROXIMATED, detail))
    return orjson.Fragment(raw)  # the model's own digits: reading them may round (hard-cases ENC-02)


def _wants_json(context: Context) -> bool:
    output = context.request.output
    return output is not None and output.kind is not OutputKind.TEXT


def _object_in(raw: bytes) -> Json | None:
    """The JSON object that the text is, and nothing else (A23)."""
    try:
        return read_object(raw)
    except DecodeError:
        return None


def _encode_usage(usage: Usage | None, losses: list[Loss]) -> Json:
    """The two counts there are fields for; an unknown one is left out (A15)."""
    if usage is None:
        return {}
    counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    known = {name: count for name, count in counts.items() if count is not None}
    if not known:
        losses += usage_losses(usage)
        return {}
    detail = "these tokens are not counted apart"
    uncounted = [name for name in UNCOUNTED if getattr(usage, name) is not None]
    losses += [Loss(f"usage.{name}", LossReason.UNSUPPORTED, detail) for name in uncounted]
    losses += own_extra_losses(usage.extra, "usage.")
    return known
