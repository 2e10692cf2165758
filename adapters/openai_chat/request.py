"""Requests."""

from collections.abc import Mapping
from dataclasses import replace

import orjson

from adapters.contract import Encoded, WireRequest
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Json
from adapters.model.request import Conversation, Request
from adapters.openai_chat.extras import decode_extra, encode_extra, own_extra, unread
from adapters.openai_chat.fields import DECISIVE, MAX_CHOICES, NAME
from adapters.openai_chat.messages import decode_messages, encode_messages
from adapters.openai_chat.settings import (
    decode_output,
    decode_reasoning_options,
    decode_sampling,
    encode_output,
    encode_reasoning_options,
    encode_sampling,
)
from adapters.openai_chat.tools import decode_tool_choice, decode_tools, encode_tool_choice, encode_tools
from adapters.wire.body import read_object, replace_string
from adapters.wire.fields import Fields, wrong_type

PATH = "/chat/completions"
_HEADERS = {"content-type": "application/json"}


def decode_request(wire: WireRequest) -> Request:
    """What the client asks for. Raises ``DecodeError`` naming the field at fault."""
    fields = Fields(read_object(wire.body, once=DECISIVE))
    model = fields.need_string("model")
    messages = decode_messages(fields.need_array("messages"))
    tools = decode_tools(fields)
    tool_choice, tool_choice_rest = decode_tool_choice(fields)
    output, output_rest = decode_output(fields)
    stream = fields.boolean("stream") or False
    include_usage, stream_rest = _decode_stream_options(fields, stream)
    store = fields.boolean("store")
    return Request(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=fields.boolean("parallel_tool_calls"),
        sampling=decode_sampling(fields),
        output=output,
        reasoning=decode_reasoning_options(fields),
        choice_count=fields.integer("n", 1, MAX_CHOICES),
        stream=stream,
        include_usage=include_usage,
        user=fields.string("user"),
        metadata=_decode_metadata(fields),
        conversation=None if store is None else Conversation(store=store),
        extra=decode_extra(
            fields, tool_choice=tool_choice_rest, response_format=output_rest, stream_options=stream_rest
        ),
    )


def encode_request(request: Request) -> Encoded[WireRequest]:
    """The request for an upstream: the same bytes for the same request, so that prompt caches hit (CAC-07)."""
    losses = foreign_losses(request, NAME)
    wire: Json = {"model": request.model, "messages": encode_messages(request.messages, losses)}
    wire |= encode_tools(request.tools, losses)
    if request.tool_choice is not None:
        wire["tool_choice"] = encode_tool_choice(request.tool_choice, losses)
    if request.parallel_tool_calls is not None:
        wire["parallel_tool_calls"] = request.parallel_tool_calls
    wire |= encode_sampling(request.sampling, losses)
    if request.output is not None:
        wire["response_format"] = encode_output(request.output, losses)
    if request.reasoning is not None:
        wire |= encode_reasoning_options(request.reasoning, losses)
    if request.choice_count is not None:
        wire["n"] = _encode_choice_count(request.choice_count, losses)
    if request.stream:
        # Always asked for: the proxy counts tokens whether the client wants to see them or not.
        wire |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.user is not None:
        wire["user"] = request.user
    if request.metadata is not None:
        wire["metadata"] = dict(request.metadata)
    wire |= _encode_conversation(request.conversation, losses)
    if request.variables is not None:
        losses.append(Loss("variables", LossReason.UNSUPPORTED, "there are no instructions with slots to fill"))
    wire = encode_extra(wire, _sendable_extra(request, losses))
    return Encoded(WireRequest("POST", PATH, orjson.dumps(wire), _HEADERS), tuple(losses))


def readdress(wire: WireRequest, request: Request, model: str) -> WireRequest | None:
    """The same request for another model, every other byte as it was; ``None`` if the name's place is in doubt."""
    if model == request.model:
        return wire
    body = replace_string(wire.body, "model", request.model, model)
    return None if body is None else replace(wire, body=body)


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_stream_options(fields: Fields, stream: bool) -> tuple[bool | None, Json]:
    options = fields.fields("stream_options")
    if options is None:
        return None, {}
    if not stream:
        raise fields.error("stream_options", "is only allowed when stream is true")
    return options.boolean("include_usage"), unread(options)


def _decode_metadata(fields: Fields) -> Mapping[str, str] | None:
    metadata = fields.object("metadata")
    for name, value in (metadata or {}).items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{name}", "a string", value)
    return metadata


# --- encoding ---------------------------------------------------------------------------------------------------


def _encode_choice_count(count: int, losses: list[Loss]) -> int:
    nearest = min(max(count, 1), MAX_CHOICES)
    if nearest != count:
        losses.append(Loss("choice_count", LossReason.CLAMPED, f"it must be between 1 and {MAX_CHOICES}"))
    return nearest


def _encode_conversation(conversation: Conversation | None, losses: list[Loss]) -> Json:
    if conversation is None:
        return {}
    losses += [
        Loss(f"conversation.{name}", LossReason.UNSUPPORTED, "the server keeps no history")
        for name in ("id", "previous_response_id")
        if getattr(conversation, name) is not None
    ]
    return {} if conversation.store is None else {"store": conversation.store}


def _sendable_extra(request: Request, losses: list[Loss]) -> Mapping[str, Json]:
    own = dict(own_extra(request.extra))
    if not request.stream and own.pop("stream_options", None) is not None:
        losses.append(Loss(f"extra.{NAME}.stream_options", LossReason.UNSUPPORTED, "nothing is streamed"))
    return {NAME: own}
