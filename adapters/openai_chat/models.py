"""The list of models, as ``GET /models`` shows it."""

from collections.abc import Sequence

import orjson

from adapters.contract import ModelListing, WireRequest, WireResponse
from adapters.model.catalog import ModelInfo
from adapters.model.message import Json


def encode_list(models: Sequence[ModelInfo], wire: WireRequest) -> WireResponse:
    """All models; there are no filters and no pages."""
    return _answer({"object": "list", "data": [_encode_model(model) for model in models]})


def encode_one(model: ModelInfo) -> WireResponse:
    """One model."""
    return _answer(_encode_model(model))


def _encode_model(model: ModelInfo) -> Json:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owner}


def _answer(body: Json) -> WireResponse:
    return WireResponse(200, orjson.dumps(body))


listing = ModelListing(encode_list, encode_one)
