"""Requests."""

from dataclasses import replace

import orjson

from adapters.contract import Encoded, WireRequest
from adapters.model.error import DecodeError, ErrorKind
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Json
from adapters.model.request import Request
from adapters.openai_responses.extras import decode_extra, merged, own_extra, unread
from adapters.openai_responses.fields import DECISIVE, NAME
from adapters.openai_responses.items import decode_messages, encode_messages, instructions
from adapters.openai_responses.settings import (
    decode_conversation,
    decode_metadata,
    decode_output,
    decode_reasoning_options,
    decode_sampling,
    encode_conversation,
    encode_include,
    encode_output,
    encode_reasoning_options,
    encode_sampling,
)
from adapters.openai_responses.tools import decode_tool_choice, decode_tools, encode_tool_choice, encode_tools
from adapters.wire.body import read_object, replace_string
from adapters.wire.fields import Fields

PATH = "/responses"
_HEADERS = {"content-type": "application/json"}


def decode_request(wire: WireRequest) -> Request:
    """What the client asks for. Raises ``DecodeError`` naming the field at fault."""
    fields = Fields(read_object(wire.body, once=DECISIVE))
    model = fields.need_string("model")
    if fields.boolean("background"):
        message = "background is not supported: the answer is sent on the connection that asked for it"
        raise DecodeError(message, "background", "unsupported_feature", ErrorKind.UNSUPPORTED)
    conversation, marks, conversation_rest = decode_conversation(fields)
    stored = conversation is not None and bool(conversation.id or conversation.previous_response_id)
    messages = decode_messages(fields, stored=stored)
    tools = decode_tools(fields)
    tool_choice, tool_choice_rest = decode_tool_choice(fields)
    sampling, include = decode_sampling(fields)
    output, text_rest = decode_output(fields)
    reasoning, reasoning_rest = decode_reasoning_options(fields)
    stream = fields.boolean("stream") or False
    stream_rest = _decode_stream_options(fields, stream)
    more = {"tool_choice": tool_choice_rest, "text": text_rest, "reasoning": reasoning_rest, "include": include}
    return Request(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=fields.boolean("parallel_tool_calls"),
        sampling=sampling,
        output=output,
        reasoning=reasoning,
        stream=stream,
        user=fields.string("user"),
        metadata=decode_metadata(fields),
        conversation=conversation,
        extra=decode_extra(fields, *marks, **more, conversation=conversation_rest, stream_options=stream_rest),
    )


def encode_request(request: Request) -> Encoded[WireRequest]:
    """The request for an upstream: the same bytes for the same request, so that prompt caches hit (CAC-07)."""
    losses = foreign_losses(request, NAME)
    wire: Json = {"model": request.model}
    wire |= encode_messages(request, losses)
    wire |= _encode_settings(request, losses)
    wire |= encode_conversation(request, losses)
    own = dict(own_extra(request.extra))
    include = encode_include(request.sampling, own.pop("include", None))
    if include:
        wire["include"] = include
    if request.stream:
        wire["stream"] = True
    elif own.pop("stream_options", None) is not None:
        losses.append(Loss(f"extra.{NAME}.stream_options", LossReason.UNSUPPORTED, "nothing is streamed"))
    losses += [
        Loss(name, LossReason.UNSUPPORTED, detail)
        for name, detail in (
            ("choice_count", "there is one answer only"),
            ("variables", "there are no instructions with slots to fill"),
        )
        if getattr(request, name) not in (None, 1)
    ]
    return Encoded(WireRequest("POST", PATH, orjson.dumps(merged(wire, own)), _HEADERS), tuple(losses))


def readdress(wire: WireRequest, request: Request, model: str) -> WireRequest | None:
    """The same request for another model, every other byte as it was; ``None`` if the name's place is in doubt."""
    if model == request.model:
        return wire
    body = replace_string(wire.body, "model", request.model, model)
    return None if body is None else replace(wire, body=body)


def echo(request: Request) -> Json:
    """The fields of an answer that repeat the request, as the client wrote them; what was not said is null.

    Clients in strict languages want all of them: RSP-09, hard-cases.md.
    """
    own = own_extra(request.extra)
    said = _encode_settings(request, []) | encode_conversation(request, [])
    said |= {"instructions": instructions(request), "max_output_tokens": request.sampling.max_tokens}
    said = merged(said, {name: own[name] for name in ("tool_choice", "text", "reasoning") if name in own})
    kept = {name: own.get(name) for name in _ECHOED}
    form = {"format": {"type": "text"}} | (said.pop("text", None) or {})
    thought = {"effort": None, "summary": None} | (said.pop("reasoning", None) or {})
    wire: Json = {"background": False, **_UNSAID, **kept, **said, "text": form, "reasoning": thought}
    return wire | {"store": wire.get("store", True), "truncation": wire["truncation"] or "disabled"}


# --- details ----------------------------------------------------------------------------------------------------

# Fields of an answer with the value that stands for a request that does not speak of it: response.py.
_UNSAID: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "conversation": None,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": None,
    "top_p": None,
    "user": None,
}
_ECHOED = ("max_tool_calls", "prompt", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "truncation")


def _decode_stream_options(fields: Fields, stream: bool) -> Json:
    options = fields.fields("stream_options")
    if options is None:
        return {}
    if not stream:
        raise fields.error("stream_options", "is only allowed when stream is true")
    return unread(options)


def _encode_settings(request: Request, losses: list[Loss]) -> Json:
    wire: Json = {}
    tools = encode_tools(request.tools, losses)
    if tools:
        wire["tools"] = tools
    if request.tool_choice is not None:
        wire["tool_choice"] = encode_tool_choice(request.tool_choice, request, losses)
    if request.parallel_tool_calls is not None:
        wire["parallel_tool_calls"] = request.parallel_tool_calls
    wire |= encode_sampling(request.sampling, losses)
    if request.output is not None:
        wire["text"] = {"format": encode_output(request.output, losses)}
    if request.reasoning is not None and (reasoning := encode_reasoning_options(request.reasoning, losses)):
        wire["reasoning"] = reasoning
    if request.user is not None:
        wire["user"] = request.user
    if request.metadata is not None:
        wire["metadata"] = dict(request.metadata)
    return wire
