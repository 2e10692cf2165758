"""Wire fields the model has no place for. They are kept in the shape of the wire, so writing them back is one merge."""

from adapters.anthropic.fields import NAME
from adapters.model.message import Extra, Json
from adapters.wire.fields import Fields


def unread(fields: Fields, **inner: Json) -> Json:
    """What nobody asked for in ``fields``, and in the objects ``inner`` to it; null counts as absent."""
    return said(fields.rest()) | {name: rest for name, rest in inner.items() if rest}


def said(values: Json) -> Json:
    """The fields that hold something."""
    return {name: value for name, value in values.items() if value is not None}


def keep(kept: Json) -> Extra | None:
    """The fields as the model keeps them; ``None`` if there are none."""
    return {NAME: kept} if kept else None


def own(extra: Extra | None) -> Json:
    """The fields kept for this dialect."""
    return {} if extra is None else extra.get(NAME, {})


def with_kept(wire: Json, kept: Json) -> Json:
    """``wire`` and, at every depth, the kept fields that it does not have."""
    merged = dict(wire)
    for name, value in kept.items():
        present = merged.get(name)
        if present is None:
            merged[name] = value
        elif isinstance(present, dict) and isinstance(value, dict):
            merged[name] = with_kept(present, value)
    return merged
