"""The shapes of ``GET models`` and ``GET models/{modelId}`` (section 2). What is not known is left out."""

from collections.abc import Mapping, Sequence

import orjson

from adapters.bedrock_sse.fields import DETAILED_CAPABILITIES, LISTED_CAPABILITIES, MODEL_FEATURES
from adapters.contract import DecodeError, WireRequest, WireResponse
from adapters.model.catalog import ModelInfo
from adapters.model.message import Json


def encode_models(models: Sequence[ModelInfo], wire: WireRequest) -> WireResponse:
    """The listing. The ``feature`` filter takes out the models known to lack it. Raises ``DecodeError`` for others."""
    feature = wire.query.get("feature", "all")
    if feature != "all" and feature not in MODEL_FEATURES:
        allowed = ", ".join([*MODEL_FEATURES, "all"])
        raise DecodeError(f"feature must be one of {allowed}", param="feature", code="invalid_value")
    wanted = MODEL_FEATURES.get(feature)
    listed = [
        _known(id=info.id, provider=info.owner, capabilities=_capabilities(info, LISTED_CAPABILITIES))
        for info in models
        if wanted is None or info.features is None or wanted in info.features
    ]
    return WireResponse(200, orjson.dumps({"models": listed, "count": len(listed)}))


def encode_model(info: ModelInfo) -> WireResponse:
    """One model in detail."""
    return WireResponse(
        200,
        orjson.dumps(
            _known(
                id=info.id,
                provider=info.owner,
                description=info.description,
                contextWindow=info.context_window,
                maxOutputTokens=info.max_output_tokens,
                capabilities=_capabilities(info, DETAILED_CAPABILITIES),
            )
        ),
    )


def _capabilities(info: ModelInfo, table: Mapping[str, str]) -> Json | None:
    features = info.features
    return None if features is None else {name: feature in features for name, feature in table.items()}


def _known(**fields: object) -> Json:
    return {name: value for name, value in fields.items() if value is not None}
