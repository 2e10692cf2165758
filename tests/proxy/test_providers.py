"""Every shipped provider loads, comes with its key, and can be overridden; what is missing is told."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
import yaml

from adapters.contract import Context, WireRequest
from adapters.model.error import Fault
from adapters.model.message import Message, Role, Text
from adapters.model.request import Request, Sampling
from proxy import providers
from proxy.app import build_services
from proxy.credentials import CommandSecret, MissingReferenceError, Scrubber, Secret
from proxy.errors import RequestFailed
from proxy.exchange import Services
from proxy.providers import PLACEHOLDER, fill, fill_address, is_announced, shipped_files
from proxy.registry import dialect_names, load_dialect
from proxy.routing import find_route
from proxy.settings import (
    Place,
    Provider,
    Quirks,
    Settings,
    SettingsError,
    Timeouts,
    is_address,
    parse_settings,
    shipped_provider,
    with_shipped,
)
from proxy.upstream import Connection, HttpUpstream, Prepared
from tests.server.test_disconnect_kit import Script, ScriptedUpstream, answer, scripted_upstream

ROOT = Path(__file__).parents[2]
CHAT = load_dialect("openai_chat")
CANARY = "sk-canary-0123456789"
LOCAL = {"ollama", "vllm", "llama_cpp", "lm_studio"}

# Provider -> the variables that make it there, with a value each.
ENVIRONMENT = {
    "amarsia": {"AMARSIA_API_KEY": CANARY},
    "anthropic": {"ANTHROPIC_API_KEY": CANARY},
    "arka": {"ARKA_API_KEY": CANARY},
    "azure": {"AZURE_OPENAI_API_KEY": CANARY, "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/"},
    "bedrock": {"AWS_BEARER_TOKEN_BEDROCK": CANARY, "AWS_REGION": "eu-central-1"},
    "cohere": {"COHERE_API_KEY": CANARY},
    "deepseek": {"DEEPSEEK_API_KEY": CANARY},
    "fireworks": {"FIREWORKS_API_KEY": CANARY},
    "gemini": {"GEMINI_API_KEY": CANARY},
    "groq": {"GROQ_API_KEY": CANARY},
    "llama_cpp": {"LLAMA_CPP_HOST": "localhost"},
    "lm_studio": {"LM_STUDIO_HOST": "localhost:1"},
    "mistral": {"MISTRAL_API_KEY": CANARY},
    "ollama": {"OLLAMA_HOST": "0.0.0.0"},
    "openai": {"OPENAI_API_KEY": CANARY},
    "openrouter": {"OPENROUTER_API_KEY": CANARY},
    "quant": {"QUANT_TOKEN": CANARY, "QUANT_ORGANISATION": "acme"},
    "together": {"TOGETHER_API_KEY": CANARY},
    "vertex": {"GOOGLE_CLOUD_PROJECT": "mine", "GOOGLE_CLOUD_LOCATION": "us-central1"},
    "vllm": {"VLLM_HOST": "http://gpu:9"},
    "xai": {"XAI_API_KEY": CANARY},
}
ADDRESSES = {
    "azure": "https://mine.openai.azure.com/openai/v1",
    "bedrock": "https://bedrock-runtime.eu-central-1.amazonaws.com",
    "groq": "https://api.groq.com/openai/v1",
    "llama_cpp": "http://localhost:8080/v1",
    "lm_studio": "http://localhost:1/v1",
    "ollama": "http://0.0.0.0:11434/v1",
    "quant": "https://dashboard.quantcdn.io/api/v3/organizations/acme/ai",
    "vertex": "https://us-central1-aiplatform.googleapis.com/v1/projects/mine/locations/us-central1/publishers/google",
    "vllm": "http://gpu:9/v1",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these variables is set, whatever the machine has."""
    for variables in ENVIRONMENT.values():
        for name in variables:
            monkeypatch.delenv(name, raising=False)


