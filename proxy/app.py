"""The application: every registered dialect's routes, health, and one page that says what this is."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from adapters.contract import Dialect, Operation
from adapters.model.error import Fault
from adapters.model.message import Message, Role, Text
from adapters.model.request import Request
from proxy import catalog
from proxy.credentials import MissingReferenceError, Scrubber, Secret, resolve_reference
from proxy.embedded import EmbeddedUpstream
from proxy.exchange import Call, Services, exchange
from proxy.ingress import Endpoint, Respond, send_error, unknown_path
from proxy.registry import all_dialects, load_dialect
from proxy.settings import DEMO_PROVIDER, Provider, Settings, is_address
from proxy.upstream import HttpUpstream, Upstream

RESPONDERS: dict[Operation, Respond] = {
    Operation.GENERATE: exchange,
    Operation.LIST_MODELS: catalog.answer_list,
    Operation.GET_MODEL: catalog.answer_one,
}


def build_services(settings: Settings, demo_fault: Fault = Fault.UPSTREAM) -> Services:
    """The upstreams these settings describe. Raises ``UnknownDialectError``; a missing credential only disables."""
    upstreams: dict[str, Upstream] = {DEMO_PROVIDER: EmbeddedUpstream(demo_fault)}
    addresses: dict[str, str] = {}
    secrets: dict[str, Secret] = {}
    disabled: dict[str, str] = {}
    dialects = all_dialects(settings.profiles)
    for name, provider in settings.providers.items():
        load_dialect(provider.dialect)
        try:
            addresses[name] = _base_url(provider)
            if provider.credential:
                secrets[name] = Secret(resolve_reference(provider.credential))
        except MissingReferenceError as error:
            disabled[name] = str(error)
    hosts = {urlsplit(address).netloc for address in addresses.values()}
    scrub = Scrubber(secrets.values(), hosts)
    for name, provider in settings.providers.items():
        if name not in disabled:
            dialect = dialects[provider.dialect]
            upstreams[name] = HttpUpstream(dialect, addresses[name], secrets.get(name), provider.timeouts, scrub)
    return Services(settings, upstreams, disabled)


def _base_url(provider: Provider) -> str:
    """Where the provider is. Raises ``MissingReferenceError`` if the variable it stands in is unset or no address."""
    url = resolve_reference(provider.base_url) if provider.base_url.startswith("env:") else provider.base_url
    if not is_address(url):
        raise MissingReferenceError(f"{provider.base_url} is no https:// or http:// address")
    return url


def build_app(services: Services, dialects: Sequence[Dialect]) -> Router:
    """The ASGI application that serves ``dialects``."""

    def current() -> Services:
        return services

    @asynccontextmanager
    async def lifespan(_: Router) -> AsyncIterator[None]:
        yield
        for upstream in services.upstreams.values():
            await upstream.close()

    routes = [
        Route("/", _about(dialects), methods=["GET"]),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz(current), methods=["GET"]),
        *(route for dialect in dialects for route in _dialect_routes(dialect, current)),
    ]
    return Router(routes, default=_NotFound(dialects, current), lifespan=lifespan, redirect_slashes=False)


def _dialect_routes(dialect: Dialect, services: Callable[[], Services]) -> list[Route]:
    return [
        Route(root + route.path, Endpoint(dialect, route, root, RESPONDERS[route.operation], services))
        for root in dialect.roots
        for route in dialect.routes
    ]


class _NotFound:
    """An unknown path: 404 in the dialect whose API root it stands below, else in the first one's words."""

    def __init__(self, dialects: Sequence[Dialect], services: Callable[[], Services]) -> None:
        self._dialects = dialects
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = Call(self._nearest(scope["path"]), self._services())
        await send_error(call, unknown_path(), send)

    def _nearest(self, path: str) -> Dialect:
        first_segment = path.lstrip("/").split("/")[0]
        below = (
            dialect for dialect in self._dialects if any(root.split("/")[1] == first_segment for root in dialect.roots)
        )
        return next(below, self._dialects[0])


async def _healthz(_: HttpRequest) -> JSONResponse:
    """The process runs. Says nothing about upstreams."""
    return JSONResponse({"status": "ok"})


def _readyz(services: Callable[[], Services]) -> Callable[[HttpRequest], JSONResponse]:
    def readyz(_: HttpRequest) -> JSONResponse:
        """Requests can be served; lists each provider as ready or disabled, with the reason."""
        current = services()
        providers = dict.fromkeys(current.upstreams, "ready")
        providers |= {name: f"disabled: {reason}" for name, reason in current.disabled.items()}
        return JSONResponse({"status": "ready", "providers": providers})

    return readyz


def curl_examples(dialects: Sequence[Dialect], base: str, model: str) -> dict[str, str]:
    """Dialect name -> a curl command that gets an answer from ``model`` through that dialect."""
    request = Request(model, (Message(Role.USER, (Text("Hello!"),)),))
    commands = {}
    for dialect in dialects:
        wire = dialect.encode_request(request).wire
        root = dialect.roots[0].replace("{organisation}", "acme")
        body = json.dumps(json.loads(wire.body))
        commands[dialect.name] = f"curl {base}{root}{wire.path} -H 'content-type: application/json' -d '{body}'"
    return commands


def _about(dialects: Sequence[Dialect]) -> Callable[[HttpRequest], PlainTextResponse]:
    def about(request: HttpRequest) -> PlainTextResponse:
        """What this is, and one command per dialect to try it."""
        base = f"http://{request.headers.get('host', 'localhost')}"
        examples = curl_examples(dialects, base, f"{DEMO_PROVIDER}/echo")
        lines = ["Dragoman translates between LLM API dialects.", "", "Try it; no key is needed:", ""]
        for name, command in examples.items():
            lines += [f"# {name}", command, ""]
        lines += ["Models: GET /v1/models", "Health: GET /healthz, GET /readyz", ""]
        return PlainTextResponse("\n".join(lines))

    return about
