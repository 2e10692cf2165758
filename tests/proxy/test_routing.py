"""A name leads to one target, and a name that leads nowhere is a clean 404."""

import time

import pytest

from adapters.model.error import ApiError, ErrorKind, Fault
from proxy.errors import RequestFailed
from proxy.routing import Route, find_route
from proxy.settings import Settings, parse_settings

SETTINGS = parse_settings(
    """\
providers:
  up: {dialect: d, base_url: "https://x"}
models:
  small: up/gpt-small
  deep: up/vendor/name:0
  demo/echo: up/shadow
presets:
  support: {model: small}
  direct: {model: demo/slow}
  small-twin: {model: up/twin}
"""
)
WITH_DEFAULT = parse_settings("models: {small: demo/echo}\npresets: {p: {model: small}}\ndefault_model: p")

ROUTES = {
    "configured model": ("small", Route("up", "gpt-small")),
    "model name with slashes": ("deep", Route("up", "vendor/name:0")),
    "a configured name hides a target": ("demo/echo", Route("up", "shadow")),
    "target": ("up/anything", Route("up", "anything")),
    "target with slashes": ("up/a/b", Route("up", "a/b")),
    "demo": ("demo/slow", Route("demo", "slow")),
    "preset": ("support", Route("up", "gpt-small", SETTINGS.presets["support"])),
    "preset of the demo": ("direct", Route("demo", "slow", SETTINGS.presets["direct"])),
    "preset of a target": ("small-twin", Route("up", "twin", SETTINGS.presets["small-twin"])),
}


@pytest.mark.parametrize(("name", "route"), ROUTES.values(), ids=ROUTES.keys())
def test_a_name_leads_to_its_target(name: str, route: Route) -> None:
    assert find_route(SETTINGS, name) == route


def test_the_target_is_spelled_as_in_the_configuration() -> None:
    assert find_route(SETTINGS, "deep").target == "up/vendor/name:0"


NOWHERE = ["", "/", "smal", "up", "up/", "/x", "nowhere/x", "SMALL", " small", "small ", "up /x", "demo", "\x00"]


@pytest.mark.parametrize("name", NOWHERE, ids=repr)
def test_an_unknown_name_is_not_found(name: str) -> None:
    with pytest.raises(RequestFailed) as caught:
        find_route(SETTINGS, name)
    error = caught.value.error
    assert (error.kind, error.fault, error.code, error.http_status) == (
        ErrorKind.NOT_FOUND,
        Fault.CLIENT,
        "model_not_found",
        404,
    )


def test_the_nearest_name_is_proposed() -> None:
    with pytest.raises(RequestFailed) as caught:
        find_route(SETTINGS, "suport")
    assert caught.value.error == ApiError(
        ErrorKind.NOT_FOUND,
        "there is no model or deployment of that name; did you mean 'support'?",
        code="model_not_found",
    )


def test_the_unknown_name_itself_is_not_repeated() -> None:
    with pytest.raises(RequestFailed) as caught:
        find_route(SETTINGS, "canary-name")
    assert "canary" not in caught.value.error.message


def test_nothing_is_configured_and_nothing_is_known() -> None:
    with pytest.raises(RequestFailed) as caught:
        find_route(Settings(), "gpt")
    assert caught.value.error.message == "there is no model or deployment of that name"


def test_the_default_takes_unknown_names_only() -> None:
    preset = WITH_DEFAULT.presets["p"]
    assert find_route(WITH_DEFAULT, "whatever") == Route("demo", "echo", preset)
    assert find_route(WITH_DEFAULT, "") == Route("demo", "echo", preset)
    assert find_route(WITH_DEFAULT, "demo/slow") == Route("demo", "slow")
    assert find_route(WITH_DEFAULT, "small") == Route("demo", "echo")


def test_a_long_unknown_name_costs_little() -> None:
    """reliability.md G14: no single request may take more than 100 ms of CPU; five times that is allowed here."""
    name = "gpt-4" * 4_000_000
    started = time.perf_counter()
    with pytest.raises(RequestFailed):
        find_route(SETTINGS, name)
    assert time.perf_counter() - started < 0.5
