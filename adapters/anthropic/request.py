"""The body of ``POST /messages``."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from adapters.anthropic.calls import keep_digits
from adapters.anthropic.extras import keep, own, unread, with_kept
from adapters.anthropic.fields import (
    DECISIVE,
    DEFAULT_VERSION,
    MESSAGES,
    NAME,
    REQUEST_HEADERS,
    VERSION_HEADER,
)
from adapters.anthropic.messages import decode_messages, encode_messages
from adapters.anthropic.notes import Notes, model_facts
from adapters.anthropic.reasoning import EFFORT_ALONE, decode_reasoning, encode_reasoning
from adapters.anthropic.settings import (
    decode_output,
    decode_sampling,
    decode_user,
    encode_max_tokens,
    encode_output,
    encode_sampling,
    lose_unsupported,
)
from adapters.anthropic.tools import decode_tool_choice, decode_tools, encode_tool_choice, encode_tools
from adapters.contract import JSON_HEADERS, Encoded, WireRequest
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Json
from adapters.model.request import Request, Sampling
from adapters.wire.body import read_object, replace_string
from adapters.wire.fields import Fields

_HEADERS = "headers"
"""Among the kept fields: the client's headers, which are none of the body's."""
_NOT_IN_BODY = (_HEADERS, EFFORT_ALONE)
_ONLY_BESIDE = ("thinking", "tool_choice")
"""Kept fields of objects that mean nothing without what the model has a place for."""


def decode_request(wire: WireRequest) -> Request:
    """The request. Its ``anthropic-version`` and ``anthropic-beta`` are kept, unless the version is the usual one."""
    body = _read(wire)
    sampling = decode_sampling(body)
    return _decode(wire, body, sampling, whole=True)


def decode_uncounted(wire: WireRequest) -> Request:
    """The request of which the tokens are to be counted: nothing is generated, so it may break off anywhere."""
    return _decode(wire, _read(wire), Sampling(), whole=False)


def _read(wire: WireRequest) -> Fields:
    values = read_object(wire.body, once=DECISIVE)
    keep_digits(wire.body, values, "messages", "content")
    body = Fields(values)
    for name in _NOT_IN_BODY:
        if body.has(name):  # it would be taken for what we keep under this name
            raise body.error(name, "is not a field of this API", code="unknown_field")
    return body


def _decode(wire: WireRequest, body: Fields, sampling: Sampling, *, whole: bool) -> Request:
    model = body.need_string("model")
    messages = decode_messages(body, whole=whole)
    tools = decode_tools(body)
    tool_choice, parallel, beside_choice = decode_tool_choice(body)
    config = body.fields("output_config")
    output, beside_format = decode_output(config)
    reasoning, kept = decode_reasoning(body, config)
    user, beside_user = decode_user(body)
    stream = body.boolean("stream") or False
    beside_config = {} if config is None else unread(config, format=beside_format)
    kept = with_kept(kept, {"output_config": beside_config} if beside_config else {})
    kept = with_kept(kept, unread(body, tool_choice=beside_choice, metadata=beside_user, headers=_decode_headers(wire)))
    return Request(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        sampling=sampling,
        output=output,
        reasoning=reasoning,
        stream=stream,
        include_usage=True if stream else None,  # every stream of this API tells the counts
        user=user,
        extra=keep(kept),
    )


def _decode_headers(wire: WireRequest) -> Json:
    headers: Json = {}
    for name in REQUEST_HEADERS:
        value = wire.headers.get(name, "")
        usual = name == VERSION_HEADER and value == DEFAULT_VERSION
        if value and value.isascii() and value.isprintable() and not usual:
            headers[name] = value
    return headers


def encode_request(request: Request) -> Encoded[WireRequest]:
    """The request on the wire. Raises ``EncodeError`` for a history that the API refuses however it is told."""
    written, losses = encode_body(request, whole=True)
    return Encoded(WireRequest("POST", MESSAGES, orjson.dumps(written), request_headers(request)), losses)


def request_headers(request: Request) -> dict[str, str]:
    """The headers that every request carries, and those of the client's that are kept."""
    kept = own(request.extra).get(_HEADERS, {})
    return {**JSON_HEADERS, VERSION_HEADER: DEFAULT_VERSION} | {
        name: kept[name] for name in REQUEST_HEADERS if name in kept
    }


def encode_body(request: Request, *, whole: bool) -> tuple[Json, tuple[Loss, ...]]:
    """The body, and what is lost in it. ``whole``: the model is to go on from here."""
    notes = Notes(model_facts(request.model), foreign_losses(request, NAME))
    max_tokens = encode_max_tokens(request, notes)
    tools = encode_tools(request, notes)
    system, messages = encode_messages(request.messages, notes, whole=whole)
    reasoning = encode_reasoning(request, max_tokens, notes)
    config = {"effort": reasoning.effort, "format": encode_output(request.output, notes)}
    written: Json = {
        "model": request.model,
        "max_tokens": max_tokens,
        "system": system,
        "messages": messages,
        "tools": tools or None,
        "tool_choice": encode_tool_choice(request, tools, reasoning.asked_for, notes),
        "thinking": reasoning.thinking,
        "output_config": {name: value for name, value in config.items() if value is not None} or None,
        **encode_sampling(request.sampling, reasoning.asked_for, notes),
        "metadata": None if request.user is None else {"user_id": request.user},
        "stream": True if request.stream else None,
    }
    lose_unsupported(request, notes)
    kept = own(request.extra)
    notes.unmark(_blocks(written), reserved=int("cache_control" in kept))
    written = {name: value for name, value in written.items() if value is not None}
    kept = {name: value for name, value in kept.items() if name not in _NOT_IN_BODY}
    for name in _ONLY_BESIDE:
        if name in kept and name not in written:
            del kept[name]
            notes.lose(f"extra.{NAME}.{name}", LossReason.UNSUPPORTED, f"there is no {name} to go with it")
    return with_kept(written, kept), notes.losses


def _blocks(written: Json) -> Iterator[Json]:
    """Everything in a body that may hold a cache mark."""
    yield from written["tools"] or ()
    for content in (written["system"], *(turn["content"] for turn in written["messages"])):
        yield from _blocks_in(content)


def _blocks_in(content: Any) -> Iterator[Json]:
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            yield block
            yield from _blocks_in(block.get("content"))


def readdress(wire: WireRequest, request: Request, model: str) -> WireRequest | None:
    """The same request for ``model``, every other byte untouched; ``None`` if the place cannot be told for certain."""
    body = replace_string(wire.body, "model", request.model, model)
    if body is None:
        return None
    return replace(wire, body=body, headers={VERSION_HEADER: DEFAULT_VERSION, **wire.headers})
