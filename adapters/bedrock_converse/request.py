"""The body of ``POST /model/{modelId}/converse`` and ``/converse-stream``."""

import re
from typing import Any
from urllib.parse import quote, unquote

import orjson

from adapters.bedrock_converse.exact import with_exact_documents
from adapters.bedrock_converse.extra import keep, kept_in, with_kept
from adapters.bedrock_converse.families import MODEL_FIELDS, family_of, is_prompt
from adapters.bedrock_converse.fields import DECISIVE, NAME, STREAM_TYPE
from adapters.bedrock_converse.losses import once_each
from adapters.bedrock_converse.messages import decode_messages
from adapters.bedrock_converse.pairing import unpaired
from adapters.bedrock_converse.parts import Writing
from adapters.bedrock_converse.settings import (
    decode_metadata,
    decode_output,
    decode_sampling,
    decode_variables,
    encode_max_tokens,
    encode_metadata,
    encode_output,
    encode_sampling,
)
from adapters.bedrock_converse.thinking import decode_reasoning_options, encode_reasoning_options
from adapters.bedrock_converse.tools import decode_claude_choice, decode_tools, encode_tools
from adapters.bedrock_converse.turns import encode_messages, too_many_marks
from adapters.contract import DecodeError, Encoded, EncodeError, WireRequest
from adapters.model.loss import LossReason, foreign_losses
from adapters.model.message import Json, Opaque
from adapters.model.request import Request, Tool, ToolChoice
from adapters.wire.body import read_object
from adapters.wire.fields import Fields

_PATH = re.compile(r"/model/(.+)/(converse|converse-stream)")
_HEADERS = {"content-type": "application/json", "accept": "application/json"}
_STREAM_HEADERS = {"content-type": "application/json", "accept": STREAM_TYPE}
# Where the matched stop text stands in what Claude itself answers: in a stream, in its last event but one (FIN-15).
_STOP_SEQUENCE, _STREAMED_STOP_SEQUENCE = "/stop_sequence", "/delta/stop_sequence"


def decode_request(wire: WireRequest) -> Request:
    """The request in the body; the path names the model, and says whether the answer is to be a stream."""
    model, stream = _decode_path(wire.path)
    body = Fields(with_exact_documents(read_object(wire.body, once=DECISIVE), wire.body))
    messages = decode_messages(body, prompted=is_prompt(model) or body.has("promptVariables"))
    model_fields = Fields(body.object(MODEL_FIELDS) or {}, MODEL_FIELDS)
    output_config, inference = body.fields("outputConfig"), body.fields("inferenceConfig")
    tools, choice, parallel, beside_tools = _decode_tools(body, model_fields)
    sampling = decode_sampling(inference, model_fields)
    reasoning = decode_reasoning_options(output_config, model_fields)
    output, beside_format = decode_output(output_config)
    metadata = decode_metadata(body.object("requestMetadata"), "requestMetadata")
    variables, beside_variables = decode_variables(body.object("promptVariables"), "promptVariables")
    beside_output = {} if output_config is None else kept_in(keep(output_config.rest(), textFormat=beside_format))
    return Request(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        sampling=sampling,
        output=output,
        reasoning=reasoning,
        stream=stream,
        metadata=metadata,
        variables=variables,
        extra=keep(
            body.rest(),
            inferenceConfig={} if inference is None else inference.rest(),
            toolConfig=beside_tools,
            outputConfig=beside_output,
            promptVariables=beside_variables,
            additionalModelRequestFields=model_fields.rest(),
        ),
    )


