"""The demo provider as an upstream: in-process, no socket, no key, nothing lost."""

from collections.abc import AsyncIterator
from dataclasses import replace

from adapters.contract import Context, WireRequest
from adapters.model.error import ApiError, Fault
from adapters.model.event import Event, StreamFailed
from adapters.model.loss import Loss
from adapters.model.request import Request
from proxy import demo
from proxy.errors import RequestFailed
from proxy.upstream import Batch, Prepared, Reply, UpstreamStream


class EmbeddedUpstream:
    """Answers from ``proxy.demo``; takes the common model as it is, so no translation can lose anything.

    ``fault`` is whose doing its failures are. Behind the proxy they are an upstream's; where the demo plays a provider
    of its own (``dragoman demo``) its clients must see the bare status, so there they are the client's.
    """

    dialect = None

    def __init__(self, fault: Fault = Fault.UPSTREAM) -> None:
        self._fault = fault

    def prepare(self, request: Request, original: WireRequest | None) -> Prepared:
        return Prepared(request, None)

    async def send(self, prepared: Prepared, context: Context) -> Reply:
        try:
            return Reply(demo.answer(prepared.request, _call(context)))
        except demo.DemoFailure as failure:
            raise RequestFailed(_blamed(failure, self._fault)) from None

    async def open_stream(self, prepared: Prepared, context: Context) -> UpstreamStream:
        return EmbeddedStream(demo.stream(prepared.request, _call(context)), self._fault)

    async def count_tokens(self, request: Request) -> tuple[int, tuple[Loss, ...]]:
        return demo.count_tokens(request), ()

    async def close(self) -> None:
        """Nothing is open."""


class EmbeddedStream:
    """The demo's batches of events as an upstream stream."""

    def __init__(self, batches: AsyncIterator[list[Event]], fault: Fault) -> None:
        self._batches = batches
        self._fault = fault

    async def read(self) -> Batch | None:
        try:
            return Batch(b"", await anext(self._batches))
        except StopAsyncIteration:
            return None
        except demo.DemoFailure as failure:
            return Batch(b"", [StreamFailed(_blamed(failure, self._fault))])

    def pending(self) -> int:
        return 0

    async def close(self) -> None:
        close = getattr(self._batches, "aclose", None)
        if close is not None:
            await close()


def _call(context: Context) -> demo.DemoCall:
    return demo.DemoCall(new_id=context.new_id, now=context.now)


def _blamed(failure: demo.DemoFailure, fault: Fault) -> ApiError:
    """Failures that the demo plays are of ``fault``; a request it cannot take stays the client's."""
    return failure.error if failure.error.fault is Fault.CLIENT else replace(failure.error, fault=fault)
