"""Embeddings: ``:embedContent`` for one content, ``:batchEmbedContents`` for several."""

from dataclasses import dataclass
from typing import Any

import orjson

from adapters.contract import JSON_HEADERS, Encoded, Route, WireRequest, WireResponse
from adapters.gemini.extras import decode_extra, encode_extra
from adapters.gemini.parts import data_of, decode_part, encode_part
from adapters.gemini.request import encode_path
from adapters.gemini.spelling import WireFields
from adapters.model.error import DecodeError, ErrorKind
from adapters.model.loss import Loss
from adapters.model.message import Extra, Json, Media, Part, Text
from adapters.wire.body import read_object
from adapters.wire.fields import Fields, wrong_type

ONE_ROUTE = Route("POST", "/models/{model:path}:embedContent")
BATCH_ROUTE = Route("POST", "/models/{model:path}:batchEmbedContents")
_MOST = 100


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """One thing to embed, of text and media. ``task`` is the API's word for the purpose (``RETRIEVAL_QUERY``)."""

    parts: tuple[Part, ...]
    task: str | None = None
    title: str | None = None
    dimensions: int | None = None
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """What to embed. ``batch``: it was asked as a list, and the answer is one even for a single input."""

    model: str
    inputs: tuple[EmbeddingInput, ...]
    batch: bool = True


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector for each input, in their order."""

    vectors: tuple[tuple[float, ...], ...]
    input_tokens: int | None = None


def decode_embedding_request(wire: WireRequest) -> EmbeddingRequest:
    """What is to be embedded. Raises ``DecodeError`` naming the field at fault."""
    one, batch = ONE_ROUTE.match(wire.path), BATCH_ROUTE.match(wire.path)
    body = WireFields(read_object(wire.body, once=("content", "requests", "model")))
    if one is not None:
        return EmbeddingRequest(one["model"], (_decode_input(body, one["model"]),), batch=False)
    if batch is None:
        raise DecodeError("there is no such path", code="not_found", kind=ErrorKind.NOT_FOUND)
    values = body.repeated("requests")
    if not values:
        raise body.error("requests", "must not be empty", code="missing_required_field")
    if len(values) > _MOST:
        raise body.error("requests", f"must have at most {_MOST} entries")
    inputs = tuple(_decode_input(WireFields(value, path), batch["model"]) for path, value in values)
    return EmbeddingRequest(batch["model"], inputs)


def decode_embeddings(wire: WireResponse) -> Embeddings:
    """The vectors in an answer of either kind."""
    fields = Fields(read_object(wire.body))
    usage = fields.fields("usageMetadata")
    tokens = None if usage is None else usage.integer("promptTokenCount", 0)
    if fields.has("embedding"):
        return Embeddings((_decode_vector(fields.need_fields("embedding")),), tokens)
    path = fields.path_of("embeddings")
    values = fields.need_array("embeddings")
    vectors = tuple(_decode_vector(Fields(value, f"{path}[{index}]")) for index, value in enumerate(values))
    return Embeddings(vectors, tokens)


def encode_embedding_request(request: EmbeddingRequest) -> Encoded[WireRequest]:
    """The request for an upstream; the paths of losses begin at its ``inputs``."""
    losses: list[Loss] = []
    inputs = [_encode_input(item, request.model, f"inputs[{i}]", losses) for i, item in enumerate(request.inputs)]
    if request.batch or len(inputs) != 1:
        path, body = encode_path(request.model, "batchEmbedContents"), {"requests": inputs}
    else:
        path, body = encode_path(request.model, "embedContent"), inputs[0]
    return Encoded(WireRequest("POST", path, orjson.dumps(body), JSON_HEADERS), tuple(losses))


def encode_embeddings(embeddings: Embeddings, request: EmbeddingRequest) -> WireResponse:
    """The answer to ``request``."""
    vectors = [{"values": list(vector)} for vector in embeddings.vectors]
    body: Json = {"embeddings": vectors} if request.batch else {"embedding": vectors[0]}
    if embeddings.input_tokens is not None:
        body["usageMetadata"] = {"promptTokenCount": embeddings.input_tokens}
    return WireResponse(200, orjson.dumps(body))


# --- details ----------------------------------------------------------------------------------------------------


def _decode_input(fields: WireFields, model: str) -> EmbeddingInput:
    named = fields.string("model")
    if named is not None and named.removeprefix("models/") != model:
        raise fields.error("model", "must be the model in the path")
    content = fields.wire_fields("content")
    if content is None:
        raise fields.error("content", "is required", code="missing_required_field")
    content.string("role")
    values = content.repeated("parts")
    if not values:
        raise content.error("parts", "must not be empty", code="missing_required_field")
    return EmbeddingInput(
        tuple(_decode_embedded(path, value) for path, value in values),
        fields.string("taskType"),
        fields.string("title"),
        fields.integer("outputDimensionality", 1),
        decode_extra(fields),
    )


def _decode_embedded(path: str, value: Any) -> Part:
    part = WireFields(value, path)
    decoded = decode_part(part, data_of(part), value)
    if not isinstance(decoded, Text | Media):
        raise DecodeError(f"{path} must hold text or media", path, "invalid_value")
    return decoded


def _decode_vector(fields: Fields) -> tuple[float, ...]:
    path = fields.path_of("values")
    values = fields.need_array("values")
    for index, value in enumerate(values):
        if type(value) is not float and type(value) is not int:
            raise wrong_type(f"{path}[{index}]", "a number", value)
    return tuple(values)


def _encode_input(item: EmbeddingInput, model: str, path: str, losses: list[Loss]) -> Json:
    parts = [encode_part(part, f"{path}.parts[{index}]", losses) for index, part in enumerate(item.parts)]
    wire: Json = {"model": f"models/{model}", "content": {"parts": [part for part in parts if part is not None]}}
    said = {"taskType": item.task, "title": item.title, "outputDimensionality": item.dimensions}
    return encode_extra(wire | {name: value for name, value in said.items() if value is not None}, item.extra)
