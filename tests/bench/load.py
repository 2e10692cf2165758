"""The load generator: ``python -m tests.bench.load --port N --path /...`` prints one JSON line of what it saw.

N keep-alive connections send one fixed request over and over, each its next one when its answer is complete. An
answer counts as an error unless it is a 2xx, ended properly, and holds what the plan expects of a whole body.
"""

import argparse
import asyncio
import gc
import ipaddress
from array import array
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter as clock  # uvloop's own clock has whole milliseconds
from typing import Any, cast

import httptools
import orjson
import uvloop

MOST_ERRORS = 1000
RECONNECT_PAUSE = 0.01
DRAIN_SECONDS = 10.0
PERCENTILES = (50, 90, 99)


class NotLoopbackError(ValueError):
    """The plan names a host that is not this machine."""


def loopback_address(host: str) -> str:
    """The numeric address to connect to; anything but this machine is refused, for this tool makes load."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise NotLoopbackError("the load generator only talks to loopback addresses") from None
    if not address.is_loopback:
        raise NotLoopbackError("the load generator only talks to loopback addresses")
    return str(address)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, how hard, for how long, and what makes an answer whole."""

    port: int
    path: str
    body: bytes
    host: str = "127.0.0.1"
    headers: tuple[tuple[str, str], ...] = ()
    connections: int = 32
    seconds: float = 6.0
    max_requests: int = 1_000_000
    mark: bytes = b""
    marks: int = 0
    end_mark: bytes = b""

    def request_bytes(self) -> bytes:
        headers = {
            "host": f"{self.host}:{self.port}",
            "content-type": "application/json",
            "content-length": str(len(self.body)),
            **dict(self.headers),
        }
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + self.body


@dataclass(slots=True)
class Tally:
    """What happened so far; times in seconds."""

    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    first_bytes: "array[float]" = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)
    chunks: int = 0
    body_bytes: int = 0
    reconnects: int = 0
    started: float = 0.0
    finished: float = 0.0

    def summary(self) -> dict[str, Any]:
        seconds = max(self.finished - self.started, 1e-9)
        return {
            "requests": len(self.latencies),
            "requests_per_second": round(len(self.latencies) / seconds, 2),
            "seconds": round(seconds, 4),
            "latency_ms": percentiles(self.latencies),
            "first_byte_ms": percentiles(self.first_bytes),
            "chunks": self.chunks,
            "body_bytes": self.body_bytes,
            "reconnects": self.reconnects,
            "errors": sum(self.errors.values()),
            "error_reasons": dict(self.errors),
        }


