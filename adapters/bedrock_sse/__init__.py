"""Bedrock-style SSE: the Quant Cloud AI chat API, Converse blocks in and named server-sent events out."""

from dataclasses import replace
from functools import partial

from adapters.bedrock_sse.errors import decode_error, encode_error
from adapters.bedrock_sse.fields import LIMITS, NAME, REQUEST_ID_PREFIX
from adapters.bedrock_sse.models import encode_model, encode_models
from adapters.bedrock_sse.parts import needs_bytes
from adapters.bedrock_sse.request import CHAT, CHAT_STREAM, decode_request, encode_request, readdress
from adapters.bedrock_sse.response import decode_response, encode_response
from adapters.bedrock_sse.stream import BedrockSseDecoder
from adapters.bedrock_sse.stream_encoder import BedrockSseEncoder
from adapters.contract import CredentialPlace, Dialect, ModelListing, Operation, Route

__all__ = ["dialect"]

_seed = Dialect(
    name=NAME,
    # Q19: both spellings are in first-party use.
    roots=("/api/v3/organizations/{organisation}/ai", "/api/v3/organisations/{organisation}/ai"),
    routes=(
        Route("POST", CHAT_STREAM),
        Route("POST", CHAT),
        Route("GET", "/models", Operation.LIST_MODELS),
        Route("GET", "/models/{model:path}", Operation.GET_MODEL),
    ),
    credential=CredentialPlace("authorization", "Bearer "),
    stream_type="text/event-stream",
    decode_request=decode_request,
    encode_request=encode_request,
    readdress=readdress,
    decode_response=decode_response,
    encode_response=encode_response,
    decode_error=decode_error,
    encode_error=encode_error,
    stream_decoder=BedrockSseDecoder,
    stream_encoder=BedrockSseEncoder,
    request_id_prefix=REQUEST_ID_PREFIX,
    needs_bytes=needs_bytes,
    models=ModelListing(encode_models, encode_model),
)
dialect = replace(
    _seed,
    profiles={
        name: replace(
            _seed,
            decode_request=partial(decode_request, limits=limits),
            encode_request=partial(encode_request, limits=limits),
        )
        for name, limits in LIMITS.items()
    },
)
