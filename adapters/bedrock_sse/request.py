"""The body of ``POST /chat`` and ``POST /chat/stream``."""

from dataclasses import fields as fields_of
from typing import Any

import orjson

from adapters.bedrock_sse.calls import with_exact_inputs
from adapters.bedrock_sse.extra import keep, kept_in, with_kept
from adapters.bedrock_sse.fields import (
    HIGHEST_TEMPERATURE,
    HIGHEST_TOP_P,
    LIMITS,
    MOST_STOP_SEQUENCES,
    NAME,
    TokenLimits,
)
from adapters.bedrock_sse.losses import once_each
from adapters.bedrock_sse.messages import decode_messages, encode_messages
from adapters.bedrock_sse.tools import decode_tools, encode_tools
from adapters.contract import DecodeError, Encoded, EncodeError, WireRequest
from adapters.model.error import ErrorKind
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Json
from adapters.model.request import Conversation, OutputFormat, OutputKind, Request, Sampling
from adapters.wire.body import read_object, replace_string
from adapters.wire.fields import Fields

CHAT = "/chat"
CHAT_STREAM = "/chat/stream"

_DECISIVE = ("modelId", "messages", "systemPrompt", "toolConfig", "sessionId", "agentId", "async")
_HEADERS = {"content-type": "application/json"}
_STREAM_HEADERS = {**_HEADERS, "accept": "text/event-stream"}  # as the first-party clients do (section 1)


def decode_request(wire: WireRequest, limits: TokenLimits = LIMITS["seed"]) -> Request:
    """The request in the body; the path says whether the answer is to be a stream."""
    body = Fields(with_exact_inputs(read_object(wire.body, once=_DECISIVE), wire.body))
    _drop_defaults(body)
    model = body.need_string("modelId")
    session = body.string("sessionId")
    if session == "":
        raise body.error("sessionId", "must not be empty")
    messages = decode_messages(body, whole_history=session is None)
    tools, beside_tools = decode_tools(body)
    output, beside_output = _decode_output(body)
    return Request(
        model=model,
        messages=messages,
        tools=tools,
        sampling=_decode_sampling(body, limits),
        output=output,
        stream=wire.path == CHAT_STREAM,
        conversation=None if session is None else Conversation(session),
        extra=keep(body.rest(), toolConfig=beside_tools, responseFormat=beside_output),
    )


def _drop_defaults(body: Fields) -> None:
    """Removes what says nothing; refuses ``async`` (Q22): its clients wait for a 202 and a place to poll."""
    if body.boolean("async"):
        raise DecodeError(
            "async is not supported: send the request without it", "async", "unsupported_feature", ErrorKind.UNSUPPORTED
        )
    body.any("stream")  # "Ignored in buffered mode" (SPEC), and unknown in the other
    if not body.rest().get("longContext"):
        body.any("longContext")


def _decode_sampling(body: Fields, limits: TokenLimits) -> Sampling:
    stop_sequences = body.strings("stopSequences") or ()
    if len(stop_sequences) > MOST_STOP_SEQUENCES:
        raise body.error("stopSequences", f"must not hold more than {MOST_STOP_SEQUENCES}")
    if "" in stop_sequences:
        raise body.error(f"stopSequences[{stop_sequences.index('')}]", "must not be empty")
    return Sampling(
        max_tokens=body.integer("maxTokens", 1, limits.highest),
        temperature=body.number("temperature", 0, HIGHEST_TEMPERATURE),
        top_p=body.number("topP", 0, HIGHEST_TOP_P),
        stop_sequences=stop_sequences,
    )


def _decode_output(body: Fields) -> tuple[OutputFormat | None, Json]:
    """The output format (Q28), and the fields beside it that the model has no place for."""
    wanted = body.fields("responseFormat")
    if wanted is None:
        return None, {}
    if wanted.choice("type", ("json",)) is None:
        raise wanted.error("type", "is required", code="missing_required_field")
    schema = wanted.object("jsonSchema")
    if schema is None:
        return OutputFormat(OutputKind.JSON_OBJECT), wanted.rest()
    return OutputFormat(OutputKind.JSON_SCHEMA, schema), wanted.rest()


