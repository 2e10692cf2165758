"""A complete little dialect, to test the checks with: the common model as JSON, and events as SSE frames of JSON.

It cannot say ``sampling.top_k`` and the answer's cached tokens, so that there are losses to report.
"""

from dataclasses import fields, replace

import orjson

from adapters.contract import (
    Context,
    CredentialPlace,
    DecodeError,
    Dialect,
    Encoded,
    Route,
    WireRequest,
    WireResponse,
)
from adapters.model import event as events
from adapters.model.error import ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.event import (
    Event,
    EventOrder,
    ForeignEvent,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    UsageReported,
)
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.plain import from_plain, to_plain
from adapters.model.request import Request
from adapters.model.response import FinishReason, Response, Usage
from adapters.wire.body import read_object
from adapters.wire.sse import SseDecoder, encode_data, one_line

NAME = "toy"
EVENTS = {
    kind.__name__: kind
    for kind in vars(events).values()
    if isinstance(kind, type) and kind.__module__ == events.__name__ and kind is not EventOrder
}
INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the upstream's stream ended before its end mark",
    Fault.UPSTREAM,
    code="stream_interrupted",
)
GARBAGE = (AttributeError, KeyError, TypeError, ValueError, RecursionError)


def read_as(plain: object, kind: type) -> object:
    """The record in this JSON; everything else is refused."""
    try:
        value = from_plain(filled(plain))
    except GARBAGE:
        value = None
    if not isinstance(value, kind):
        raise DecodeError(f"the body must hold a {kind.__name__}", code="invalid_type")
    return value


