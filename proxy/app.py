"""The application: every registered dialect's routes, health, and one page that says what this is."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from urllib.parse import urlsplit

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.contract import CredentialPlace, Dialect
from adapters.model.error import Fault
from adapters.model.message import Message, Role, Text
from adapters.model.request import Request
from proxy.credentials import CommandSecret, MissingReferenceError, Scrubber, Secret, resolve_reference
from proxy.embedded import EmbeddedUpstream
from proxy.exchange import Call, Services
from proxy.ingress import send_error, unknown_path
from proxy.media import Fetcher, FetchLimits
from proxy.providers import fill, fill_address
from proxy.quirks import edits_bodies
from proxy.registry import all_dialects, load_dialect
from proxy.routes import Dispatcher, dialect_routes
from proxy.settings import DEMO_PROVIDER, MediaFetching, Provider, Settings, is_address, with_shipped
from proxy.upstream import Connection, HttpUpstream, Upstream


def build_services(settings: Settings, demo_fault: Fault = Fault.UPSTREAM) -> Services:
    """The upstreams these settings describe. Raises ``UnknownDialectError``; a missing credential only disables."""
    upstreams: dict[str, Upstream] = {DEMO_PROVIDER: EmbeddedUpstream(demo_fault)}
    dialects = all_dialects(settings.profiles)
    if demo_fault is Fault.UPSTREAM:  # otherwise the demo is all there is, whatever keys lie around
        settings = with_shipped(settings, dialects)
    connections: dict[str, Connection] = {}
    secrets: list[Secret] = []
    disabled: dict[str, str] = {}
    for name, provider in settings.providers.items():
        load_dialect(provider.dialect)
        try:
            connections[name] = _connection(provider, secrets, lambda secret: scrub.learn(secret))
        except MissingReferenceError as error:
            disabled[name] = str(error)
    scrub = Scrubber(secrets, {urlsplit(connection.base_url).netloc for connection in connections.values()})
    for name, connection in connections.items():
        upstreams[name] = HttpUpstream(dialects[settings.providers[name].dialect], connection, scrub)
    return Services(settings, upstreams, disabled, _fetcher(settings.media))


def _connection(provider: Provider, secrets: list[Secret], learn: Callable[[Secret], None]) -> Connection:
    """How to reach the provider; what it has of secrets joins ``secrets``, and what it gets later goes to ``learn``.

    Raises ``MissingReferenceError`` if something it refers to is missing or of no use.
    """
    url = fill_address(provider.base_url)
    if not is_address(url):
        raise MissingReferenceError(f"{provider.base_url} is no https:// or http:// address")
    quirks, place = provider.quirks, provider.credential_place
    headers = {name: fill(text) for name, text in quirks.headers.items()}
    query = {name: fill(text) for name, text in quirks.query.items()}
    # What the environment holds may be a key.
    secrets += [Secret(value) for name, value in headers.items() if value != quirks.headers[name]]
    secrets += [Secret(value) for name, value in query.items() if value != quirks.query[name]]
    credential: Secret | CommandSecret | None = None
    kind, _, command = (provider.credential or "").partition(":")
    if kind == "command":
        credential = CommandSecret(command, learn)
    elif provider.credential:
        credential = Secret(resolve_reference(provider.credential))
        secrets.append(credential)
    return Connection(
        url,
        credential,
        place=None if place is None else CredentialPlace(place.header.lower(), place.prefix),
        timeouts=provider.timeouts,
        quirks=quirks if edits_bodies(quirks) else None,
        headers={name.lower(): value for name, value in headers.items()},
        query=query,
    )


def build_app(services: Services, dialects: Sequence[Dialect]) -> ASGIApp:
    """The ASGI application that serves ``dialects``."""

    def current() -> Services:
        return services

    @asynccontextmanager
    async def lifespan(_: Router) -> AsyncIterator[None]:
        yield
        for upstream in services.upstreams.values():
            await upstream.close()
        if services.fetcher is not None:
            services.fetcher.close()

    from_dialects = dialect_routes(dialects, current)
    routes = [
        Route("/", _about(dialects), methods=["GET"]),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz(current), methods=["GET"]),
        *from_dialects,
    ]
    router = Router(routes, default=_NotFound(dialects, current), lifespan=lifespan, redirect_slashes=False)
    return Dispatcher(from_dialects, router)


def _fetcher(media: MediaFetching) -> Fetcher | None:
    if not media.fetch:
        return None
    ports = (80, 443) if media.allow_http else (443,)
    limits = FetchLimits(allow_http=media.allow_http, allowed_ports=ports)
    return Fetcher(limits, allow=[ip_network(network) for network in media.allow])


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
            dialect
            for dialect in self._dialects
            for root in dialect.roots
            for route in dialect.routes
            if (root + route.path).split("/")[1] == first_segment
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
