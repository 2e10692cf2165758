"""The registered dialects: entry points of the group ``adapters.dialects``, built in and third-party alike."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from adapters.contract import Dialect
from proxy.settings import did_you_mean

GROUP = "adapters.dialects"


class UnknownDialectError(LookupError):
    """No dialect of that name is registered; the message lists those that are."""


@cache
def dialect_names() -> tuple[str, ...]:
    """The names of all registered dialects, in the order they registered."""
    return tuple(dict.fromkeys(point.name for point in entry_points(group=GROUP)))


@cache
def load_dialect(name: str) -> Dialect:
    """The dialect of that name, imported on first use. Raises ``UnknownDialectError``."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            dialect: Dialect = point.load()
            return dialect
    raise UnknownDialectError(f"there is no dialect {name!r}{did_you_mean(name, list(dialect_names()))}")


def all_dialects(profiles: Mapping[str, str] | None = None) -> dict[str, Dialect]:
    """Every registered dialect by name, in the profile that is chosen for it. Raises ``UnknownDialectError``."""
    dialects = {name: load_dialect(name) for name in dialect_names()}
    for name, profile in (profiles or {}).items():
        known = load_dialect(name).profiles
        if profile not in known:
            problem = f"the dialect {name} has no profile {profile!r}{did_you_mean(profile, list(known))}"
            raise UnknownDialectError(problem)
        dialects[name] = known[profile]
    return dialects
