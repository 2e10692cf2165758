"""Presets and names, as clients of every dialect meet them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.contract import WireResponse
from adapters.model.message import Role, plain_text
from adapters.model.plain import from_plain
from adapters.model.request import Request
from adapters.samples import FEATURES
from proxy.registry import dialect_names, load_dialect
from tests.server.calls import Answer, get, post, read_wire, send
from tests.server.stage import UPSTREAMS, Stage, provider_settings, serving, target

INSTRUCTIONS = "Tone {{TONE}}; name {{FIRST_NAME}}; blank [{{NOBODY_GIVES_THIS}}]; {{lower}} {{7*7}} {{ TONE }} {TONE}."

with_ingress = pytest.mark.parametrize("ingress", dialect_names())


@pytest.fixture(scope="module")
def base(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A proxy with a preset and a model name for each upstream, and a default model."""
    with serving(tmp_path_factory.mktemp("presets"), settings_for(stage, default_model="mirror-demo")) as proxy:
        yield proxy.base


def settings_for(stage: Stage, **others: Any) -> dict[str, Any]:
    names = {upstream: target(upstream, "mirror") for upstream in UPSTREAMS}
    prepared = {"instructions": INSTRUCTIONS, "temperature": 0.25, "max_tokens": 4000}
    return {
        "providers": provider_settings(stage.providers, stage.recorder),
        "models": {f"mirror-{upstream}": name for upstream, name in names.items()},
        "presets": {f"preset-{upstream}": {"model": f"mirror-{upstream}", **prepared} for upstream in UPSTREAMS},
        **others,
    }


def run_amarsia(base: str, deployment: str, **others: Any) -> Answer:
    content = [{"type": "text", "text": "Hello"}]
    return post(f"{base}/v1/runner/{deployment}", {"content": content, **others})


def mirrored(text: str) -> Request:
    request = from_plain(orjson.loads(text))
    assert isinstance(request, Request)
    return request


def system_text(request: Request) -> str:
    assert request.messages[0].role is Role.SYSTEM
    return plain_text(request.messages[0].parts)


# --- variables ------------------------------------------------------------------------------------------------------


def fill(base: str, variables: dict[str, Any]) -> str:
    answer = run_amarsia(base, "preset-demo", variables=variables)
    assert answer.status == 200, answer
    return system_text(mirrored(answer.json()["content"]))


def test_variables_fill_their_slots(base: str) -> None:
    """A17: unfilled slots are blank, unknown names are ignored, and only upper-case names are slots."""
    text = fill(base, {"TONE": "friendly", "FIRST_NAME": "Ada", "UNKNOWN": "never", "lower": "never"})
    assert text == "Tone friendly; name Ada; blank []; {{lower}} {{7*7}} {{ TONE }} {TONE}."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (["a", 1], '["a",1]'),
        ({"a": "ä"}, '{"a":"ä"}'),
        ("", ""),
        ("ü😀", "ü😀"),
    ],
)
def test_values_that_are_no_strings_are_filled_in_as_json(base: str, value: Any, shown: str) -> None:
    """A17; white space in the JSON text means nothing."""
    text = fill(base, {"TONE": value})
    found = text.removeprefix("Tone ").partition("; name ;")[0]
    assert found == shown or (not isinstance(value, str) and orjson.loads(found) == value)


@pytest.mark.parametrize(
    "value",
    ["{{7*7}}", "{{FIRST_NAME}}", "{{TONE}}", "{% for x in y %}", "${HOME}", "{0.__class__}", "%(TONE)s", r"\1\g<0>"],
)
def test_values_come_out_literally(base: str, value: str) -> None:
    """T12: what a value brings in is never looked at again."""
    assert fill(base, {"TONE": value, "FIRST_NAME": "Ada"}).startswith(f"Tone {value}; name Ada;")


