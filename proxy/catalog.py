"""Which models there are to ask for."""

from dataclasses import replace

from adapters.contract import DecodeError, Operation, WireRequest, WireResponse
from adapters.model.catalog import ModelInfo
from adapters.model.error import ApiError, ErrorKind
from proxy import demo
from proxy.errors import RequestFailed, refused_by_client_codec
from proxy.exchange import Call, Services
from proxy.settings import DEMO_PROVIDER, did_you_mean


def list_models(services: Services) -> list[ModelInfo]:
    """Configured models, presets and the demo's models, in that order; those of disabled providers are left out."""
    settings = services.settings
    targets = dict(settings.models)
    targets |= {name: settings.models.get(preset.model, preset.model) for name, preset in settings.presets.items()}
    listed = [
        ModelInfo(name, owner)
        for name, target in targets.items()
        if "*" not in name and (owner := target.partition("/")[0]) not in services.disabled
    ]
    return listed + [replace(model, id=f"{DEMO_PROVIDER}/{model.id}", owner=DEMO_PROVIDER) for model in demo.MODELS]


async def answer_list(call: Call, wire: WireRequest) -> WireResponse:
    """Answers a request for the list of models. Raises ``RequestFailed`` for a bad filter."""
    assert call.dialect.models is not None  # the route exists only where the dialect lists models
    try:
        return call.dialect.models.encode_list(list_models(call.services), wire)
    except DecodeError as error:
        raise RequestFailed(refused_by_client_codec(error)) from None


async def answer_one(call: Call, wire: WireRequest) -> WireResponse:
    """Answers a request for one model. Raises ``RequestFailed`` (not found)."""
    assert call.dialect.models is not None  # as above
    name = _named_model(call, wire)
    models = {model.id: model for model in list_models(call.services)}
    if name not in models:
        message = f"there is no model of that name{did_you_mean(name, list(models))}"
        raise RequestFailed(ApiError(ErrorKind.NOT_FOUND, message, code="model_not_found"))
    return call.dialect.models.encode_one(models[name])


def _named_model(call: Call, wire: WireRequest) -> str:
    """The model in the path: the one placeholder of the dialect's route for it."""
    routes = [route for route in call.dialect.routes if route.operation is Operation.GET_MODEL]
    values = next(values for route in routes if (values := route.match(wire.path)) is not None)
    return next(iter(values.values()))
