"""Amazon Bedrock's Converse and ConverseStream: JSON in, JSON or a binary event stream out."""

from adapters.bedrock_converse.errors import decode_error, encode_error
from adapters.bedrock_converse.fields import NAME, STREAM_TYPE
from adapters.bedrock_converse.media import needs_bytes
from adapters.bedrock_converse.request import decode_request, encode_request, readdress
from adapters.bedrock_converse.response import decode_response, encode_response
from adapters.bedrock_converse.stream import ConverseStreamDecoder
from adapters.bedrock_converse.stream_encoder import ConverseStreamEncoder
from adapters.contract import CredentialPlace, Dialect, Route

__all__ = ["dialect"]

dialect = Dialect(
    name=NAME,
    roots=("",),
    routes=(
        Route("POST", "/model/{model:path}/converse-stream"),
        Route("POST", "/model/{model:path}/converse"),
    ),
    # A Bedrock API key. Requests signed with SigV4 are the proxy's to sign.
    credential=CredentialPlace("authorization", "Bearer "),
    stream_type=STREAM_TYPE,
    decode_request=decode_request,
    encode_request=encode_request,
    readdress=readdress,
    decode_response=decode_response,
    encode_response=encode_response,
    decode_error=decode_error,
    encode_error=encode_error,
    stream_decoder=ConverseStreamDecoder,
    stream_encoder=ConverseStreamEncoder,
    request_id_prefix="",
    request_id_header="x-amzn-requestid",
    needs_bytes=needs_bytes,
)
