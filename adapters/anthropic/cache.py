"""Prompt cache marks: ``cache_control``."""

from adapters.anthropic.extras import unread
from adapters.model.message import CacheHint, Json
from adapters.wire.fields import Fields


def decode_cache(block: Fields) -> tuple[CacheHint | None, Json]:
    """The mark on a block, and the fields of it that the model has no place for."""
    control = block.fields("cache_control")
    if control is None:
        return None, {}
    if control.choice("type", ("ephemeral",)) is None:
        raise control.error("type", "is required", code="missing_required_field")
    return CacheHint(control.choice("ttl", ("5m", "1h"))), unread(control)