def announce(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, value in ENVIRONMENT[name].items():
        monkeypatch.setenv(variable, value)


# --- the files ------------------------------------------------------------------------------------------------------


def test_these_providers_come_with_dragoman() -> None:
    assert set(shipped_files()) == set(ENVIRONMENT)
    assert list(shipped_files()) == sorted(shipped_files())


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_every_file_is_a_provider_of_a_few_lines(name: str) -> None:
    provider = shipped_provider(name)
    assert provider.timeouts == Timeouts()
    assert provider.use is None
    assert (provider.credential is None) == (name in LOCAL)
    text = shipped_files()[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 14
    assert re.search(r"# .*(https://|github\.com/)", text), "which page says so?"
    used = {found[1] for found in PLACEHOLDER.finditer(provider.base_url)}
    if provider.credential is not None and provider.credential.startswith("env:"):
        used.add(provider.credential.removeprefix("env:"))
    assert used == set(ENVIRONMENT[name])


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_its_address_is_one_below_which_the_dialects_paths_stand(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    announce(monkeypatch, name)
    url = fill_address(shipped_provider(name).base_url)
    assert url == ADDRESSES.get(name, shipped_provider(name).base_url)
    assert is_address(url)
    assert not url.endswith("/")
    assert urlsplit(url).scheme == ("http" if name in LOCAL else "https")


def test_the_groq_file_of_the_plan_is_the_one_that_ships() -> None:
    groq = shipped_provider("groq")
    assert (groq.dialect, groq.base_url) == ("openai_chat", "https://api.groq.com/openai/v1")
    assert "logit_bias" in groq.quirks.drop


@pytest.mark.parametrize("name", ["mistral", "deepseek", "together", "ollama", "arka"])
def test_who_knows_only_the_old_spelling_gets_it(name: str) -> None:
    assert shipped_provider(name).quirks.rename["max_completion_tokens"] == "max_tokens"


def test_only_mistral_wants_ids_of_nine_characters() -> None:
    assert [name for name in shipped_files() if shipped_provider(name).quirks.tool_id] == ["mistral"]


def test_an_installation_without_a_checkout_has_the_files_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Recorded:
        def __init__(self, path: str) -> None:
            self.path = path

        def match(self, pattern: str) -> bool:
            return Path(self.path).match(pattern)

        def locate(self) -> Path:
            return tmp_path / self.path

    recorded = [Recorded("share/dragoman/providers/b.yaml"), Recorded("share/dragoman/providers/a.yaml"),
                Recorded("proxy/app.py")]  # fmt: skip
    monkeypatch.setattr(providers, "_IN_CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr(providers, "files", lambda _: recorded)
    shipped_files.cache_clear()
    try:
        assert list(shipped_files()) == ["a", "b"]
        assert shipped_files()["a"] == (tmp_path / "share/dragoman/providers/a.yaml").resolve()
    finally:
        shipped_files.cache_clear()


# --- the environment ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_provider_is_there_with_its_variables_and_only_then(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    dialects = [shipped_provider(name).dialect]
    assert with_shipped(Settings(), dialects).providers == {}
    announce(monkeypatch, name)
    found = with_shipped(Settings(), dialects).providers
    assert found == {name: shipped_provider(name)}
    assert with_shipped(Settings(), []).providers == {}, "its dialect is not registered"
    assert with_shipped(Settings(detect_providers=False), dialects).providers == {}


def test_a_key_is_enough_to_ask_for_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, "groq")
    services = build_services(Settings())
    route = find_route(services.settings, "groq/llama-3.3-70b-versatile")
    assert (route.provider, route.model) == ("groq", "llama-3.3-70b-versatile")
    assert route.provider in services.upstreams
    assert set(services.upstreams) == {"demo", "groq"}


def test_a_blank_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "  ")
    assert set(build_services(Settings()).upstreams) == {"demo"}


def test_a_demo_has_no_providers_whatever_keys_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, "groq")
    assert set(build_services(Settings(), Fault.CLIENT).upstreams) == {"demo"}


def test_a_configured_provider_of_that_name_is_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, "groq")
    settings = parse_settings("providers: {groq: {dialect: openai_chat, base_url: 'https://mine.example/v1'}}")
    assert with_shipped(settings, dialect_names()).providers == settings.providers


