"""The provider files that come with Dragoman, and what the environment says about a provider. Knows no settings.

A file is named after its provider and holds the same keys as an entry of ``providers`` in the configuration.
"""

import os
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from proxy.credentials import resolve_reference

_IN_CHECKOUT = Path(__file__).parent.parent / "config" / "providers"
_INSTALLED = "share/dragoman/providers/*.yaml"
"""Where ``pyproject.toml`` has the files installed, below whatever prefix the installer chose."""

PLACEHOLDER = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
"""``${NAME}`` or ``${NAME:-default}``: an environment variable inside a text."""

_SECOND_SCHEME = re.compile(r"^https?://(?=https?://)")


@cache
def shipped_files() -> dict[str, Path]:
    """Every shipped provider's name and its file, in alphabetical order."""
    found = sorted(_IN_CHECKOUT.glob("*.yaml")) or _installed_files()
    return {path.stem: path for path in found}


def _installed_files() -> list[Path]:
    try:
        recorded = files("dragoman") or []
    except PackageNotFoundError:
        return []
    return sorted(Path(str(file.locate())).resolve() for file in recorded if file.match(_INSTALLED))


def fill(text: str) -> str:
    """``text`` with the environment put in: the whole of ``env:NAME``, else every placeholder.

    Raises ``MissingReferenceError`` for a variable that is not set and has no default.
    """
    return resolve_reference(text) if text.startswith("env:") else PLACEHOLDER.sub(_value, text)


def fill_address(text: str) -> str:
    """``fill`` for an address; what stands in for a host may be a whole root as well, ``http://host:1234/``.

    A scheme of its own replaces the one before the placeholder; a host without a port gets the default's.
    Raises ``MissingReferenceError``.
    """
    if text.startswith("env:"):
        return resolve_reference(text)
    return _SECOND_SCHEME.sub("", PLACEHOLDER.sub(_host, text))


def is_announced(credential: str | None, base_url: str) -> bool:
    """Whether the environment says that a provider with these references is there.

    The variable of its key decides. Without one, all variables that its address needs must be set, and at least one.
    """
    if credential is not None and credential.startswith("env:"):
        return _is_set(credential.removeprefix("env:"))
    named = [(found[1], found[2]) for found in PLACEHOLDER.finditer(base_url)]
    needed = [name for name, default in named if default is None]
    return any(_is_set(name) for name, _ in named) and all(map(_is_set, needed))


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _value(found: re.Match[str]) -> str:
    name, default = found.groups()
    return default if default is not None and not _is_set(name) else resolve_reference(f"env:{name}")


def _host(found: re.Match[str]) -> str:
    value = _value(found).rstrip("/")
    default_port = (found[2] or "").rpartition(":")[2]
    return value if ":" in value or not default_port.isdigit() else f"{value}:{default_port}"