def filled(plain: object) -> object:
    """The plain form with empty lists of parts and messages, which ``to_plain`` leaves out."""
    if isinstance(plain, list):
        return [filled(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    lists = {"Message": "parts", "ToolResult": "parts", "Choice": "parts", "Request": "messages"}
    name = lists.get(plain["is"]) if isinstance(plain.get("is"), str) else None
    return ({name: []} if name else {}) | {key: filled(item) for key, item in plain.items()}


def decode_request(wire: WireRequest) -> Request:
    return read_as(read_object(wire.body), Request)


def encode_request(request: Request) -> Encoded[WireRequest]:
    losses = foreign_losses(request, NAME)
    if request.sampling.top_k is not None:
        losses.append(Loss("sampling.top_k", LossReason.UNSUPPORTED, "there is no top_k"))
    kept = replace(own(request), sampling=replace(request.sampling, top_k=None))
    return Encoded(WireRequest("POST", "/say", orjson.dumps(to_plain(kept))), tuple(losses))


def readdress(wire: WireRequest, request: Request, model: str) -> WireRequest | None:
    return replace(wire, body=orjson.dumps(orjson.loads(wire.body) | {"model": model}))


def own(node):
    """The node without what only other dialects understand."""
    if isinstance(node, tuple):
        return tuple(own(item) for item in node if getattr(item, "dialect", NAME) == NAME)
    changes = {}
    for name in ("messages", "tools", "choices", "parts", "usage"):
        if getattr(node, name, None):
            changes[name] = own(getattr(node, name))
    if getattr(node, "extra", None) is not None:
        changes["extra"] = {NAME: node.extra[NAME]} if NAME in node.extra else None
    return replace(node, **changes) if changes else node


def decode_response(wire: WireResponse, context: Context) -> Response:
    return read_as(read_object(wire.body), Response)


def encode_response(response: Response, context: Context) -> Encoded[WireResponse]:
    losses = foreign_losses(response, NAME)
    usage, usage_losses = without_cache(response.usage)
    kept = replace(
        own(response), id="toy-" + context.request_id, created=context.now, usage=own(usage) if usage else None
    )
    return Encoded(WireResponse(200, orjson.dumps(to_plain(kept))), (*losses, *usage_losses))


def without_cache(usage: Usage | None) -> tuple[Usage | None, list[Loss]]:
    """The usage as the toy can say it, and what it cannot say."""
    if usage is None:
        return None, []
    names = [name for name in ("cache_read_tokens", "cache_write_tokens") if getattr(usage, name) is not None]
    losses = [Loss(f"usage.{name}", LossReason.UNSUPPORTED, "cached tokens are not counted apart") for name in names]
    return replace(usage, cache_read_tokens=None, cache_write_tokens=None), losses


def decode_error(wire: WireResponse) -> ApiError:
    try:
        error = from_plain(orjson.loads(wire.body).get("error"))
        if isinstance(error, ApiError) and isinstance(error.message, str) and error.message:
            return replace(error, status=wire.status)
    except GARBAGE:
        pass
    return ApiError(kind_of_status(wire.status), "the upstream failed", Fault.UPSTREAM, wire.status)


def encode_error(error: ApiError) -> WireResponse:
    return WireResponse(error.http_status, orjson.dumps({"error": to_plain(error)}))


class ToyStreamDecoder:
    def __init__(self, context: Context) -> None:
        self.sse = SseDecoder()
        self.order = EventOrder()
        self.over = False

    @property
    def pending(self) -> int:
        return self.sse.pending

    def feed(self, data: bytes) -> list[Event]:
        if self.over:
            return []
        frames = self.sse.feed(data)
        events = self.take(frames)
        if self.over:
            failed = isinstance(events[-1], StreamFailed)
            self.sse.unread(len(frames) - len(events) + failed)
        return events

    def take(self, frames) -> list[Event]:
        out = []
        for frame in frames:
            if self.over:
                break
            event = self.read(frame.data)
            try:
                self.order.check(event)
            except ValueError:
                raise DecodeError("an event comes where it must not") from None
            out.append(event)
            self.over = isinstance(event, StreamEnded | StreamFailed)
        return out

    def read(self, data: bytes) -> Event:
        plain = read_object(data)
        kind = EVENTS.get(plain.pop("event", None)) if isinstance(plain.get("event"), str) else None
        if kind is None:
            raise DecodeError("an event of no known name")
        try:
            values = {name: from_plain(value) for name, value in plain.items()}
            if "reason" in values:
                values["reason"] = FinishReason(values["reason"])
            event = kind(**values)
            if isinstance(event, StreamFailed) != isinstance(values.get("error"), ApiError):
                raise TypeError
            for name in ("text", "arguments", "signature"):
                if name in values and not isinstance(values[name], str):
                    raise TypeError
        except GARBAGE:
            raise DecodeError("an event with the wrong fields") from None
        return event

    def close(self, *, clean: bool) -> list[Event]:
        if self.over:
            return []
        # What is left may be a frame whose JSON was cut.
        try:
            out = self.take(self.sse.finish())
        except DecodeError:
            out = []
        return out if self.over else [*out, StreamFailed(INTERRUPTED)]


class ToyStreamEncoder:
    breaks_off = False

    def __init__(self, context: Context) -> None:
        self.context = context
        self.losses: list[Loss] = []

    def report(self, losses) -> None:
        self.losses += [loss for loss in losses if loss not in self.losses]

    def encode(self, event: Event) -> bytes:
        if isinstance(event, ForeignEvent):
            self.report([Loss("events", LossReason.FOREIGN, f"only {event.dialect} understands it")])
            return b""
        if isinstance(event, StreamStarted):
            event = replace(event, id="toy-" + self.context.request_id, created=self.context.now)
        if isinstance(event, UsageReported):
            usage, losses = without_cache(event.usage)
            self.report(losses)
            event = UsageReported(usage)
        return self.frame(event)

    def frame(self, event: Event) -> bytes:
        plain = {"event": type(event).__name__}
        for field in fields(event):
            value = getattr(event, field.name)
            if value is not None:
                plain[field.name] = to_plain(value)
        return encode_data(one_line(orjson.dumps(plain)))

    def keepalive(self) -> bytes:
        return b": keepalive\n\n"


TOY = Dialect(
    name=NAME,
    roots=("/toy",),
    routes=(Route("POST", "/say"),),
    credential=CredentialPlace("x-toy-key"),
    stream_type="text/event-stream",
    decode_request=decode_request,
    encode_request=encode_request,
    readdress=readdress,
    decode_response=decode_response,
    encode_response=encode_response,
    decode_error=decode_error,
    encode_error=encode_error,
    stream_decoder=ToyStreamDecoder,
    stream_encoder=ToyStreamEncoder,
)
