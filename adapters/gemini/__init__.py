"""Google Gemini: generateContent and streamGenerateContent of the Gemini API."""

from adapters.contract import CredentialPlace, Dialect, Operation, Route, TokenCounting
from adapters.gemini.errors import decode_error, encode_error
from adapters.gemini.fields import NAME
from adapters.gemini.media import needs_bytes
from adapters.gemini.models import listing
from adapters.gemini.request import STREAM_ROUTE, UNARY_ROUTE, answer_type, decode_request, encode_request, readdress
from adapters.gemini.response import decode_response, encode_response
from adapters.gemini.stream import GeminiStreamDecoder
from adapters.gemini.stream_encoder import GeminiStreamEncoder
from adapters.gemini.tokens import COUNT_ROUTE, decode_count, decode_count_request, encode_count, encode_count_request

__all__ = ["dialect"]

dialect = Dialect(
    name=NAME,
    roots=("/v1beta", "/v1"),
    routes=(
        STREAM_ROUTE,
        UNARY_ROUTE,
        COUNT_ROUTE,
        Route("GET", "/models", Operation.LIST_MODELS),
        Route("GET", "/models/{model:path}", Operation.GET_MODEL),
    ),
    credential=CredentialPlace("x-goog-api-key"),
    stream_type="text/event-stream",
    decode_request=decode_request,
    encode_request=encode_request,
    readdress=readdress,
    decode_response=decode_response,
    encode_response=encode_response,
    decode_error=decode_error,
    encode_error=encode_error,
    stream_decoder=GeminiStreamDecoder,
    stream_encoder=GeminiStreamEncoder,
    request_id_prefix="",
    models=listing,
    tokens=TokenCounting(decode_count_request, encode_count_request, decode_count, encode_count),
    answer_type=answer_type,
    ends_with_body=True,
    # Under /v1 OpenAI's and Anthropic's clients ask for /models too (MOD-01, hard-cases.md).
    recognises=lambda headers: any(name.startswith("x-goog-") for name in headers),
    needs_bytes=needs_bytes,
)
