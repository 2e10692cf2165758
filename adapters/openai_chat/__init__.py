"""OpenAI's Chat Completions format, which ARKA and most other providers speak too."""

from adapters.contract import CredentialPlace, Dialect, Operation, Route
from adapters.openai_chat.chunks import ChatStreamEncoder
from adapters.openai_chat.errors import decode_error, encode_error
from adapters.openai_chat.fields import NAME
from adapters.openai_chat.models import listing
from adapters.openai_chat.parts import needs_bytes
from adapters.openai_chat.request import PATH, decode_request, encode_request, readdress
from adapters.openai_chat.response import decode_response, encode_response
from adapters.openai_chat.stream import ChatStreamDecoder

__all__ = ["dialect"]

dialect = Dialect(
    name=NAME,
    roots=("/v1",),
    routes=(
        Route("POST", PATH),
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
    stream_decoder=ChatStreamDecoder,
    stream_encoder=ChatStreamEncoder,
    request_id_prefix="req_",
    models=listing,
    needs_bytes=needs_bytes,
)
