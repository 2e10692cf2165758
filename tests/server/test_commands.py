"""The ``dragoman`` command as a user meets it: what starts, what does not and why, and what it prints."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from adapters.contract import Dialect, WireResponse
from adapters.model.error import ErrorKind
from adapters.model.request import Request
from adapters.samples import FEATURES
from proxy.ingress import unknown_path
from proxy.registry import dialect_names, load_dialect
from tests.running import Running, running, write_config
from tests.server.calls import get, overload_status, post, send
from tests.server.stage import DEMO, as_config
from tests.server.test_seed_commands import run_in_shell

MISSING = "DRAGOMAN_TEST_VARIABLE_THAT_NOBODY_SETS"


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """``dragoman`` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def expect_failure(result: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """A message for people, on standard error, with these words in it; exit code 1, no traceback."""
    assert result.returncode == 1, result
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    for word in words:
        assert word in result.stderr, result.stderr


# --- starting -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare() -> Iterator[Running]:
    """``dragoman serve`` without a configuration."""
    with running("serve", "--port", "0") as server:
        yield server


@pytest.fixture(scope="module")
def printed(bare: Running) -> list[str]:
    """The commands it printed after its first line."""
    assert bare.process.stdout is not None
    return [bare.process.stdout.readline().rstrip("\n") for _ in dialect_names()]


def test_without_configuration_the_demo_answers(bare: Running) -> None:
    for name in dialect_names():
        dialect = load_dialect(name)
        request = FEATURES["text"].request
        answer = send(bare.base, dialect, Request("demo/echo", request.messages))
        assert answer.status == 200
        assert b"What is the capital of Australia?" in answer.body


def test_it_listens_on_loopback_only(bare: Running) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", bare.base)


def test_the_printed_commands_work_when_pasted(bare: Running, printed: list[str]) -> None:
    assert len(printed) == len(dialect_names()) >= 3
    for command in printed:
        assert command.startswith(f"curl {bare.base}/")
        answer = run_in_shell(command)
        assert answer.status == 200, (command, answer)
        assert 'You said: "Hello!"' in orjson.dumps(answer.json()).decode().replace('\\"', '"')


def test_the_first_page_shows_the_same_commands(bare: Running, printed: list[str]) -> None:
    answer = get(f"{bare.base}/")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.body.decode().splitlines()
    assert [line for line in lines if line.startswith("curl ")] == printed
    assert [line for line in lines if line.startswith("# ")] == [f"# {name}" for name in dialect_names()]


def test_health(bare: Running) -> None:
    assert get(f"{bare.base}/healthz").json() == {"status": "ok"}
    assert get(f"{bare.base}/readyz").json() == {"status": "ready", "providers": {"demo": "ready"}}


def first_segments(dialect: Dialect) -> list[str]:
    """What the paths of this dialect begin with; its routes say it where the API has no root of its own."""
    paths = (root + route.path for root in dialect.roots for route in dialect.routes)
    return [path.lstrip("/").partition("/")[0] for path in paths]


@pytest.mark.parametrize("name", dialect_names())
def test_an_unknown_path_is_answered_in_the_dialect_of_its_root(bare: Running, name: str) -> None:
    """Roots can be shared, so below one of them it is the first dialect there that answers."""
    dialect = load_dialect(name)
    first = first_segments(dialect)[0]
    owner = next(other for other in map(load_dialect, dialect_names()) if first in first_segments(other))
    error = unknown_path()
    expected = owner.encode_error(error)
    for answer in (get(f"{bare.base}/{first}/nowhere"), post(f"{bare.base}/{first}/nowhere", {})):
        assert answer.status == expected.status == 404
        assert answer.json().keys() == orjson.loads(expected.body).keys()
        understood = owner.decode_error(WireResponse(404, answer.body, answer.headers))
        assert replace(understood, request_id=None) == owner.decode_error(expected)
        assert (understood.kind, understood.message) == (ErrorKind.NOT_FOUND, error.message)


def test_an_unknown_path_outside_of_all_roots_is_json_too(bare: Running) -> None:
    for path in ("/nowhere", "/v2/runner/x", "//", "/%00"):
        answer = get(bare.base + path)
        assert answer.status == 404, path
        assert isinstance(answer.json(), dict)


def test_a_wrong_method_is_told_the_right_one(bare: Running) -> None:
    answer = get(f"{bare.base}/v1/chat/completions")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_terminated_server_ends_in_order() -> None:
    with running("serve", "--port", "0") as server:
        server.process.terminate()
        assert server.process.wait(10) in (0, -15)
    assert "Traceback" not in "".join(server.log)


# --- not starting ---------------------------------------------------------------------------------------------------

BAD_CONFIGS = {
    "unknown nested key": (
        "server:\n  port: 8080\n  hosst: 127.0.0.1\n",
        ["line 3", "server.hosst", "did you mean 'host'?"],
    ),
    "out of range": ("server:\n  port: 70000\n", ["line 2", "server.port", "65535"]),
    "literal key": (
        "providers:\n  one: {dialect: amarsia, base_url: 'http://x', credential: sk-1234567890}\n",
        ["line 2", "providers.one.credential", "env:NAME or file:PATH"],
    ),
    "unknown default": (
        "models: {gpt-4o: demo/echo}\ndefault_model: gpt-4\n",
        ["line 2", "default_model", "did you mean 'gpt-4o'?"],
    ),
    "twice": ("models:\n  a: demo/echo\n  a: demo/echo\n", ["line 3", "models.a", "twice"]),
    "not YAML": ("models: {a: demo/echo\nproviders: [", ["line 2", "not valid YAML"]),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_a_bad_configuration_is_explained(tmp_path: Path, name: str) -> None:
    text, words = BAD_CONFIGS[name]
    result = run("serve", "--config", write_config(tmp_path, text), "--port", "0")
    expect_failure(result, "dragoman.yaml", *words)
    assert "sk-1234567890" not in result.stderr


def test_an_unknown_dialect_in_the_configuration_is_explained(tmp_path: Path) -> None:
    text = "providers:\n  one: {dialect: amarsja, base_url: 'http://x'}\n"
    expect_failure(run("serve", "--config", write_config(tmp_path, text), "--port", "0"), "did you mean 'amarsia'?")


def test_an_unreadable_configuration_is_explained(tmp_path: Path) -> None:
    expect_failure(run("serve", "--config", str(tmp_path / "none.yaml")), "none.yaml", "cannot be read")


def test_a_port_in_use_is_explained() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        expect_failure(run("serve", "--port", port), f"127.0.0.1:{port}", "--port")
        expect_failure(run("demo", "--dialect", dialect_names()[0], "--port", port), f"127.0.0.1:{port}", "--port")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_it_refuses_to_be_reachable_without_keys(host: str) -> None:
    expect_failure(run("serve", "--host", host, "--port", "0"), host, "loopback")


def test_the_configuration_cannot_make_it_reachable_either(tmp_path: Path) -> None:
    path = write_config(tmp_path, "server: {host: 0.0.0.0, port: 0}\n")
    expect_failure(run("serve", "--config", path), "0.0.0.0", "loopback")


# --- demo, matrix, help ---------------------------------------------------------------------------------------------


def test_demo_explains_an_unknown_dialect() -> None:
    expect_failure(run("demo", "--dialect", "openai_chta"), "openai_chta", "did you mean 'openai_chat'?")
    expect_failure(run("demo", "--dialect", "nope"), "nope", *dialect_names())


def test_matrix_writes_what_it_prints(tmp_path: Path) -> None:
    printed = run("matrix")
    assert printed.returncode == 0
    assert printed.stderr == ""
    for name in dialect_names():
        assert f"## {name} clients" in printed.stdout
    assert printed.stdout.count(f"| feature | {' | '.join((*dialect_names(), DEMO))} |") == len(dialect_names())
    for feature in FEATURES:
        assert printed.stdout.count(f"\n| {feature} |") == len(dialect_names())
    assert run("matrix", "--write", str(tmp_path / "matrix.md")).returncode == 0
    assert (tmp_path / "matrix.md").read_text(encoding="utf-8") == printed.stdout


def test_help_and_version() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("serve", "demo", "matrix"))
    assert re.search(r"\d+\.\d+\.\d+", run("--version").stdout)


# --- disabled providers ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def disabled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with one provider for each dialect, none of which has its credential."""
    off = {
        f"off-{name}": {"dialect": name, "base_url": "http://127.0.0.1:9", "credential": f"env:{MISSING}"}
        for name in dialect_names()
    }
    settings = {"providers": off, "models": {"gpt-4o": f"off-{dialect_names()[0]}/x", "fine": "demo/echo"}}
    path = write_config(tmp_path_factory.mktemp("disabled"), as_config(settings))
    with running("serve", "--config", path, "--port", "0") as server:
        yield server


def test_a_missing_credential_is_told_at_start(disabled: Running) -> None:
    for name in dialect_names():
        assert f"provider off-{name} is disabled: the environment variable {MISSING} is not set\n" in disabled.log


def test_readyz_lists_disabled_providers(disabled: Running) -> None:
    providers = get(f"{disabled.base}/readyz").json()["providers"]
    assert providers.pop("demo") == "ready"
    assert set(providers) == {f"off-{name}" for name in dialect_names()}
    assert all(state.startswith("disabled: ") and MISSING in state for state in providers.values())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ingress", dialect_names())
def test_a_disabled_provider_answers_as_overloaded_naming_it(disabled: Running, ingress: str, stream: bool) -> None:
    dialect, messages = load_dialect(ingress), FEATURES["text"].request.messages
    for name in dialect_names():
        request = Request(f"off-{name}/x", messages, stream=stream)
        answer = send(disabled.base, dialect, request)
        assert answer.status == overload_status(dialect)
        error = dialect.decode_error(WireResponse(answer.status, answer.body, answer.headers))
        assert error.kind is ErrorKind.OVERLOADED
        assert f"off-{name}" in error.message
        assert MISSING not in error.message
        assert error.code == "provider_disabled"


def test_models_of_disabled_providers_are_not_listed(disabled: Running) -> None:
    listed = [model["id"] for model in get(f"{disabled.base}/v1/models").json()["data"]]
    assert "gpt-4o" not in listed
    assert "fine" in listed
