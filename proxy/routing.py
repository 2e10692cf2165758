"""From the name a client asks for to the target that serves it. Pure."""

from dataclasses import dataclass

from adapters.model.error import ApiError, ErrorKind
from proxy.errors import RequestFailed
from proxy.settings import DEMO_PROVIDER, Preset, Settings, did_you_mean


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: ``model`` is the provider's own name for it."""

    provider: str
    model: str
    preset: Preset | None = None

    @property
    def target(self) -> str:
        """``provider/model``, as configuration and the ``x-dragoman-target`` header spell it."""
        return f"{self.provider}/{self.model}"


def find_route(settings: Settings, name: str) -> Route:
    """The route for ``name``: a preset, a configured model, ``provider/model``, or the default model.

    Raises ``RequestFailed`` (not found, code ``model_not_found``).
    """
    route = _known_route(settings, name)
    if route is None and settings.default_model is not None:
        route = _known_route(settings, settings.default_model)
    if route is None:
        hint = did_you_mean(name, [*settings.presets, *settings.models])
        message = f"there is no model or deployment of that name{hint}"
        raise RequestFailed(ApiError(ErrorKind.NOT_FOUND, message, code="model_not_found"))
    return route


def _known_route(settings: Settings, name: str) -> Route | None:
    preset = settings.presets.get(name)
    if preset is not None:
        name = preset.model
    provider, slash, model = _configured_target(settings, name).partition("/")
    if slash and model and (provider == DEMO_PROVIDER or provider in settings.providers):
        return Route(provider, model, preset)
    return None


def _configured_target(settings: Settings, name: str) -> str:
    """What ``models`` says of this name: its own entry, else the first whose ``*`` fits, else the name itself."""
    if name in settings.models:
        return settings.models[name]
    for pattern, target in settings.models.items():
        start, star, end = pattern.partition("*")
        if star and len(name) >= len(start) + len(end) and name.startswith(start) and name.endswith(end):
            return target.replace("*", name[len(start) : len(name) - len(end)])
    return name
