"""``POST /messages/count_tokens``: the same body as for an answer, less what only an answer needs."""

import orjson

from adapters.anthropic.fields import COUNT_TOKENS
from adapters.anthropic.request import decode_uncounted, encode_body, request_headers
from adapters.contract import DecodeError, Encoded, WireRequest, WireResponse
from adapters.model.request import Request
from adapters.wire.body import read_object
from adapters.wire.fields import Fields

_FIELDS = (
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "mcp_servers",
    "context_management",
    "compaction",
    "speed",
)
"""``message_count_tokens_params.py``, of the standard and of the beta interface."""
_UNCOUNTED = ("sampling.", "user", "metadata", "choice_count")
"""Losses that change no count."""


def decode_count_request(wire: WireRequest) -> Request:
    """The request of which the input is to be counted; there is no ``max_tokens`` in it."""
    return decode_uncounted(wire)


def encode_count_request(request: Request) -> Encoded[WireRequest]:
    """The same request on the wire."""
    written, losses = encode_body(request, whole=False)
    body = {name: written[name] for name in _FIELDS if name in written}
    kept = tuple(loss for loss in losses if not loss.field.startswith(_UNCOUNTED))
    return Encoded(WireRequest("POST", COUNT_TOKENS, orjson.dumps(body), request_headers(request)), kept)


def decode_count(wire: WireResponse) -> int:
    """The number of tokens in an answer. Raises ``DecodeError``."""
    count = Fields(read_object(wire.body)).integer("input_tokens", 0)
    if count is None:
        raise DecodeError("input_tokens is required", "input_tokens", "missing_required_field")
    return count


def encode_count(count: int) -> WireResponse:
    """The answer that tells this number."""
    return WireResponse(200, orjson.dumps({"input_tokens": count}))
