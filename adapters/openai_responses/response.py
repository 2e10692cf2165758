"""Complete answers."""

from collections.abc import Iterator
from typing import Any

import orjson

from adapters.contract import Context, Encoded, WireResponse
from adapters.model.error import DecodeError
from adapters.model.event import Event, LogprobsReported, PartEnded, PartStarted, StreamEnded
from adapters.model.fold import explode
from adapters.model.message import Json, Part, Refusal, Text, ToolCall
from adapters.model.response import Choice, FinishReason, Response
from adapters.openai_responses.answer import AnswerParts, answer_fields, incomplete_reason
from adapters.openai_responses.fields import NAME
from adapters.openai_responses.finish import decode_finish_reason
from adapters.openai_responses.output import Output
from adapters.openai_responses.usage import decode_usage
from adapters.wire.body import read_object
from adapters.wire.fields import Fields, wrong_type

ERROR_IN_200 = "error_in_200"
"""The code of the ``DecodeError`` for an error sent with status 200: ``decode_error`` reads such a body."""

_FINAL = ("completed", "incomplete", "failed", "cancelled", None)


def decode_response(wire: WireResponse, context: Context) -> Response:
    """The answer. Raises ``DecodeError`` for anything else, with code ``error_in_200`` for an error."""
    answer = read_object(wire.body)
    fields = Fields(answer)
    status = fields.string("status")
    if fields.has("error") or status in ("failed", "cancelled"):
        raise DecodeError("the answer is an error, although its status is 200", "error", ERROR_IN_200)
    if status not in _FINAL:
        raise fields.error("status", "does not say that the answer is complete", "unfinished_answer")
    output = fields.array("output")
    if output is None:
        raise fields.error("output", "is required", code="missing_required_field")
    collected = AnswerParts(context)
    for index, item in enumerate(output):
        collected.add_item(item, f"output[{index}]")
    reason, extra = decode_end(answer, collected.parts)
    logprobs = {"content": collected.logprobs} if collected.logprobs else None
    return Response(
        (Choice(0, tuple(collected.parts), reason, logprobs=logprobs, extra=extra),),
        fields.string("id") or None,
        fields.string("model") or None,
        decode_created(fields.any("created_at")),
        decode_usage(fields.any("usage")),
    )


def decode_end(answer: Json, parts: list[Part]) -> tuple[FinishReason, dict[str, Json] | None]:
    """Why the answer ended, and what else it says."""
    incomplete = incomplete_reason(answer)
    called = any(isinstance(part, ToolCall) for part in parts)
    refused = any(isinstance(part, Refusal) for part in parts)
    reason = decode_finish_reason(incomplete, called=called, refused=refused)
    kept = answer_fields(answer, incomplete, usual=reason is not FinishReason.OTHER)
    return reason, {NAME: kept} if kept else None


def decode_created(value: Any) -> int | None:
    """The time in whole seconds; some servers send fractions."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise wrong_type("created_at", "a number of seconds", value)
    return int(value)


def encode_response(response: Response, context: Context) -> Encoded[WireResponse]:
    """The answer for the client: the one that a stream of it adds up to (RSP-06, hard-cases.md)."""
    output = Output(context)
    for event in _with_early_logprobs(response):
        output.take(event)
    output.count()
    return Encoded(WireResponse(200, orjson.dumps(output.snapshot())), tuple(output.losses))


def _with_early_logprobs(response: Response) -> Iterator[Event]:
    """The events of the answer, log probabilities before the end of the first text, which they are told with."""
    waiting = {choice.index: choice.logprobs for choice in response.choices if choice.logprobs is not None}
    texts: dict[int, int] = {}  # part -> choice
    early: set[int] = set()
    for event in explode(response):
        if isinstance(event, StreamEnded):
            return
        if isinstance(event, PartStarted) and isinstance(event.part, Text):
            texts[event.index] = event.choice
        elif isinstance(event, PartEnded) and (choice := texts.get(event.index)) in waiting and choice not in early:
            early.add(choice)
            yield LogprobsReported(choice, waiting[choice])
        elif isinstance(event, LogprobsReported) and event.choice in early:
            continue
        yield event
