"""The list of models, as ``GET /models`` shows it: names begin with ``models/``."""

from collections.abc import Sequence

import orjson

from adapters.contract import ModelListing, WireRequest, WireResponse
from adapters.model.catalog import ModelInfo
from adapters.model.message import Json

_MOST = 1000
"""Largest page: ai.google.dev/api/models#method:-models.list."""

_METHODS = ["generateContent", "streamGenerateContent"]


def encode_list(models: Sequence[ModelInfo], wire: WireRequest) -> WireResponse:
    """A page of the models. The token of the next page is the number of its first model."""
    start = _number(wire.query.get("pageToken"), 0)
    size = min(_number(wire.query.get("pageSize"), _MOST) or _MOST, _MOST)
    body: Json = {"models": [_encode_model(model) for model in models[start : start + size]]}
    if start + size < len(models):
        body["nextPageToken"] = str(start + size)
    return WireResponse(200, orjson.dumps(body))


def encode_one(model: ModelInfo) -> WireResponse:
    """One model."""
    return WireResponse(200, orjson.dumps(_encode_model(model)))


def _encode_model(model: ModelInfo) -> Json:
    known: Json = {
        "name": f"models/{model.id}",
        "displayName": model.id,
        "description": model.description,
        "inputTokenLimit": model.context_window,
        "outputTokenLimit": model.max_output_tokens,
        "supportedGenerationMethods": _METHODS,
    }
    return {name: value for name, value in known.items() if value is not None}


def _number(value: str | None, default: int) -> int:
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 10 else default


listing = ModelListing(encode_list, encode_one)
