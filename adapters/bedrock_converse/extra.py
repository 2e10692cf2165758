"""What the model has no place for. It is kept in the shape of the wire, so that writing it back is one merge."""

from adapters.bedrock_converse.fields import NAME
from adapters.model.message import Extra, Json


def keep(rest: Json, **deeper: Json) -> Extra | None:
    """Fields left over at one level and, by name, in the objects below it; ``None`` if there are none."""
    kept = rest | {name: inner for name, inner in deeper.items() if inner}
    return {NAME: kept} if kept else None


def kept_in(extra: Extra | None) -> Json:
    """This dialect's own fields."""
    return extra.get(NAME, {}) if extra else {}


def with_kept(written: Json, kept: Json) -> Json:
    """``written`` and, at every depth, the fields of ``kept`` that it does not have."""
    merged = dict(written)
    for name, value in kept.items():
        if name not in merged:
            merged[name] = value
        elif isinstance(merged[name], dict) and isinstance(value, dict):
            merged[name] = with_kept(merged[name], value)
    return merged
