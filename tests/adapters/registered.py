"""The dialects that are installed, found the way the proxy finds them, so that a new one is judged without a change."""

from importlib.metadata import entry_points
from pathlib import Path

from adapters.contract import Dialect

GROUP = "adapters.dialects"
VECTORS = Path(__file__).parent.parent / "vectors"

NAMES: tuple[str, ...] = tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def _load() -> tuple[dict[str, Dialect], dict[str, Exception]]:
    loaded: dict[str, Dialect] = {}
    broken: dict[str, Exception] = {}
    for entry in entry_points(group=GROUP):
        try:
            loaded[entry.name] = entry.load()
        except Exception as error:  # test_conformance fails for each of these, the rest is judged meanwhile
            broken[entry.name] = error
    return dict(sorted(loaded.items())), broken


DIALECTS, BROKEN = _load()
