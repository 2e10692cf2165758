"""Paths -> endpoints, for all dialects together."""

import re
from collections.abc import Callable, Iterable, Sequence

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.contract import Dialect, Operation
from proxy import catalog, counting
from proxy.exchange import Services, exchange
from proxy.ingress import Endpoint, Respond, headers_of

RESPONDERS: dict[Operation, Respond] = {
    Operation.GENERATE: exchange,
    Operation.LIST_MODELS: catalog.answer_list,
    Operation.GET_MODEL: catalog.answer_one,
    Operation.COUNT_TOKENS: counting.answer_count,
}

_PLACEHOLDER = re.compile(r"\{\w+(?::path)?\}")


def dialect_routes(dialects: Sequence[Dialect], services: Callable[[], Services]) -> list[Route]:
    """The routes of all dialects, those with more fixed text first: ``{name:path}`` would take their paths."""
    places: dict[str, list[Endpoint]] = {}
    for dialect in dialects:
        for root in dialect.roots:
            for route in dialect.routes:
                endpoint = Endpoint(dialect, route, root, RESPONDERS[route.operation], services)
                places.setdefault(root + route.path, []).append(endpoint)
    paths = sorted(places, key=lambda path: -len(_PLACEHOLDER.sub("", path)))
    return [Route(path, _one_of(places[path])) for path in paths]


def _one_of(endpoints: Sequence[Endpoint]) -> ASGIApp:
    return endpoints[0] if len(endpoints) == 1 else SharedPath(endpoints)


class SharedPath:
    """A path that several dialects have: the request's headers tell whose client it is (MOD-01, hard-cases.md)."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        # Those that look for something of their own come before those that take any client.
        self._endpoints = sorted(endpoints, key=lambda endpoint: endpoint.dialect.recognises({}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        fitting = (endpoint for endpoint in self._endpoints if endpoint.dialect.recognises(headers))
        await next(fitting, self._endpoints[-1])(scope, receive, send)


class Dispatcher:
    """Finds fixed paths by one look-up and leaves the rest to ``router``: each pattern tried costs every request."""

    def __init__(self, routes: Iterable[Route], router: ASGIApp) -> None:
        self._fixed = {route.path: route.app for route in routes if "{" not in route.path}
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            fixed = self._fixed.get(scope["path"])
            if fixed is not None:
                await fixed(scope, receive, send)
                return
        await self._router(scope, receive, send)
