"""Requests: the path names the model and whether the answer is a stream, the body has the rest."""

import re
from collections.abc import Mapping
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson

from adapters.contract import JSON_HEADERS, Encoded, Route, WireRequest
from adapters.gemini.arguments import with_exact_numbers
from adapters.gemini.contents import decode_messages
from adapters.gemini.extras import encode_extra, kept, own_extra, unread
from adapters.gemini.fields import DECISIVE, NAME
from adapters.gemini.settings import (
    decode_choice_count,
    decode_output,
    decode_reasoning,
    decode_sampling,
    encode_choice_count,
    encode_output,
    encode_reasoning,
    encode_sampling,
)
from adapters.gemini.spelling import WireFields
from adapters.gemini.tools import decode_tool_choice, decode_tools, encode_tool_choice, encode_tools
from adapters.gemini.turns import encode_messages
from adapters.model.error import DecodeError, EncodeError, ErrorKind
from adapters.model.loss import SAYS_NOTHING, Loss, LossReason, foreign_losses
from adapters.model.message import Json
from adapters.model.request import Request
from adapters.wire.body import read_object

STREAM_ROUTE = Route("POST", "/models/{model:path}:streamGenerateContent")
UNARY_ROUTE = Route("POST", "/models/{model:path}:generateContent")

ALT = "alt"
"""The query field that chooses the form of a stream. As an extra field it is null: nothing was said, so that the answer
is to be an array of chunks. Null is no loss anywhere, for the form concerns only the client's own connection."""

_ARRAY = "json"
_SSE = "sse"

# They hold a key, choose a form of the answer that we do not write, or concern only this connection.
_UNKEPT_QUERY = ("key", "access_token", "oauth_token", "prettyPrint", "quotaUser")
_REFUSED_QUERY = ("fields", "callback")

_MODEL_KEY = re.compile(rb'"model"\s*:')


def decode_request(wire: WireRequest) -> Request:
    """What the client asks for. Raises ``DecodeError`` naming the field at fault."""
    model, stream = _decode_path(wire.path)
    query = _decode_query(wire, stream)
    body = WireFields(with_exact_numbers(read_object(wire.body, once=DECISIVE), wire.body))
    return replace(decode_body(body, model, query), stream=stream)


def decode_body(body: WireFields, model: str, query: Mapping[str, Any]) -> Request:
    """What a body asks of ``model``; ``query`` has what the query adds to the extra fields."""
    _check_model(body, model)
    messages = decode_messages(body)
    tools = decode_tools(body)
    tool_choice, tool_config = decode_tool_choice(body)
    config = body.wire_fields("generationConfig") or WireFields({}, "generationConfig")
    sampling = decode_sampling(config)
    choice_count = decode_choice_count(config)
    output = decode_output(config)
    reasoning, thinking = decode_reasoning(config)
    return Request(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=tool_choice,
        sampling=sampling,
        output=output,
        reasoning=reasoning,
        choice_count=choice_count,
        extra=kept(
            {
                **unread(body, toolConfig=tool_config, generationConfig=unread(config, thinkingConfig=thinking)),
                **query,
            }
        ),
    )


def encode_request(request: Request) -> Encoded[WireRequest]:
    """The request for an upstream: the same bytes for the same request, so that prompt caches hit (CAC-07)."""
    path = encode_path(request.model, _method(request))
    losses = foreign_losses(request, NAME)
    body = encode_body(request, losses)
    return Encoded(WireRequest("POST", path, orjson.dumps(body), JSON_HEADERS, _encode_query(request)), tuple(losses))


def encode_body(request: Request, losses: list[Loss]) -> Json:
    """The body; what is lost joins ``losses``."""
    wire = encode_messages(request.messages, request.model, losses)
    wire |= encode_tools(request.tools, losses)
    if request.tool_choice is not None:
        wire["toolConfig"] = encode_tool_choice(request.tool_choice, request.extra, losses)
    config = encode_sampling(request.sampling, losses) | encode_choice_count(request.choice_count, losses)
    if request.output is not None:
        config |= encode_output(request.output, losses)
    if request.reasoning is not None:
        thinking = encode_reasoning(request.reasoning, request.model, losses)
        config |= {"thinkingConfig": thinking} if thinking else {}
    if config:
        wire["generationConfig"] = config
    _report_unsaid(request, losses)
    encoded = encode_extra(wire, request.extra)
    for name in (ALT, "query"):
        encoded.pop(name, None)
    return encoded