def test_a_key_without_its_address_disables_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", CANARY)
    services = build_services(Settings())
    assert services.disabled == {"azure": "the environment variable AZURE_OPENAI_ENDPOINT is not set"}
    assert "azure" not in services.upstreams


def test_a_model_may_name_a_shipped_provider_whose_key_is_missing() -> None:
    settings = parse_settings("models: {fast: groq/llama}\npresets: {p: {model: mistral/small}}")
    services = build_services(settings)
    assert services.disabled == {
        "groq": "the environment variable GROQ_API_KEY is not set",
        "mistral": "the environment variable MISTRAL_API_KEY is not set",
    }


def test_a_local_server_may_be_named_without_its_variable() -> None:
    services = build_services(parse_settings("default_model: ollama/llama3.2"))
    assert services.disabled == {}
    assert "ollama" in services.upstreams


def test_no_key_is_ever_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        announce(monkeypatch, name)
    services = build_services(Settings())
    assert "canary" not in repr(services)


# --- placeholders ---------------------------------------------------------------------------------------------------

FILLED = {
    "nothing to fill": ("https://x.example/v1", "https://x.example/v1"),
    "a whole variable": ("env:DRAGOMAN_A", "one"),
    "inside": ("a-${DRAGOMAN_A}-b", "a-one-b"),
    "twice": ("${DRAGOMAN_A}${DRAGOMAN_A}", "oneone"),
    "default not needed": ("${DRAGOMAN_A:-two}", "one"),
    "default": ("x${DRAGOMAN_NONE:-two}", "xtwo"),
    "empty default": ("x${DRAGOMAN_NONE:-}", "x"),
    "blank counts as unset": ("${DRAGOMAN_BLANK:-two}", "two"),
    "no placeholder": ("$DRAGOMAN_A {DRAGOMAN_A}", "$DRAGOMAN_A {DRAGOMAN_A}"),
}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_A", "one")
    monkeypatch.setenv("DRAGOMAN_BLANK", " ")
    monkeypatch.delenv("DRAGOMAN_NONE", raising=False)


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize(("text", "filled"), FILLED.values(), ids=FILLED.keys())
def test_a_placeholder_is_filled_from_the_environment(text: str, filled: str) -> None:
    assert fill(text) == filled


@pytest.mark.usefixtures("variables")
def test_a_missing_variable_is_named() -> None:
    for read in (fill, fill_address):
        for text in ("https://${DRAGOMAN_NONE}/", "env:DRAGOMAN_NONE"):
            with pytest.raises(MissingReferenceError, match="the environment variable DRAGOMAN_NONE is not set"):
                read(text)


@pytest.mark.parametrize(
    ("value", "address"),
    [("h", "http://h:1/v1"), ("h:2", "http://h:2/v1"), ("http://h:2", "http://h:2/v1"),
     ("https://h/", "https://h/v1"), ("https://h/root/", "https://h/root/v1"), (None, "http://localhost:1/v1")],
)  # fmt: skip
def test_a_host_may_be_a_whole_root(monkeypatch: pytest.MonkeyPatch, value: str | None, address: str) -> None:
    monkeypatch.delenv("DRAGOMAN_HOST", raising=False)
    if value is not None:
        monkeypatch.setenv("DRAGOMAN_HOST", value)
    assert fill_address("http://${DRAGOMAN_HOST:-localhost:1}/v1") == address