def percentiles(times: "array[float]") -> dict[str, float]:
    """Nearest-rank percentiles and the maximum in milliseconds; empty when nothing was measured."""
    if not times:
        return {}
    ordered = sorted(times)
    # Nearest rank: the smallest value that at least p percent of all values do not exceed.
    ranks = {f"p{p}": ordered[-(-len(ordered) * p // 100) - 1] for p in PERCENTILES}
    return {name: round(value * 1000, 4) for name, value in (*ranks.items(), ("max", ordered[-1]))}


class Run:
    """One plan being carried out: who may send, what was counted, and when all is over."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.address = loopback_address(plan.host)
        self.request = plan.request_bytes()
        self.tally = Tally()
        self.loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self.loop.create_future()
        self.connecting: set[asyncio.Task[None]] = set()
        self.connections: set[LoadConnection] = set()
        self.issued = 0
        self.deadline = 0.0

    async def carry_out(self) -> dict[str, Any]:
        self.tally.started = self.tally.finished = clock()
        self.deadline = self.tally.started + self.plan.seconds
        for _ in range(self.plan.connections):
            self.connect()
        await asyncio.wait({self.over}, timeout=self.plan.seconds + DRAIN_SECONDS)
        # Whoever is still waiting for an answer will not get it any more.
        for connection in list(self.connections):
            connection.give_up()
        for task in self.connecting:
            task.cancel()
        return self.tally.summary()

    def take_turn(self) -> bool:
        """True when one more request may be sent; it then counts as sent."""
        if self.over.done() or self.issued >= self.plan.max_requests or clock() >= self.deadline:
            return False
        self.issued += 1
        return True

    def connect(self, pause: float = 0.0) -> None:
        task = self.loop.create_task(self._connect(pause))
        self.connecting.add(task)
        task.add_done_callback(self._connected)

    async def _connect(self, pause: float) -> None:
        if pause:
            await asyncio.sleep(pause)
        try:
            await self.loop.create_connection(lambda: LoadConnection(self), self.address, self.plan.port)
        except OSError:
            self.fail("connect")

    def _connected(self, task: asyncio.Task[None]) -> None:
        self.connecting.discard(task)
        self.stop_if_idle()

    def fail(self, reason: str) -> None:
        self.tally.errors[reason] += 1
        if sum(self.tally.errors.values()) >= MOST_ERRORS:
            self.stop()

    def gone(self, connection: "LoadConnection", *, failed: bool) -> None:
        """A connection closed; it is replaced while there is still something to send."""
        self.connections.discard(connection)
        open_for_more = self.issued < self.plan.max_requests and clock() < self.deadline
        if open_for_more and not self.over.done():
            self.tally.reconnects += 1
            self.connect(RECONNECT_PAUSE if failed else 0.0)
        self.stop_if_idle()

    def stop_if_idle(self) -> None:
        if not self.connections and not self.connecting:
            self.stop()

    def stop(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


class LoadConnection(asyncio.Protocol):
    """One connection with at most one request in flight."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.in_flight = False
        self.failed = False
        self.sent_at = 0.0
        self.first_byte_at = 0.0
        self.pieces: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio.Transport, so an isinstance check would refuse them.
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpResponseParser(self)
        self.run.connections.add(self)
        self._send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.in_flight:
            self._fail("unterminated")
        self.run.gone(self, failed=self.failed)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("protocol")
            self.transport.close()

    def give_up(self) -> None:
        if self.in_flight:
            self._fail("stalled")
        self.transport.abort()

    def on_headers_complete(self) -> None:
        # Asked here: after the message the parser has forgotten it.
        self.keep_alive = self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if not self.pieces:
            self.first_byte_at = clock()
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        if not self.in_flight or self.parser.get_status_code() < 200:
            return
        now = clock()
        self.in_flight = False
        body = b"".join(self.pieces)
        reason = self._fault(body)
        tally = self.run.tally
        tally.finished = now
        tally.body_bytes += len(body)
        if reason:
            self.run.fail(reason)
        else:
            tally.latencies.append(now - self.sent_at)
            tally.first_bytes.append((self.first_byte_at or now) - self.sent_at)
            tally.chunks += self.run.plan.marks
        if self.keep_alive:
            self._send_next()
        else:
            self.transport.close()

    def _fault(self, body: bytes) -> str:
        """Why this answer does not count; empty when it does."""
        plan = self.run.plan
        status = self.parser.get_status_code()
        if status >= 300:
            return f"status_{status}"
        if plan.end_mark and plan.end_mark not in body[-1024:]:
            return "unterminated"
        if plan.mark and body.count(plan.mark) != plan.marks:
            return "wrong_text"
        return ""

    def _send_next(self) -> None:
        if not self.run.take_turn():
            self.transport.close()
            return
        self.in_flight = True
        self.pieces = []
        self.first_byte_at = 0.0
        self.sent_at = clock()
        self.transport.write(self.run.request)

    def _fail(self, reason: str) -> None:
        self.in_flight = False
        self.failed = True
        self.run.fail(reason)


async def carry_out(plan: Plan) -> dict[str, Any]:
    """The summary of one plan; NotLoopbackError when it points anywhere else."""
    return await Run(plan).carry_out()


def read_plan(arguments: list[str] | None = None) -> Plan:
    parser = argparse.ArgumentParser(prog="tests.bench.load", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="loopback only")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--body", default="{}")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--max-requests", type=int, default=1_000_000)
    parser.add_argument("--mark", default="", help="text counted in each body")
    parser.add_argument("--marks", type=int, default=0, help="how often it must be there")
    parser.add_argument("--end-mark", default="", help="text that must be in the last 1024 bytes")
    given = parser.parse_args(arguments)
    try:
        loopback_address(given.host)
    except NotLoopbackError as error:
        parser.error(str(error))
    headers = tuple((name.strip(), value.strip()) for name, _, value in (h.partition(":") for h in given.header))
    values = {**vars(given), "headers": headers, "body": given.body.encode()}
    values |= {"mark": given.mark.encode(), "end_mark": given.end_mark.encode()}
    del values["header"]
    return Plan(**values)


def main() -> None:
    plan = read_plan()
    gc.disable()  # a collection would show up as latency of the measured process
    print(orjson.dumps(uvloop.run(carry_out(plan))).decode(), flush=True)


if __name__ == "__main__":
    main()
