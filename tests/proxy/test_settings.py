"""Every way a configuration can be wrong is told with its line, its key and what to do; nothing else escapes."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.settings import (
    Preset,
    Provider,
    Server,
    Settings,
    SettingsError,
    Timeouts,
    did_you_mean,
    load_settings,
    parse_settings,
)

WHOLE = """\
providers:
  up: {dialect: openai_chat, base_url: "https://api.example.com/v1", credential: "env:KEY"}
  slow:
    dialect: amarsia
    base_url: env:PLACE
    timeouts: {connect: 1, between_events: 2.5, total: 30}
models:
  small: up/gpt-small
  nested: up/vendor/name:0
presets:
  support: {model: small, instructions: "Be {{TONE}}.", temperature: 0, max_tokens: 5}
default_model: support
server: {host: localhost, port: 0, max_body_bytes: 1024}
"""


def test_every_key_arrives() -> None:
    assert parse_settings(WHOLE) == Settings(
        providers={
            "up": Provider(dialect="openai_chat", base_url="https://api.example.com/v1", credential="env:KEY"),
            "slow": Provider(
                dialect="amarsia",
                base_url="env:PLACE",
                timeouts=Timeouts(connect=1.0, between_events=2.5, total=30.0),
            ),
        },
        models={"small": "up/gpt-small", "nested": "up/vendor/name:0"},
        presets={"support": Preset(model="small", instructions="Be {{TONE}}.", temperature=0, max_tokens=5)},
        default_model="support",
        server=Server(host="localhost", port=0, max_body_bytes=1024),
    )


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}", "models:\npresets:\n"], ids=repr)
def test_an_empty_file_means_the_defaults(text: str) -> None:
    settings = parse_settings(text)
    assert settings == Settings()
    assert settings.server.host == "127.0.0.1"
    assert settings.server.max_body_bytes == 25 * 1024 * 1024


UP = "providers:\n  up: {dialect: d, base_url: 'https://x'}\n"

# id -> (text, line, the words of the message after the line)
MISTAKES: dict[str, tuple[str, int, str]] = {
    "misspelt top key": ("providres: {}", 1, "providres is not a known key; did you mean 'providers'?"),
    "unknown top key": (
        "\n\nzzz: 1",
        3,
        "zzz is not a known key; "
        "known are default_model, detect_providers, media, models, presets, profiles, providers, server",
    ),
    "misspelt provider key": (
        "providers:\n  up:\n    dialect: d\n    base_url: 'https://x'\n    credental: 'env:X'",
        5,
        "providers.up.credental is not a known key; did you mean 'credential'?",
    ),
    "misspelt timeout": (
        "providers:\n  up:\n    dialect: d\n    base_url: 'https://x'\n    timeouts:\n      conect: 1",
        6,
        "providers.up.timeouts.conect is not a known key; did you mean 'connect'?",
    ),
    "misspelt limit": (
        "server:\n  max_body_byte: 1024",
        2,
        "server.max_body_byte is not a known key; did you mean 'max_body_bytes'?",
    ),
    "key given twice": ("models: {}\nserver: {}\nmodels: {}", 3, "models is given twice"),
    "inner key given twice": ("models:\n  a: demo/echo\n  a: demo/slow", 3, "models.a is given twice"),
    "not a mapping": ("- a", 1, "the file must be a mapping"),
    "provider not a mapping": ("providers:\n  up: 3", 2, "providers.up must be a mapping"),
    "models not a mapping": ("\nmodels: [a]", 2, "models must be a mapping"),
    "server empty": ("server:", 1, "server must be a mapping"),
    "dialect missing": ("providers:\n\n  up: {base_url: 'https://x'}", 3, "providers.up lacks dialect"),
    "both missing": ("providers:\n  up: {}", 2, "providers.up lacks dialect, base_url"),
    "model of a preset missing": ("presets:\n  p: {temperature: 1}", 2, "presets.p lacks model"),
    "port too large": ("server:\n  port: 65536", 2, "server.port is not valid: expected `int` <= 65535"),
    "port is text": ("server:\n  port: abc", 2, "server.port is not valid: expected `int`, got `str`"),
    "port is a boolean": ("server: {port: true}", 1, "server.port is not valid: expected `int`, got `bool`"),
    "body limit too small": (
        "server:\n  max_body_bytes: 10",
        2,
        "server.max_body_bytes is not valid: expected `int` >= 1024",
    ),
    "empty host": ("server:\n  host: ''", 2, "server.host is not valid: expected `str` of length >= 1"),
    "timeout of zero": (
        UP.replace("'}", "', timeouts: {total: 0}}"),
        2,
        "providers.up.timeouts.total is not valid: expected `float` > 0.0",
    ),
    "timeout that is no number": (
        UP.replace("'}", "', timeouts: {total: .nan}}"),
        2,
        "providers.up.timeouts.total is not valid: expected `float` > 0.0",
    ),
    "temperature out of range": (
        "presets:\n  p:\n    model: demo/echo\n    temperature: 2.1",
        4,
        "presets.p.temperature is not valid: expected `float` <= 2.0",
    ),
    "max_tokens of zero": (
        "presets:\n  p:\n    model: demo/echo\n    max_tokens: 0",
        4,
        "presets.p.max_tokens is not valid: expected `int` >= 1",
    ),
    "model is a number": ("models:\n  a: 1", 2, "models.a is not valid: expected `str`, got `int`"),
    "the demo's name taken": (
        UP.replace("up:", "demo:"),
        2,
        "providers.demo is the name of the built-in provider; choose another",
    ),
    "literal key": (
        "providers:\n  up:\n    dialect: d\n    base_url: 'https://x'\n    credential: sk-canary",
        5,
        "providers.up.credential must be env:NAME or file:PATH; a key does not belong into the file",
    ),
    "address of another scheme": (
        "providers:\n  up:\n    dialect: d\n    base_url: 'ftp://x'",
        4,
        "providers.up.base_url must be an https:// or http:// address, or env:NAME",
    ),
    "model of an unknown provider": (
        UP + "models:\n  a: upp/x",
        4,
        "models.a must be provider/model; did you mean 'up'?",
    ),
    "model without a provider": (UP + "models:\n  a: gpt", 4, "models.a must be provider/model; known are demo, up"),
    "model without a name": (UP + "models:\n  a: up/", 4, "models.a must be provider/model; did you mean 'up'?"),
    "models do not chain": (
        "models:\n  a: demo/echo\n  b: a",
        3,
        "models.b must be provider/model; known are demo",
    ),
    "preset of an unknown model": (
        "models: {small: demo/echo}\npresets:\n  p:\n    model: smal",
        4,
        "presets.p.model names neither a model nor provider/model; did you mean 'small'?",
    ),
    "presets do not chain": (
        "presets:\n  p: {model: demo/echo}\n  q: {model: p}",
        3,
        "presets.q.model names neither a model nor provider/model; known are demo",
    ),
    "default of an unknown model": (
        "\ndefault_model: nowhere",
        2,
        "default_model names neither a model nor provider/model; known are demo",
    ),
}


@pytest.mark.parametrize(("text", "line", "problem"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_line_and_key(text: str, line: int, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, "dragoman.yaml")
    assert str(caught.value) == f"dragoman.yaml: line {line}: {problem}"


def test_a_literal_key_is_never_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(MISTAKES["literal key"][0])
    assert "sk-canary" not in str(caught.value)


NOT_YAML = {
    "open bracket": ("models: {}\nserver: [", "line 2: not valid YAML"),
    "tab": ("models:\n\ta: demo/echo", "line 2: not valid YAML"),
    "unknown tag": ("default_model: !python/object:os.system x", "line 1: not valid YAML"),
    "unknown anchor": ("\nmodels: *nowhere", "line 2: not valid YAML"),
    "control character": ("default_model: \x00", "not valid YAML"),
    "lone surrogate": ("default_model: \ud800", "not valid YAML"),
    "two documents": ("models: {}\n---\nmodels: {}", "not valid YAML"),
}


@pytest.mark.parametrize(("text", "problem"), NOT_YAML.values(), ids=NOT_YAML.keys())
def test_what_is_no_yaml_is_told_as_such(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        parse_settings(text)


UNREADABLE_VALUES = {
    "date that is none": "default_model: 2024-13-45",
    "tagged number that is none": "default_model: !!int foo",
    "mapping inside itself": "providers: &p {x: *p}",
    "float that is none": "default_model: !!float foo",
}


@pytest.mark.parametrize("text", UNREADABLE_VALUES.values(), ids=UNREADABLE_VALUES.keys())
def test_a_value_yaml_cannot_make_is_a_settings_error(text: str) -> None:
    with pytest.raises(SettingsError, match="line 1"):
        parse_settings(text)


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates())
KEYS = st.sampled_from(["providers", "models", "presets", "server", "default_model", "up", "dialect", "base_url", "x"])


@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)))
def test_any_values_are_settings_or_a_settings_error(value: object) -> None:
    problem = "config:"
    try:
        parse_settings(yaml.safe_dump(value))
    except SettingsError as error:
        problem = str(error)
    assert problem.startswith("config:")


def test_a_model_name_of_digits_stays_a_name() -> None:
    assert parse_settings("models: {1: demo/echo}").models == {"1": "demo/echo"}


def test_the_default_may_be_a_model_a_preset_or_a_target() -> None:
    for name in ("small", "support", "demo/echo"):
        text = f"models: {{small: demo/echo}}\npresets: {{support: {{model: small}}}}\ndefault_model: {name}"
        assert parse_settings(text).default_model == name


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(tmp_path)


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"default_model: caf\xe9")
    with pytest.raises(SettingsError, match=r"latin\.yaml"):
        load_settings(path)


def test_messages_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("models:\n  a: b", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(caught.value).startswith(f"{path}: line 2: models.a ")


def test_the_shipped_configuration_is_valid() -> None:
    settings = load_settings(Path(__file__).parents[2] / "config" / "dragoman.yaml")
    assert {provider.dialect for provider in settings.providers.values()} == {"openai_chat", "amarsia", "bedrock_sse"}


def test_did_you_mean_prefers_the_nearest_name() -> None:
    assert did_you_mean("gpt-40", ["gpt-4o", "other"]) == "; did you mean 'gpt-4o'?"
    assert did_you_mean("zzz", ["b", "a"]) == "; known are a, b"
    assert did_you_mean("zzz", []) == ""