def wants_array(request: Request) -> bool:
    """Whether a stream is to be an array of chunks, as its client gets it without ``alt=sse``."""
    return ALT in own_extra(request.extra)


def readdress(wire: WireRequest, request: Request, model: str) -> WireRequest | None:
    """The same request for another model: the name stands in the path alone. The query is put together anew."""
    if model != request.model and _MODEL_KEY.search(wire.body):
        return None  # the body may name the model too
    try:
        return replace(wire, path=encode_path(model, _method(request)), query=_encode_query(request))
    except EncodeError:
        return None


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_path(path: str) -> tuple[str, bool]:
    for route in (STREAM_ROUTE, UNARY_ROUTE):
        found = route.match(path)
        if found is not None:
            return found["model"], route is STREAM_ROUTE
    raise DecodeError("there is no such path", code="not_found", kind=ErrorKind.NOT_FOUND)


def _decode_query(wire: WireRequest, stream: bool) -> Mapping[str, Any]:
    """The extra fields that the query amounts to. Without ``alt=sse`` a stream is an array of chunks."""
    query = {name: value for name, value in wire.query.items() if name not in _UNKEPT_QUERY}
    for name in _REFUSED_QUERY:
        if name in query:
            raise DecodeError(f"{name} is not supported: send the request without it", name, "unsupported_parameter")
    alt = query.pop(ALT, query.pop(f"${ALT}", _ARRAY))
    if alt not in (_ARRAY, _SSE):
        raise DecodeError(f"{ALT} must be one of {_ARRAY}, {_SSE}", ALT, "invalid_value")
    form = {ALT: None} if stream and alt == _ARRAY else {}
    return form | ({"query": query} if query else {})


def answer_type(request: Request) -> str:
    """The content type of the stream that answers this request: events with ``alt=sse``, else one growing array."""
    return "application/json" if wants_array(request) else "text/event-stream"


def _check_model(body: WireFields, model: str) -> None:
    """The path has the model's name; one in the body can only say the same."""
    named = body.string("model")
    if named is not None and named.removeprefix("models/") != model:
        raise body.error("model", "must be the model in the path")


# --- encoding ---------------------------------------------------------------------------------------------------


def encode_path(model: str, method: str) -> str:
    """The path of one of the model's methods."""
    if not model:
        raise EncodeError("the model has no name", "model", "invalid_model", ErrorKind.NOT_FOUND)
    return f"/models/{quote(model, safe='', errors='replace')}:{method}"


def _method(request: Request) -> str:
    return "streamGenerateContent" if request.stream else "generateContent"


def _encode_query(request: Request) -> dict[str, str]:
    """``alt=sse`` for every stream but one whose client wants an array: its bytes may go through as they come."""
    query = dict(own_extra(request.extra).get("query") or {})
    if request.stream and not wants_array(request):
        query[ALT] = _SSE
    return query


def _report_unsaid(request: Request, losses: list[Loss]) -> None:
    unsaid: list[tuple[str, object]] = [(name, getattr(request, name)) for name in _NO_FIELD]
    if request.conversation is not None:
        conversation = request.conversation
        unsaid += [
            (f"conversation.{field.name}", getattr(conversation, field.name)) for field in fields_of(conversation)
        ]
    losses += [
        Loss(path, LossReason.UNSUPPORTED, _NO_FIELD.get(path, "the server keeps no history"))
        for path, value in unsaid
        if value is not None and value != SAYS_NOTHING.get(path)
    ]


_NO_FIELD = {
    "parallel_tool_calls": "several calls at once cannot be forbidden",
    "user": "there is no such field",
    "metadata": "there is no such field",
    "variables": "there are no instructions with slots to fill",
}
