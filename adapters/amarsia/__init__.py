"""The Amarsia runner API: one user turn in, plain text or one JSON object out."""

from adapters.amarsia.errors import decode_error, encode_error
from adapters.amarsia.fields import NAME, RUN_ROUTE, STREAM_ROUTE, STREAM_TYPE
from adapters.amarsia.request import decode_request, encode_request, readdress
from adapters.amarsia.response import decode_response, encode_response
from adapters.amarsia.stream import AmarsiaStreamDecoder, AmarsiaStreamEncoder
from adapters.contract import CredentialPlace, Dialect

__all__ = ["dialect"]

dialect = Dialect(
    name=NAME,
    roots=("/v1",),
    routes=(STREAM_ROUTE, RUN_ROUTE),
    credential=CredentialPlace("x-api-key"),
    stream_type=STREAM_TYPE,
    decode_request=decode_request,
    encode_request=encode_request,
    readdress=readdress,
    decode_response=decode_response,
    encode_response=encode_response,
    decode_error=decode_error,
    encode_error=encode_error,
    stream_decoder=AmarsiaStreamDecoder,
    stream_encoder=AmarsiaStreamEncoder,
    request_id_prefix="req_",
)