def _decode_path(path: str) -> tuple[str, bool]:
    """The model, decoded once (MOD-03), and whether a stream is wanted."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise DecodeError("the path must be /model/{modelId}/converse or /model/{modelId}/converse-stream", "modelId")
    model = unquote(found[1])
    if not model.isprintable() or "\ufffd" in model:
        raise DecodeError("modelId must be a model's id or ARN", param="modelId", code="invalid_value")
    return model, found[2] == "converse-stream"


def _decode_tools(
    body: Fields, model_fields: Fields
) -> tuple[tuple[Tool | Opaque, ...], ToolChoice | None, bool | None, Json]:
    config = body.fields("toolConfig")
    if config is None:
        return (), None, None, {}
    tools, choice, beside = decode_tools(config)
    if choice is not None:
        return tools, choice, None, beside
    choice, parallel = decode_claude_choice(model_fields)
    return tools, choice, parallel, beside


def encode_request(request: Request) -> Encoded[WireRequest]:
    """The request on the wire. Raises ``EncodeError`` if it names no model: the path does."""
    if not request.model:
        raise EncodeError("a model must be named", "model", "missing_required_field")
    lonely = unpaired(request.messages, prompted=is_prompt(request.model))
    writing = Writing(family_of(request.model), foreign_losses(request, NAME), too_many_marks(request), lonely)
    kept = dict(kept_in(request.extra))
    system, messages = encode_messages(request, writing)
    max_tokens = encode_max_tokens(request, writing)
    thinking = encode_reasoning_options(request.reasoning, request.sampling, max_tokens, writing)
    inference, sampling_fields = encode_sampling(request.sampling, writing, thinks=thinking.thinks)
    tool_config, claude_choice = encode_tools(request, writing, thinks=thinking.thinks)
    if tool_config is None and kept.pop("toolConfig", None) is not None:
        writing.lose(f"extra.{NAME}.toolConfig", LossReason.UNSUPPORTED, "no tools are sent")
    output = encode_output(request.output, writing)
    _lose_the_rest(request, writing)
    written: Json = {
        "messages": messages,
        "system": system,
        "inferenceConfig": {**({} if max_tokens is None else {"maxTokens": max_tokens}), **inference},
        "toolConfig": tool_config,
        "outputConfig": {**output, **({} if thinking.effort is None else {"effort": thinking.effort})},
        MODEL_FIELDS: {
            **sampling_fields,
            **thinking.model_fields,
            **({} if claude_choice is None else {"tool_choice": claude_choice}),
        },
        **encode_metadata(request, writing),
        **_asking_for_stop_sequence(request, writing, kept),
    }
    body = with_kept({name: value for name, value in written.items() if value}, kept)
    path = f"/model/{quote(request.model, safe='')}/{'converse-stream' if request.stream else 'converse'}"
    headers = _STREAM_HEADERS if request.stream else _HEADERS
    return Encoded(WireRequest("POST", path, orjson.dumps(body), headers), once_each(writing.losses))


def _asking_for_stop_sequence(request: Request, writing: Writing, kept: Json) -> Json:
    """Claude tells which of several texts stopped it, if it is asked (FIN-15)."""
    name = "additionalModelResponseFieldPaths"
    if not (writing.family.claude and request.sampling.stop_sequences) or kept.get(name) is not None:
        return {}
    return {name: [_STREAMED_STOP_SEQUENCE if request.stream else _STOP_SEQUENCE]}


def _lose_the_rest(request: Request, writing: Writing) -> None:
    """Reports each thing said in fields that have no counterpart here."""
    unsaid: list[tuple[str, Any]] = [
        ("choice_count", None if request.choice_count == 1 else request.choice_count),
        ("user", request.user),
    ]
    if request.conversation is not None:
        unsaid += [
            (f"conversation.{name}", getattr(request.conversation, name))
            for name in ("id", "previous_response_id", "store")
        ]
    for path, value in unsaid:
        if value is not None:
            writing.lose(path, LossReason.UNSUPPORTED, "there is no such field")


def readdress(wire: WireRequest, request: Request, model: str) -> WireRequest | None:
    """The same request for ``model``, which stands in the path alone; the body stays as it is."""
    operation = wire.path.rpartition("/")[2]
    path = f"/model/{quote(model, safe='')}/{operation}"
    return WireRequest(wire.method, path, wire.body, wire.headers, wire.query)