@pytest.mark.usefixtures("variables")
def test_who_is_announced() -> None:
    assert is_announced("env:DRAGOMAN_A", "https://x")
    assert not is_announced("env:DRAGOMAN_NONE", "https://${DRAGOMAN_A}")
    assert not is_announced(None, "https://x")
    assert not is_announced("command:true", "https://${DRAGOMAN_A}/${DRAGOMAN_NONE}")
    assert is_announced("command:true", "https://${DRAGOMAN_A}/${DRAGOMAN_NONE:-x}")


# --- use: -----------------------------------------------------------------------------------------------------------


def provider(text: str) -> Provider:
    return parse_settings(f"providers:\n  mine: {text}").providers["mine"]


def test_a_provider_may_use_a_shipped_one_under_another_name() -> None:
    groq = shipped_provider("groq")
    mine = provider("{use: groq, credential: 'env:SECOND_KEY'}")
    assert mine.credential == "env:SECOND_KEY"
    assert (mine.dialect, mine.base_url, mine.quirks) == (groq.dialect, groq.base_url, groq.quirks)


def test_inner_keys_are_overridden_one_by_one() -> None:
    mine = provider("{use: mistral, quirks: {drop: []}, timeouts: {total: 5}, credential: null}")
    assert mine.quirks.drop == ()
    assert mine.quirks.rename == shipped_provider("mistral").quirks.rename
    assert mine.timeouts == Timeouts(total=5)
    assert mine.credential is None
    assert shipped_provider("mistral").quirks.drop != ()


def test_use_of_nothing_is_as_if_it_were_not_there() -> None:
    assert provider("{use: null, dialect: d, base_url: 'https://x'}").use is None


