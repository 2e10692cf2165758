"""Counting the tokens of a request: ``POST /models/{model}:countTokens``."""

import orjson

from adapters.contract import JSON_HEADERS, Encoded, Operation, Route, WireRequest, WireResponse
from adapters.gemini.arguments import with_exact_numbers
from adapters.gemini.fields import DECISIVE, NAME
from adapters.gemini.request import decode_body, encode_body, encode_path
from adapters.gemini.spelling import WireFields
from adapters.model.error import DecodeError, ErrorKind
from adapters.model.loss import Loss, foreign_losses
from adapters.model.request import Request
from adapters.wire.body import read_object
from adapters.wire.fields import Fields

COUNT_ROUTE = Route("POST", "/models/{model:path}:countTokens", Operation.COUNT_TOKENS)
_WHOLE = "generateContentRequest"


def decode_count_request(wire: WireRequest) -> Request:
    """The request whose tokens are to be counted: given whole, or as contents alone."""
    found = COUNT_ROUTE.match(wire.path)
    if found is None:
        raise DecodeError("there is no such path", code="not_found", kind=ErrorKind.NOT_FOUND)
    once = (*DECISIVE, _WHOLE, "generate_content_request")
    body = WireFields(with_exact_numbers(read_object(wire.body, once=once), wire.body))
    whole = body.wire_fields(_WHOLE)
    if whole is None:
        return decode_body(body, found["model"], {})
    if body.has("contents"):
        raise body.error("contents", f"and {_WHOLE} must not be given together")
    return decode_body(whole, found["model"], {})


def encode_count(count: int) -> WireResponse:
    """The answer with the number of tokens."""
    return WireResponse(200, orjson.dumps({"totalTokens": count}))


def encode_count_request(request: Request) -> Encoded[WireRequest]:
    """The request for an upstream, whole, so that instruction and tools are counted too."""
    path = encode_path(request.model, "countTokens")
    losses: list[Loss] = foreign_losses(request, NAME)
    whole = {"model": f"models/{request.model}", **encode_body(request, losses)}
    return Encoded(WireRequest("POST", path, orjson.dumps({_WHOLE: whole}), JSON_HEADERS), tuple(losses))


def decode_count(wire: WireResponse) -> int:
    """The number of tokens. Raises ``DecodeError`` if the answer has none."""
    fields = Fields(read_object(wire.body))
    count = fields.integer("totalTokens", 0)
    # A zero is left out, as everything that has its default value in proto3 JSON.
    if count is None and fields.has("error"):
        raise DecodeError("the answer is an error, although its status is 200", "error", "error_in_200")
    return count or 0
