"""What is measured: the cells of the table, the servers they need, and what counts as a whole answer."""

from dataclasses import dataclass, replace
from typing import Any

import orjson

from tests.bench.answers import MARK, STREAM_CHUNKS, UNARY_WORDS

UNARY_TARGET_US = 400.0
CHUNK_TARGET_US = 25.0

OPENAI_PATH = "/v1/chat/completions"
QUANT_PATH = "/api/v3/organizations/acme/ai/chat"


@dataclass(frozen=True, slots=True)
class Cell:
    """One row: which server, which request, and which other row it is compared with."""

    name: str
    server: str
    path: str
    body: dict[str, Any]
    connections: int = 32
    stream: bool = False
    paced: bool = False
    end_mark: bytes = b""
    compare_with: str = ""
    target_us: float | None = None

    @property
    def marks(self) -> int:
        return STREAM_CHUNKS if self.stream else UNARY_WORDS

    def load_arguments(self, port: int, seconds: float) -> list[str]:
        """The load generator's command line for this cell."""
        arguments = ["--port", str(port), "--path", self.path, "--body", orjson.dumps(self.body).decode()]
        arguments += ["--header", "authorization:Bearer bench", "--header", "x-api-key:bench"]
        arguments += ["--connections", str(self.connections), "--seconds", str(seconds)]
        return [*arguments, "--mark", MARK.decode(), "--marks", str(self.marks), "--end-mark", self.end_mark.decode()]


def _openai(name: str, server: str, model: str, **more: Any) -> Cell:
    stream = more.get("stream", False)
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Say something."}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        more["end_mark"] = b"data: [DONE]"
    return Cell(name, server, OPENAI_PATH, body, **more)


def _amarsia(name: str, model: str, **more: Any) -> Cell:
    # amarsia.md section 6: a stream has no end mark; its 100 words are what shows that it is whole.
    path = f"/v1/runner/{model}" + ("/stream" if more.get("stream") else "")
    return Cell(name, "dragoman", path, {"content": [{"type": "text", "text": "Say something."}]}, **more)


def _quant(name: str, model: str, **more: Any) -> Cell:
    stream = more.get("stream", False)
    body = {"modelId": model, "messages": [{"role": "user", "content": "Say something."}]}
    path = QUANT_PATH + ("/stream" if stream else "")
    return Cell(name, "dragoman", path, body, end_mark=b'"complete":true' if stream else b"", **more)


def _yardsticks() -> list[Cell]:
    """Everything that is not Dragoman: the floor, the server alone, and the relays the ratios refer to."""
    return [
        _openai("nginx", "nginx", "gpt", compare_with="relay"),
        _openai("nginx-stream", "nginx", "gpt", stream=True, compare_with="relay-stream"),
        _openai("starlette", "starlette", "gpt", compare_with="relay"),
        _openai("relay", "relay", "gpt", compare_with="relay"),
        _openai("relay-stream", "relay", "gpt", stream=True, compare_with="relay-stream"),
        _openai("relay-paced", "relay", "paced", stream=True, paced=True, connections=100, compare_with="relay-paced"),
    ]


def _clients() -> list[Cell]:
    """Which HTTP client the hot path should call; not part of the default run."""
    return [
        _openai("relay-httpx-transport", "httpx-transport", "gpt", compare_with="relay"),
        _openai("relay-httpx-client", "httpx-client", "gpt", compare_with="relay"),
        _openai("relay-httpx-transport-stream", "httpx-transport", "gpt", stream=True, compare_with="relay-stream"),
        _openai("relay-httpx-client-stream", "httpx-client", "gpt", stream=True, compare_with="relay-stream"),
    ]


def _dragoman() -> list[Cell]:
    pairs = [
        _openai("openai_chat->openai_chat", "dragoman", "gpt"),
        _amarsia("amarsia->openai_chat", "gpt"),
        _quant("bedrock_sse->openai_chat", "gpt"),
        _openai("openai_chat->bedrock_sse", "dragoman", "nova"),
        _openai("openai_chat->amarsia", "dragoman", "run"),
    ]
    streams = [
        _openai("openai_chat->openai_chat", "dragoman", "gpt", stream=True),
        _amarsia("amarsia->openai_chat", "gpt", stream=True),
        _quant("bedrock_sse->openai_chat", "gpt", stream=True),
        _openai("openai_chat->bedrock_sse", "dragoman", "nova", stream=True),
        _openai("openai_chat->amarsia", "dragoman", "run", stream=True),
    ]
    paced = _quant("bedrock_sse->openai_chat paced", "paced", stream=True, paced=True, connections=100)
    return [
        *(replace(cell, compare_with="relay", target_us=UNARY_TARGET_US) for cell in pairs),
        *(
            replace(cell, name=f"{cell.name} stream", compare_with="relay-stream", target_us=CHUNK_TARGET_US)
            for cell in streams
        ),
        replace(paced, compare_with="relay-paced"),
    ]


def _latency() -> list[Cell]:
    """One connection each: what Dragoman and the relay add to the way straight to the mock."""
    return [
        _openai("direct-1", "mock", "gpt", connections=1),
        _openai("relay-1", "relay", "gpt", connections=1, compare_with="relay-1"),
        _openai("dragoman-1", "dragoman", "gpt", connections=1, compare_with="relay-1"),
    ]


OPTIONAL = tuple(_clients())
CELLS = (*_yardsticks(), *_dragoman(), *_latency())
BY_NAME = {cell.name: cell for cell in (*CELLS, *OPTIONAL)}


def with_yardsticks(names: list[str]) -> list[Cell]:
    """The cells asked for, in table order, and the ones their ratios and added latencies need."""
    wanted = {*names, *(BY_NAME[name].compare_with for name in names)}
    if wanted & {"relay-1", "dragoman-1"}:
        wanted |= {"direct-1"}
    return [cell for cell in BY_NAME.values() if cell.name in wanted]


def dragoman_config(mock_port: int) -> dict[str, Any]:
    """Dragoman's configuration for the cells above."""
    origin = f"http://127.0.0.1:{mock_port}"
    places = {
        "bench_openai": ("openai_chat", "/v1"),
        "bench_amarsia": ("amarsia", "/v1"),
        "bench_quant": ("bedrock_sse", "/api/v3/organizations/acme/ai"),
    }
    providers = {
        name: {"dialect": dialect, "base_url": origin + path, "credential": "env:BENCH_KEY"}
        for name, (dialect, path) in places.items()
    }
    models = {
        "gpt": "bench_openai/gpt",
        "paced": "bench_openai/paced",
        "run": "bench_amarsia/run",
        "nova": "bench_quant/nova",
    }
    return {"providers": providers, "models": models}