def encode_request(request: Request, limits: TokenLimits = LIMITS["seed"]) -> Encoded[WireRequest]:
    """The request on the wire, in the order in which S003 lists the fields."""
    losses = foreign_losses(request, NAME)
    session = request.conversation.id if request.conversation is not None else None
    prompt, messages = encode_messages(request.messages, losses, whole_history=session is None)
    if not messages:
        raise EncodeError("there must be at least one message", "messages", "nothing_to_send", ErrorKind.UNSUPPORTED)
    written: Json = {"messages": messages, "modelId": request.model}
    written |= _encode_sampling(request.sampling, limits, losses)
    if prompt is not None:
        written["systemPrompt"] = prompt
    if request.sampling.stop_sequences:
        written |= _encode_stop_sequences(request.sampling.stop_sequences, losses)
    if request.output is not None:
        written |= _encode_output(request.output, losses)
    written |= encode_tools(request, losses)
    if session is not None:
        written["sessionId"] = session
    _unsupported_losses(request, losses)
    body = orjson.dumps(with_kept(written, kept_in(request.extra)))
    if request.stream:
        return Encoded(WireRequest("POST", CHAT_STREAM, body, _STREAM_HEADERS), once_each(losses))
    return Encoded(WireRequest("POST", CHAT, body, _HEADERS), once_each(losses))


def _encode_sampling(sampling: Sampling, limits: TokenLimits, losses: list[Loss]) -> Json:
    bounds: dict[str, tuple[str, float, float]] = {
        "temperature": ("temperature", 0, HIGHEST_TEMPERATURE),
        "max_tokens": ("maxTokens", 1, limits.highest),
        "top_p": ("topP", 0, HIGHEST_TOP_P),
    }
    written: Json = {}
    for name, (wire_name, low, high) in bounds.items():
        value = getattr(sampling, name)
        if value is None:
            continue
        written[wire_name] = min(max(value, low), high)
        if written[wire_name] != value:
            losses.append(Loss(f"sampling.{name}", LossReason.CLAMPED, f"must be between {low} and {high}"))
    return written


def _encode_stop_sequences(sequences: tuple[str, ...], losses: list[Loss]) -> Json:
    if len(sequences) > MOST_STOP_SEQUENCES:
        # Q33: sending some of them would change the answer without a sign of it.
        problem = f"at most {MOST_STOP_SEQUENCES} are accepted, so none is sent"
        losses.append(Loss("sampling.stop_sequences", LossReason.UNSUPPORTED, problem))
        return {}
    if "" in sequences:
        losses.append(Loss("sampling.stop_sequences", LossReason.INVALID, "an empty one stops nothing"))
    said = [sequence for sequence in sequences if sequence]
    return {"stopSequences": said} if said else {}


def _encode_output(output: OutputFormat, losses: list[Loss]) -> Json:
    if output.kind is OutputKind.TEXT:
        return {}
    losses += [
        Loss(f"output.{name}", LossReason.UNSUPPORTED, "only the schema itself is sent")
        for name in ("name", "description", "strict")
        if getattr(output, name) is not None
    ]
    if output.kind is OutputKind.JSON_SCHEMA and output.schema is not None:
        return {"responseFormat": {"type": "json", "jsonSchema": output.schema}}
    return {"responseFormat": {"type": "json"}}


def _unsupported_losses(request: Request, losses: list[Loss]) -> None:
    """Reports each thing said in fields that have no counterpart here."""
    sampling = request.sampling
    unsaid: list[tuple[str, Any]] = [
        *(("sampling." + name, getattr(sampling, name)) for name in _NO_SAMPLING),
        ("sampling.logprobs", sampling.logprobs or None),
        ("parallel_tool_calls", False if request.parallel_tool_calls is False else None),
        ("choice_count", None if request.choice_count == 1 else request.choice_count),
        ("user", request.user),
        ("metadata", request.metadata),
        ("variables", request.variables),
    ]
    if request.reasoning is not None:
        unsaid += [(f"reasoning.{f.name}", getattr(request.reasoning, f.name)) for f in fields_of(request.reasoning)]
    if request.conversation is not None:
        unsaid.append(("conversation.previous_response_id", request.conversation.previous_response_id))
        unsaid.append(("conversation.store", request.conversation.store))
    losses += [
        Loss(path, LossReason.UNSUPPORTED, "there is no such field") for path, value in unsaid if value is not None
    ]


_NO_SAMPLING = ("top_k", "presence_penalty", "frequency_penalty", "seed", "logit_bias", "top_logprobs")


def readdress(wire: WireRequest, request: Request, model: str) -> WireRequest | None:
    """The same request for ``model``, every other byte untouched; ``None`` if the place cannot be told for certain."""
    if model == request.model:
        return wire
    body = replace_string(wire.body, "modelId", request.model, model)
    return None if body is None else WireRequest(wire.method, wire.path, body, wire.headers, wire.query)
