"""How many tokens a request would take, without answering it."""

from dataclasses import replace

from adapters.contract import DecodeError, WireRequest, WireResponse
from proxy.errors import RequestFailed, refused_by_client_codec
from proxy.exchange import Call, find_upstream
from proxy.presets import apply_preset
from proxy.routing import find_route


async def answer_count(call: Call, wire: WireRequest) -> WireResponse:
    """Answers a request to count tokens, as the upstream counts them. Raises ``RequestFailed`` where it does not."""
    counting = call.dialect.tokens
    assert counting is not None  # the route exists only where the dialect counts tokens
    try:
        request = counting.decode_request(wire)
    except DecodeError as error:
        raise RequestFailed(refused_by_client_codec(error)) from None
    route = find_route(call.services.settings, request.model)
    upstream = find_upstream(call.services, route)
    call.target = route.target
    if route.preset is not None:
        request = apply_preset(route.preset, request)
    count, losses = await upstream.count_tokens(replace(request, model=route.model))
    call.losses.extend(losses)
    return counting.encode_count(count)