MISTAKES = {
    "unknown file": ("{use: grok}", 2, "providers.mine.use is no provider that comes with Dragoman; did"),
    "use of a number": ("{use: 3}", 2, "providers.mine.use is no provider that comes with Dragoman"),
    "use of a path": ("{use: ../groq}", 2, "providers.mine.use is no provider that comes with Dragoman"),
    "misspelt key beside use": (
        "\n    use: groq\n    quirk: {}",
        4,
        "providers.mine.quirk is not a known key; did you mean 'quirks'?",
    ),
    "misspelt quirk": (
        "\n    use: groq\n    quirks:\n      dorp: [x]",
        5,
        "providers.mine.quirks.dorp is not a known key; did you mean 'drop'?",
    ),
    "drop is no list": ("\n    use: groq\n    quirks:\n      drop: seed", 5, "providers.mine.quirks.drop is not valid"),
    "rename is no mapping": (
        "\n    use: groq\n    quirks:\n      rename: [a]",
        5,
        "providers.mine.quirks.rename must be a mapping",
    ),
    "new name is a number": (
        "\n    use: groq\n    quirks:\n      rename:\n        a: 1",
        6,
        "providers.mine.quirks.rename.a is not valid: expected `str`, got `int`",
    ),
    "new name is a path": (
        "\n    use: groq\n    quirks:\n      rename:\n        a: b.c",
        6,
        "providers.mine.quirks.rename.a must be a field's new name, without its place",
    ),
    "no field": ("\n    use: groq\n    quirks:\n      drop: ['a b']", 5, "providers.mine.quirks.drop names 'a b'"),
    "list without a field": ("{use: groq, quirks: {refuse: ['messages[]']}}", 2, "providers.mine.quirks.refuse names"),
    "unknown tool id": ("{use: groq, quirks: {tool_id: ten}}", 2, "providers.mine.quirks.tool_id is not valid"),
    "header with a blank": ("{use: groq, quirks: {headers: {'a b': x}}}", 2, "providers.mine.quirks.headers.a b is no"),
    "header with a break": ("{use: groq, quirks: {headers: {a: \"x\\ny\"}}}", 2, "providers.mine.quirks.headers.a is"),
    "key in a header": (
        "{use: groq, quirks: {headers: {x-api-key: sk-canary}}}",
        2,
        "providers.mine.quirks.headers.x-api-key must be env:NAME; a key does not belong into the file",
    ),
    "place without header": ("{use: groq, credential_place: {prefix: x}}", 2, "providers.mine.credential_place lacks"),
    "place is text": ("{use: groq, credential_place: x}", 2, "providers.mine.credential_place must be a mapping"),
    "place is no header": ("{use: groq, credential_place: {header: ':'}}", 2, "providers.mine.credential_place.header"),
    "address that is none": ("{use: groq, base_url: '${X}'}", 2, "providers.mine.base_url must be an https://"),
    "literal key": ("{use: groq, credential: sk-canary}", 2, "providers.mine.credential must be env:NAME or file:PATH"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "problem"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_line_and_key(text: str, line: int, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        provider(text)
    assert str(caught.value).startswith(f"config: line {line}: {problem}")
    assert "canary" not in str(caught.value)


def test_every_quirk_arrives() -> None:
    mine = provider(
        "{dialect: d, base_url: 'https://x', credential_place: {header: api-key, prefix: 'Key '}, quirks: "
        "{rename: {a: b}, drop: [c.d], refuse: ['e[].f'], tool_id: nine_alphanumeric, plain_content: true, "
        "headers: {g: 'h', x-key: 'env:I'}, query: {j: 'k'}}}"
    )
    assert mine.credential_place == Place(header="api-key", prefix="Key ")
    assert mine.quirks == Quirks(
        rename={"a": "b"},
        drop=("c.d",),
        refuse=("e[].f",),
        tool_id="nine_alphanumeric",
        plain_content=True,
        headers={"g": "h", "x-key": "env:I"},
        query={"j": "k"},
    )


# --- on the wire ----------------------------------------------------------------------------------------------------


REQUEST = Request("m", (Message(Role.USER, (Text("Hello"),)),), sampling=Sampling(max_tokens=5, seed=1))
CONTEXT = Context(REQUEST, "0" * 24, lambda prefix: prefix + "1", 1700000000)
OK = answer(200, (ROOT / "tests/vectors/openai_chat/responses/text.http").read_bytes().partition(b"\n\n")[2])


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with scripted_upstream() as running:
        running.scripts["m"] = Script((OK,))
        yield running


async def sent_by(services: Services, name: str) -> None:
    upstream = services.upstreams[name]
    try:
        await upstream.send(upstream.prepare(REQUEST, None), CONTEXT)
    finally:
        await upstream.close()


async def test_everything_a_provider_wants_reaches_it(
    server: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGOMAN_A", CANARY)
    server.forget()
    server.scripts["m"] = Script((OK,))
    settings = parse_settings(f"""
providers:
  mine:
    dialect: openai_chat
    base_url: http://127.0.0.1:{server.port}/deployments/x
    credential: env:DRAGOMAN_A
    credential_place: {{header: Api-Key}}
    quirks:
      rename: {{max_completion_tokens: max_tokens}}
      drop: [seed]
      headers: {{X-Title: Dragoman, x-token: "env:DRAGOMAN_A"}}
      query: {{api-version: "2024-10-21"}}
""")
    await sent_by(build_services(settings), "mine")
    [request] = server.requests
    headers = dict(request.headers)
    assert request.path == "/deployments/x/chat/completions?api-version=2024-10-21"
    assert (headers["api-key"], headers["x-token"], headers["x-title"]) == (CANARY, CANARY, "Dragoman")
    assert "authorization" not in headers
    body = orjson.loads(request.body)
    assert body["max_tokens"] == 5
    assert not {"seed", "max_completion_tokens"} & body.keys()


async def test_a_clients_own_bytes_are_untouched_without_quirks_and_edited_with() -> None:
    original = WireRequest("POST", "/chat/completions", b'{ "model":"m","seed":1,"messages":[] }')
    for quirks, same in ((None, True), (Quirks(drop=("seed",)), False), (Quirks(drop=("n",)), True)):
        upstream = HttpUpstream(CHAT, Connection("http://127.0.0.1:1", quirks=quirks), Scrubber([], []))
        prepared = upstream.prepare(REQUEST, original)
        assert (prepared.wire is original) == same
        assert [loss.field for loss in prepared.losses] == ([] if same else ["sampling.seed"])


async def test_a_query_of_the_dialect_is_kept_beside_the_providers(server: ScriptedUpstream) -> None:
    server.forget()
    server.scripts["m"] = Script((OK,))
    connection = Connection(f"http://127.0.0.1:{server.port}", query={"v": "1"})
    upstream = HttpUpstream(CHAT, connection, Scrubber([], []))
    wire = WireRequest("POST", "/x", b'{"model":"m"}', query={"alt": "sse"})
    await upstream.send(Prepared(REQUEST, wire), CONTEXT)
    await upstream.close()
    assert server.requests[0].path == "/x?v=1&alt=sse"


# --- credentials that a program prints ------------------------------------------------------------------------------


def counting(tmp_path: Path, body: str = "") -> str:
    """A command that prints token-1, token-2, ..."""
    script = tmp_path / "print token.py"
    script.write_text(
        "import pathlib, sys, time\n"
        f"{body}\n"
        "count = pathlib.Path(sys.argv[1])\n"
        "count.write_text(count.read_text() + 'x' if count.exists() else 'x')\n"
        "print(f'token-{len(count.read_text())}')\n",
        encoding="utf-8",
    )
    return f"{sys.executable} '{script}' '{tmp_path / 'count'}'"


async def test_a_program_is_run_when_first_needed_and_then_again_in_the_background(tmp_path: Path) -> None:
    learned: list[str] = []
    credential = CommandSecret(counting(tmp_path), lambda secret: learned.append(secret.reveal()))
    assert not (tmp_path / "count").exists()
    first = await asyncio.gather(*(credential.current() for _ in range(5)))
    assert [secret.reveal() for secret in first] == ["token-1"] * 5
    credential._fresh_until = 0.0
    assert (await credential.current()).reveal() == "token-1", "the old one serves meanwhile"
    assert credential._run is not None
    await credential._run
    assert (await credential.current()).reveal() == "token-2"
    assert learned == ["token-1", "token-2"]


async def test_a_refused_output_is_not_used_again(tmp_path: Path) -> None:
    credential = CommandSecret(counting(tmp_path), lambda _: None)
    first = await credential.current()
    credential.refused(Secret("another"))
    assert await credential.current() is first
    credential.refused(first)
    assert (await credential.current()).reveal() == "token-2"


async def test_who_waits_and_leaves_takes_the_program_from_nobody(tmp_path: Path) -> None:
    credential = CommandSecret(counting(tmp_path, "time.sleep(0.3)"), lambda _: None)
    leaving = asyncio.create_task(credential.current())
    staying = asyncio.create_task(credential.current())
    await asyncio.sleep(0.05)
    leaving.cancel()
    assert (await staying).reveal() == "token-1"


FAILING = {
    "fails": ("raise SystemExit(3)", "failed (status 3)"),
    "prints nothing": ("raise SystemExit(0)", "printed nothing"),
    "prints two lines": ("print('a'); print('b'); raise SystemExit(0)", "holds a line break"),
    "hangs": ("time.sleep(30)", "did not end in time"),
    "hangs in a child": ("import subprocess as s; s.run(['sleep', '30'])", "did not end in time"),
}


@pytest.mark.parametrize(("body", "problem"), FAILING.values(), ids=FAILING.keys())
async def test_a_program_that_gives_no_key_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, problem: str
) -> None:
    monkeypatch.setattr(CommandSecret, "LONGEST_RUN", 1.0 if problem == "did not end in time" else 10.0)
    credential = CommandSecret(counting(tmp_path, body), lambda _: None)
    with pytest.raises(MissingReferenceError, match=re.escape(problem)):
        await credential.current()


@pytest.mark.parametrize("command", ["", " ", "no-such-program-anywhere --secret-canary", "'open"])
def test_a_program_that_is_not_there_is_told_at_once(command: str) -> None:
    with pytest.raises(MissingReferenceError) as caught:
        CommandSecret(command, lambda _: None)
    assert "canary" not in str(caught.value)


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    credential = CommandSecret(f"echo $(touch {tmp_path / 'made'}); touch {tmp_path / 'made'}", lambda _: None)
    assert "$(touch" in asyncio.run(credential.current()).reveal()
    assert not (tmp_path / "made").exists()


async def test_a_printed_key_is_sent_renewed_after_a_refusal_and_scrubbed(
    server: ScriptedUpstream, tmp_path: Path
) -> None:
    server.forget()
    server.scripts["m"] = Script((answer(401, b'{"error":{"message":"bad token-1","code":"x"}}'),))
    settings = Settings(
        providers={
            "mine": Provider(
                dialect="openai_chat",
                base_url=f"http://127.0.0.1:{server.port}",
                credential=f"command:{counting(tmp_path)}",
                credential_place=Place(header="authorization", prefix="Bearer "),
            )
        }
    )
    upstream = build_services(settings).upstreams["mine"]
    with pytest.raises(RequestFailed) as caught:
        await upstream.send(upstream.prepare(REQUEST, None), CONTEXT)
    assert caught.value.error.message == "bad ***"
    server.scripts["m"] = Script((OK,))
    await upstream.send(upstream.prepare(REQUEST, None), CONTEXT)
    await upstream.close()
    assert [dict(seen.headers)["authorization"] for seen in server.requests] == ["Bearer token-1", "Bearer token-2"]


async def test_without_its_program_a_provider_is_disabled_and_a_failing_one_is_503(tmp_path: Path) -> None:
    settings = parse_settings(f"""
providers:
  absent: {{dialect: openai_chat, base_url: "http://127.0.0.1:1", credential: "command:no-such-program x"}}
  failing: {{dialect: openai_chat, base_url: "http://127.0.0.1:1", credential: "command:{sys.executable} -c 1/0"}}
""")
    services = build_services(settings)
    assert services.disabled == {"absent": "the program no-such-program of the credential is not found"}
    with pytest.raises(RequestFailed) as caught:
        await sent_by(services, "failing")
    error = caught.value.error
    assert (error.http_status, error.code, error.fault) == (503, "credential_unavailable", Fault.PROXY)
    assert sys.executable not in error.message


def test_only_the_last_few_learnt_secrets_are_looked_for() -> None:
    scrub = Scrubber([Secret("fixed-one")], [])
    for number in range(20):
        scrub.learn(Secret(f"learnt-{number:02}"))
    assert scrub.text("fixed-one learnt-19 learnt-12 learnt-00") == "*** *** *** learnt-00"


# --- the page about it ----------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "add-a-provider.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CONFIGURATIONS = [text for text in SNIPPETS if not text.startswith("# config/providers/")]
FILES = [text for text in SNIPPETS if text.startswith("# config/providers/")]


def test_the_page_has_snippets_of_both_kinds() -> None:
    assert FILES
    assert len(CONFIGURATIONS) >= 3


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_every_configuration_on_the_page_is_valid(text: str) -> None:
    settings = parse_settings(text)
    assert settings != Settings()
    build_services(settings)


@pytest.mark.parametrize("text", FILES)
def test_every_provider_file_on_the_page_is_valid(text: str) -> None:
    parsed = parse_settings(yaml.safe_dump({"providers": {"new": yaml.safe_load(text)}}))
    assert parsed.providers["new"].dialect in dialect_names()


def test_the_page_lists_every_provider_with_its_variables() -> None:
    for name, variables in ENVIRONMENT.items():
        row = next((line for line in PAGE.splitlines() if line.startswith(f"| `{name}` ")), "")
        assert row, name
        for variable in variables:
            assert f"`{variable}`" in row, (name, variable)


def test_the_page_names_every_quirk() -> None:
    for quirk in Quirks.__struct_fields__:
        assert f"`{quirk}`" in PAGE
