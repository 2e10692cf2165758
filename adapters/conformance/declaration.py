"""Checks of what a dialect says about itself."""

import re

import orjson

from adapters.conformance.judge import demand
from adapters.contract import Dialect, Operation, Route, WireRequest, WireResponse
from adapters.model.catalog import ModelInfo

PLACEHOLDER = re.compile(r"\{(\w+)(:path)?\}")

LISTED = (
    ModelInfo("sample-model", "dragoman", created=1700000000),
    ModelInfo("sample/other:1", "dragoman", description="A second one", context_window=8192, max_output_tokens=1024),
)


def check_declaration(dialect: Dialect) -> None:
    """Name, roots, routes, credential and stream type are such that the proxy can work with them."""
    demand(re.fullmatch(r"[a-z][a-z0-9_]*", dialect.name) is not None, f"{dialect.name!r} is not a plain name")
    _check_roots(dialect)
    for route in dialect.routes:
        _check_route(dialect, route)
    demand(
        any(route.operation is Operation.GENERATE for route in dialect.routes),
        f"{dialect.name} has no route to generate with",
    )
    addresses = [(route.method, PLACEHOLDER.sub("{}", route.path)) for route in dialect.routes]
    demand(len(set(addresses)) == len(addresses), f"{dialect.name} declares a route twice: {addresses}")
    header, prefix = dialect.credential.header, dialect.credential.prefix
    demand(re.fullmatch(r"[a-z][a-z0-9-]*", header) is not None, f"{dialect.name}: {header!r} is no header name")
    demand(re.fullmatch(r"([!-~]+ ?)?", prefix) is not None, f"{dialect.name}: {prefix!r} cannot stand before a key")
    demand(
        re.fullmatch(r"[a-z]+/[a-z0-9.+-]+(; ?[a-z]+=[a-zA-Z0-9-]+)*", dialect.stream_type) is not None,
        f"{dialect.name}: {dialect.stream_type!r} is no content type",
    )
    demand(
        re.fullmatch(r"[A-Za-z0-9_-]*", dialect.request_id_prefix) is not None,
        f"{dialect.name}: {dialect.request_id_prefix!r} cannot begin a request id",
    )


def _check_roots(dialect: Dialect) -> None:
    demand(bool(dialect.roots), f"{dialect.name} has no root")
    demand(len(set(dialect.roots)) == len(dialect.roots), f"{dialect.name} names a root twice")
    for root in dialect.roots:
        demand(
            root == "" or (root.startswith("/") and not root.endswith("/")),
            f"{dialect.name}: the root {root!r} must start with / and not end with it",
        )


def _check_route(dialect: Dialect, route: Route) -> None:
    who = f"{dialect.name}, route {route.method} {route.path}"
    demand(route.method in ("GET", "POST", "PUT", "PATCH", "DELETE"), f"{who}: no such method")
    demand(route.path.startswith("/") and not route.path.endswith("/"), f"{who}: must start with / and not end with it")
    names = [name for name, _ in PLACEHOLDER.findall(route.path)]
    demand(len(set(names)) == len(names), f"{who}: a placeholder's name stands twice")
    found = route.match(address(route, "a%20b"))
    demand(found == dict.fromkeys(names, "a b"), f"{who}: does not match its own path, but finds {found}")
    demand(route.match(address(route, "x") + "/else") is None or ":path" in route.path, f"{who}: matches too much")


def address(route: Route, value: str) -> str:
    """The route's path with this percent-encoded value in every placeholder."""
    return PLACEHOLDER.sub(lambda _: value, route.path)


def check_models(dialect: Dialect) -> None:
    """A dialect has routes for its models exactly if it can show them, and shows all of them, under their names."""
    asks = [route for route in dialect.routes if route.operation is not Operation.GENERATE]
    listing = dialect.models
    if listing is None:
        demand(not asks, f"{dialect.name} has routes for models but no way to show them")
        return
    demand(bool(asks), f"{dialect.name} can show models but has no route for it")
    for route in asks:
        wire = WireRequest(route.method, address(route, "sample-model"))
        if route.operation is Operation.LIST_MODELS:
            _check_shown(dialect, listing.encode_list(LISTED, wire), LISTED)
            _check_shown(dialect, listing.encode_list((), wire), ())
    for info in LISTED:
        _check_shown(dialect, listing.encode_one(info), (info,))


def _check_shown(dialect: Dialect, wire: WireResponse, models: tuple[ModelInfo, ...]) -> None:
    demand(wire.status == 200, f"{dialect.name} shows models with status {wire.status}")
    demand(isinstance(orjson.loads(wire.body), dict), f"{dialect.name} shows models in something else than an object")
    missing = [info.id for info in models if orjson.dumps(info.id) not in wire.body]
    demand(not missing, f"{dialect.name} does not show the models {', '.join(missing)}")
