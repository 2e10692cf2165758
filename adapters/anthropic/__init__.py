"""Anthropic Messages: content blocks in and out, and named server-sent events."""

from adapters.anthropic.errors import decode_error, encode_error
from adapters.anthropic.fields import (
    COUNT_TOKENS,
    MESSAGES,
    NAME,
    REQUEST_HEADERS,
    REQUEST_ID_PREFIX,
    STREAM_TYPE,
    VERSION_HEADER,
)
from adapters.anthropic.media import needs_bytes
from adapters.anthropic.models import encode_model, encode_models
from adapters.anthropic.request import decode_request, encode_request, readdress
from adapters.anthropic.response import decode_response, encode_response
from adapters.anthropic.stream import AnthropicStreamDecoder
from adapters.anthropic.stream_encoder import AnthropicStreamEncoder
from adapters.anthropic.tokens import decode_count, decode_count_request, encode_count, encode_count_request
from adapters.contract import CredentialPlace, Dialect, ModelListing, Operation, Route, TokenCounting

__all__ = ["dialect"]

dialect = Dialect(
    name=NAME,
    roots=("/v1",),
    routes=(
        Route("POST", MESSAGES),
        Route("POST", COUNT_TOKENS, Operation.COUNT_TOKENS),
        Route("GET", "/models", Operation.LIST_MODELS),
        Route("GET", "/models/{model:path}", Operation.GET_MODEL),
    ),
    credential=CredentialPlace("x-api-key"),
    stream_type=STREAM_TYPE,
    decode_request=decode_request,
    encode_request=encode_request,
    readdress=readdress,
    decode_response=decode_response,
    encode_response=encode_response,
    decode_error=decode_error,
    encode_error=encode_error,
    stream_decoder=AnthropicStreamDecoder,
    stream_encoder=AnthropicStreamEncoder,
    request_id_prefix=REQUEST_ID_PREFIX,
    request_headers=frozenset(REQUEST_HEADERS),
    request_id_header="request-id",
    models=ModelListing(encode_models, encode_model),
    tokens=TokenCounting(decode_count_request, encode_count_request, decode_count, encode_count),
    # OpenAI's clients ask for /v1/models too (MOD-01, hard-cases.md).
    recognises=lambda headers: VERSION_HEADER in headers,
    needs_bytes=needs_bytes,
)