def test_without_variables_all_slots_are_blank(base: str) -> None:
    answer = run_amarsia(base, "preset-demo")
    assert system_text(mirrored(answer.json()["content"])).startswith("Tone ; name ; blank [];")


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream", UPSTREAMS)
@with_ingress
def test_a_preset_is_addressed_like_a_model(base: str, ingress: str, upstream: str, stream: bool) -> None:
    dialect, name = load_dialect(ingress), f"preset-{upstream}"
    request = Request(name, FEATURES["text"].request.messages, stream=stream)
    answer = send(base, dialect, request)
    assert answer.status == 200, answer
    assert answer.headers["x-dragoman-target"] == target(upstream, "mirror")
    received = read_wire(dialect, WireResponse(200, answer.body, answer.headers), request)
    assert received.model == (None if stream and ingress == "amarsia" else name)  # its streams are text alone
    shown = mirrored(plain_text(received.choices[0].parts))
    said = [plain_text(message.parts) for message in shown.messages]
    assert any("Tone ; name ; blank [];" in text for text in said)
    assert "What is the capital of Australia?" in said[-1]
    if upstream != "amarsia":  # its requests have no place for these: reported in the headers
        own = dialect.decode_request(dialect.encode_request(request).wire).sampling  # some always say a limit
        assert own.temperature is None
        assert shown.sampling.temperature == 0.25
        assert shown.sampling.max_tokens == (own.max_tokens or 4000)
    else:
        assert "sampling.temperature=" in answer.headers["x-dragoman-losses"]


@pytest.mark.parametrize("ingress", ["bedrock_sse", "openai_chat"])
def test_what_the_client_says_goes_before_the_preset(base: str, ingress: str) -> None:
    dialect, sample = load_dialect(ingress), FEATURES["text"].request
    sampling = replace(sample.sampling, temperature=0.0, max_tokens=100)
    request = Request("preset-demo", sample.messages, sampling=sampling)
    answer = send(base, dialect, request)
    received = read_wire(dialect, WireResponse(200, answer.body, answer.headers), request)
    shown = mirrored(plain_text(received.choices[0].parts))
    assert (shown.sampling.temperature, shown.sampling.max_tokens) == (0.0, 100)


@with_ingress
def test_an_unknown_name_gets_the_default_model(base: str, ingress: str) -> None:
    dialect = load_dialect(ingress)
    request = Request("nobody-has-this", FEATURES["text"].request.messages)
    answer = send(base, dialect, request)
    assert answer.status == 200
    assert answer.headers["x-dragoman-target"] == "demo/mirror"
    received = read_wire(dialect, WireResponse(200, answer.body, answer.headers), request)
    assert received.model == "nobody-has-this"


def test_a_preset_can_be_the_default_model(stage: Stage, tmp_path: Path) -> None:
    with serving(tmp_path, settings_for(stage, default_model="preset-demo")) as proxy:
        for name in dialect_names():
            request = Request("nobody-has-this", FEATURES["text"].request.messages)
            assert b"blank []" in send(proxy.base, load_dialect(name), request).body


NOT_FOUND = {"amarsia": "deployment_not_found", "bedrock_sse": "MODEL_NOT_FOUND"}
"""A3, Q4; the others say what OpenAI says (K6)."""


@pytest.mark.parametrize("stream", [False, True])
@with_ingress
def test_without_a_default_an_unknown_name_is_not_found(stage: Stage, ingress: str, stream: bool) -> None:
    dialect = load_dialect(ingress)
    for name in ("nobody-has-this", "nobody/has-this", "demo/nobody-has-this", "demo/"):
        request = Request(name, FEATURES["text"].request.messages, stream=stream)
        answer = send(stage.base, dialect, request)
        assert answer.status == 404, name
        assert NOT_FOUND.get(ingress, "model_not_found").encode() in answer.body


def test_presets_and_models_are_listed(base: str) -> None:
    listed = {model["id"] for model in get(f"{base}/v1/models").json()["data"]}
    assert {f"{kind}-{upstream}" for kind in ("preset", "mirror") for upstream in UPSTREAMS} <= listed
