"""OpenAI's Responses format."""

from adapters.contract import CredentialPlace, Dialect, Route
from adapters.openai_responses.errors import decode_error, encode_error
from adapters.openai_responses.fields import NAME
from adapters.openai_responses.request import PATH, decode_request, encode_request, readdress
from adapters.openai_responses.response import decode_response, encode_response
from adapters.openai_responses.stream import ResponsesStreamDecoder
from adapters.openai_responses.stream_encoder import ResponsesStreamEncoder

__all__ = ["dialect"]

dialect = Dialect(
    name=NAME,
    roots=("/v1",),
    routes=(Route("POST", PATH),),
    credential=CredentialPlace("authorization", "Bearer "),
    stream_type="text/event-stream",
    decode_request=decode_request,
    encode_request=encode_request,
    readdress=readdress,
    decode_response=decode_response,
    encode_response=encode_response,
    decode_error=decode_error,
    encode_error=encode_error,
    stream_decoder=ResponsesStreamDecoder,
    stream_encoder=ResponsesStreamEncoder,
    request_id_prefix="req_",
)
