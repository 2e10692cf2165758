"""The processes most tests here talk to: a proxy, and behind it one demo provider for each registered dialect."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters.contract import Dialect, WireResponse
from adapters.model.fold import explode
from adapters.model.request import Request
from adapters.model.response import Response
from adapters.samples import FEATURES
from proxy.fidelity import Mode, refusal
from proxy.matrix import context
from proxy.registry import dialect_names, load_dialect
from tests.running import Running, running, write_config
from tests.server.recording import Recorder, recording

DEMO = "demo"
UPSTREAMS: tuple[str, ...] = (DEMO, *dialect_names())
"""The embedded demo, and the providers over HTTP by the name of their dialect."""


@dataclass(frozen=True, slots=True)
class Stage:
    """``base`` is the proxy's URL. ``recorder`` stands behind the providers ``watched_<dialect>``."""

    base: str
    recorder: Recorder
    providers: dict[str, str]
    """Dialect name -> base URL of its demo provider."""
    proxy: Running


def target(upstream: str, model: str) -> str:
    """The name by which a client of the proxy asks for this demo model at this upstream."""
    return f"{DEMO}/{model}" if upstream == DEMO else f"over_{upstream}/{model}"


def watched(upstream: str, model: str) -> str:
    """The name for a model of the recorder, asked in this dialect."""
    return f"watched_{upstream}/{model}"


def dialect_of(upstream: str) -> Dialect | None:
    """What the upstream speaks; ``None`` for the embedded one."""
    return None if upstream == DEMO else load_dialect(upstream)


def canned(dialect: Dialect, response: Response, request: Request) -> WireResponse:
    """The answer to ``request`` as a provider of this dialect sends it, token counts included.

    Raises ``EncodeError`` if it has no words for it.
    """
    given = context(replace(request, include_usage=True))
    if not request.stream:
        return dialect.encode_response(response, given).wire
    encoder = dialect.stream_encoder(given)
    body = b"".join(encoder.encode(event) for event in explode(response))
    return WireResponse(200, body, {"content-type": dialect.stream_type})


def any_request(*, stream: bool) -> Request:
    """A request for where only the answer matters."""
    return replace(FEATURES["text"].request, stream=stream)


def takes(upstream: str, request: Request) -> bool:
    """Whether this upstream can be asked this without losing what it is about."""
    dialect = dialect_of(upstream)
    return dialect is None or refusal(request, dialect.encode_request(request).losses, Mode.REPORT) is None


def reports_usage(upstream: str) -> bool:
    """Whether token counts come at the end of this upstream's streams."""
    dialect = dialect_of(upstream)
    if dialect is None:
        return True
    sent = [canned(dialect, FEATURES[name].response, any_request(stream=True)) for name in ("usage", "text")]
    return sent[0] != sent[1]


def breaks_off(upstream: str) -> bool:
    """Whether a cut at this upstream is a broken connection, which may overtake the text before it."""
    dialect = dialect_of(upstream)
    return dialect is not None and dialect.stream_encoder(context(FEATURES["text"].request)).breaks_off


def as_config(settings: dict[str, Any]) -> str:
    """The settings as a configuration file's text: JSON is YAML too."""
    return json.dumps(settings, indent=1)


@contextmanager
def demo_providers() -> Iterator[dict[str, str]]:
    """A ``dragoman demo`` for each registered dialect, until the block ends."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(running("demo", "--dialect", name)).base for name in dialect_names()}


def provider_settings(providers: dict[str, str], recorder: Recorder) -> dict[str, Any]:
    """The ``providers`` section for these demo providers and the recorder."""
    over = {f"over_{name}": {"dialect": name, "base_url": base} for name, base in providers.items()}
    behind = f"http://127.0.0.1:{recorder.port}"
    return over | {f"watched_{name}": {"dialect": name, "base_url": f"{behind}/{name}"} for name in providers}


@contextmanager
def serving(folder: Path, settings: dict[str, Any]) -> Iterator[Running]:
    """``dragoman serve`` with these settings on a free port, until the block ends."""
    with running("serve", "--config", write_config(folder, as_config(settings)), "--port", "0") as server:
        yield server


@contextmanager
def set_up(folder: Path) -> Iterator[Stage]:
    """The whole stage, until the block ends."""
    with recording() as recorder, demo_providers() as providers:
        settings = {"providers": provider_settings(providers, recorder)}
        with serving(folder, settings) as proxy:
            yield Stage(proxy.base, recorder, providers, proxy)
