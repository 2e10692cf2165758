"""The bench's own tools: they agree on what was sent, and nothing incomplete passes for an answer."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.settings import parse_settings
from tests.bench import answers, measure
from tests.bench.__main__ import read_arguments
from tests.bench.cells import BY_NAME, CELLS, Cell, dragoman_config, with_yardsticks
from tests.bench.load import NotLoopbackError, Plan, carry_out, percentiles, read_plan
from tests.bench.measure import Outcome
from tests.bench.processes import ROOT, Server, StartError, cpu_seconds, resident_mb, running, running_at, tree
from tests.bench.report import BEGIN_MARK, END_MARK, PageError, table, write_results
from tests.bench.servers import free_port, start_mock, start_relay

CORE = min(os.sched_getaffinity(0))
FIGURES = {
    "requests": 1,
    "errors": 0,
    "error_reasons": {},
    "requests_per_second": 1000.0,
    "latency_ms": {"p50": 1.0, "p99": 2.0},
    "first_byte_ms": {"p50": 1.0, "p99": 2.0},
    "rss_mb": 50.0,
}


@pytest.fixture(scope="module")
def mock() -> Iterator[Server]:
    with start_mock(CORE) as server:
        yield server


def counts(server: Server) -> dict[str, int]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request("GET", "/counts")
        served: dict[str, int] = json.loads(connection.getresponse().read())
        return served


def load(cell: Cell, port: int, seconds: float) -> dict[str, Any]:
    argv = [sys.executable, "-m", "tests.bench.load", *cell.load_arguments(port, seconds)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=30, check=True)
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.mark.parametrize(("name", "counted"), [("relay", "unary"), ("relay-stream", "streams")])
def test_mock_relay_and_load_agree_on_how_many_were_answered(mock: Server, name: str, counted: str) -> None:
    before = counts(mock)
    with start_relay("aiohttp", mock.port, CORE) as relay:
        summary = load(BY_NAME[name], relay.port, 1.0)
        assert cpu_seconds(relay.process.pid) > 0
        assert resident_mb(relay.process.pid) > 10
    after = counts(mock)
    assert summary["errors"] == 0
    assert summary["requests"] > 32
    assert after[counted] - before[counted] == summary["requests"]
    assert sum(after.values()) - sum(before.values()) == summary["requests"]
    assert summary["chunks"] == summary["requests"] * BY_NAME[name].marks
    assert relay.process.returncode is not None


@pytest.mark.parametrize("mode", ["httpx-transport", "httpx-client"])
def test_relays_over_httpx_hand_on_whole_answers(mock: Server, mode: str) -> None:
    with start_relay(mode, mock.port, CORE) as relay:
        for name in ("relay", "relay-stream"):
            summary = load(BY_NAME[name], relay.port, 0.2)
            assert (summary["errors"], summary["requests"] > 0) == (0, True)


# Straight to the mock: what it answers in each dialect is what the cells expect after a translation, too.
@pytest.mark.parametrize(
    ("path", "marks", "end_mark"),
    [
        ("/v1/runner/run", answers.UNARY_WORDS, b"}"),
        ("/v1/runner/run/stream", answers.STREAM_CHUNKS, b"lorem "),
        ("/api/v3/organizations/acme/ai/chat", answers.UNARY_WORDS, b"}"),
        ("/api/v3/organizations/acme/ai/chat/stream", answers.STREAM_CHUNKS, b'"complete":true'),
    ],
)
async def test_mock_speaks_each_dialect(mock: Server, path: str, marks: int, end_mark: bytes) -> None:
    plan = Plan(mock.port, path, b"{}", connections=4, seconds=5, max_requests=10)
    summary = await carry_out(replace(plan, mark=answers.MARK, marks=marks, end_mark=end_mark))
    assert (summary["requests"], summary["errors"], summary["reconnects"]) == (10, 0, 0)


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b'{"model":"paced","stream": true}', ()), (b'{"stream":true}', (("X-Bench-Pace", "20"),))],
)
async def test_paced_stream_takes_its_time_and_starts_at_once(
    mock: Server, body: bytes, headers: tuple[tuple[str, str], ...]
) -> None:
    plan = Plan(mock.port, "/v1/chat/completions", body, headers=headers, connections=2, seconds=1, max_requests=2)
    summary = await carry_out(replace(plan, mark=answers.MARK, marks=100, end_mark=b"[DONE]"))
    assert (summary["requests"], summary["errors"]) == (2, 0)
    assert summary["latency_ms"]["p50"] >= 20 * answers.STREAM_CHUNKS
    assert summary["first_byte_ms"]["p99"] < 1000


async def test_mock_reads_a_chunked_request(mock: Server) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", mock.port)
    writer.write(head + b'9\r\n{"stream"\r\n6\r\n:true}\r\n0\r\n\r\n')
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    assert b"transfer-encoding: chunked" in answer
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_unary_answer_has_the_size_of_the_baseline() -> None:
    assert 880 <= len(answers.openai_unary()) <= 920


@contextlib.asynccontextmanager
async def broken_server(answer: bytes) -> AsyncIterator[int]:
    """A server that answers every connection's first request with these bytes and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


CHUNKED = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (CHUNKED + b"5\r\nlorem\r\n", "unterminated"),
        (CHUNKED + b"5\r\nlorem\r\n0\r\n\r\n", "unterminated"),
        (CHUNKED + b"3\r\nEND\r\n0\r\n\r\n", "wrong_text"),
        (SIZED + b"\r\nloremEND", "unterminated"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nloremEND", "unterminated"),
        (b"HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", "status_503"),
        (b"HTTP/1.1 302 Elsewhere\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", "status_302"),
        (b"nonsense\r\n\r\n", "protocol"),
        (b"", "unterminated"),
    ],
    ids=["cut", "no end mark", "no text", "short of its length", "no framing", "503", "302", "not HTTP", "nothing"],
)
async def test_incomplete_answer_is_an_error(answer: bytes, reason: str) -> None:
    async with broken_server(answer) as port:
        plan = Plan(port, "/", b"{}", connections=2, seconds=2, max_requests=6)
        summary = await carry_out(replace(plan, mark=b"lorem", marks=1, end_mark=b"END"))
    assert (summary["requests"], summary["error_reasons"]) == (0, {reason: 6})


async def test_whole_answer_from_a_server_that_hangs_up_is_none() -> None:
    async with broken_server(SIZED + b"connection: close\r\n\r\nlorem  END") as port:
        plan = Plan(port, "/", b"{}", connections=2, seconds=2, max_requests=6)
        summary = await carry_out(replace(plan, mark=b"lorem", marks=1, end_mark=b"END"))
    assert (summary["requests"], summary["errors"]) == (6, 0)


async def test_refused_connection_is_an_error() -> None:
    async with broken_server(b"") as port:
        pass
    summary = await carry_out(Plan(port, "/", b"{}", connections=3, seconds=1))
    assert (summary["requests"], summary["error_reasons"]) == (0, {"connect": 3})


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "169.254.169.254", "0.0.0.0", "localhost.example.com"])
async def test_host_beyond_loopback_is_refused(host: str) -> None:
    with pytest.raises(NotLoopbackError):
        await carry_out(Plan(80, "/", b"{}", host=host))
    with pytest.raises(SystemExit):
        read_plan(["--host", host, "--port", "80", "--path", "/"])


def test_percentiles_are_nearest_rank() -> None:
    hundred = percentiles([number / 1000 for number in range(100, 0, -1)])  # type: ignore[arg-type]
    assert hundred == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
    assert percentiles([]) == {}  # type: ignore[arg-type]


def test_process_that_does_not_come_up_says_why_and_leaves_nothing() -> None:
    argv = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    with pytest.raises(StartError, match="no such luck"), running(argv, CORE):
        pass


def test_process_with_a_given_port_is_awaited_until_it_is_ready() -> None:
    port = free_port()
    argv = [sys.executable, "-m", "tests.bench.relay", "alone", "--upstream", "9", "--port", str(port)]
    with running_at(argv, CORE, port, "/readyz") as server:
        assert load(BY_NAME["starlette"], server.port, 0.2)["errors"] == 0
    with pytest.raises(StartError, match="status 2"), running_at([*argv, "--nonsense"], CORE, port, "/readyz"):
        pass


def test_stopped_run_ends_every_process_it_started() -> None:
    argv = [sys.executable, "-m", "tests.bench", "--quick", "--cells", "relay"]
    bench = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    assert bench.stderr is not None
    with bench.stderr as messages:
        for line in messages:
            if b"round 1/1 relay" in line:
                break
        started = tree(bench.pid)[1:]
        bench.send_signal(signal.SIGINT)
        assert bench.wait(30) == 130
    assert len(started) >= 2
    assert all(_gone(pid) for pid in started)


def test_profiler_writes_a_flame_graph_and_reports_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # py-spy is not among our dependencies: a stand-in that takes its arguments shows how it is called.
    spy = tmp_path / "py-spy"
    spy.write_text('#!/bin/sh\n[ "$1 $2 $4 $6" = "record --output --pid --duration" ] && touch "$3"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(measure, "ARTIFACTS", tmp_path / "artifacts")
    cell = BY_NAME["amarsia->openai_chat stream"]
    with start_mock(CORE) as server:
        with measure.profiler(server, cell, 1.0):
            pass
        assert (tmp_path / "artifacts" / "flame-amarsia-to-openai_chat-stream.svg").exists()
        spy.write_text("#!/bin/sh\nexit 3\n")
        with pytest.raises(measure.ToolError, match="status 3"), measure.profiler(server, cell, 1.0):
            pass


def test_processes_and_their_workers_end_with_the_block() -> None:
    worker = "import time; time.sleep(60)"
    parent = (
        "import json, signal, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {worker!r}])\n"
        "print(json.dumps({'port': child.pid}), flush=True)\n"
        "time.sleep(60)\n"
    )
    with running([sys.executable, "-c", parent], CORE) as server:
        pid_of_worker = server.port
        assert Path(f"/proc/{pid_of_worker}").exists()
    assert server.process.returncode is not None
    assert _gone(pid_of_worker)


def _gone(pid: int) -> bool:
    """Whether the process ended soon; a zombie that its new parent has not reaped yet has ended."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_generated_configuration_is_one_that_dragoman_reads() -> None:
    settings = parse_settings(json.dumps(dragoman_config(8000)))
    assert settings.models["nova"] == "bench_quant/nova"
    assert settings.providers["bench_amarsia"].base_url == "http://127.0.0.1:8000/v1"


def test_asked_cells_bring_what_they_are_compared_with() -> None:
    assert [cell.name for cell in with_yardsticks(["dragoman-1"])] == ["direct-1", "relay-1", "dragoman-1"]
    assert all(cell.compare_with in BY_NAME for cell in CELLS if cell.compare_with)


def outcome(name: str, cpu: float, **more: Any) -> Outcome:
    rounds = [{**FIGURES, "cpu_us_per_request": cpu * factor, **more} for factor in (1, 5, 0.5)]
    return Outcome(BY_NAME[name], rounds)


def test_table_shows_medians_ratio_and_target() -> None:
    late = outcome("amarsia->openai_chat", 500.0)
    absent = Outcome(BY_NAME["dragoman-1"], problem="dragoman did not start: no")
    lines = table([outcome("relay", 100.0), outcome("openai_chat->openai_chat", 300.0), late, absent]).splitlines()
    assert lines[2].split()[-5:] == ["3.00", "<=", "400/request", "yes", "0"]
    assert lines[3].split()[-5:] == ["5.00", "<=", "400/request", "NO", "0"]
    assert lines[4] == "NOT MEASURED, dragoman did not start: no: dragoman-1"
    assert absent.faulty
    assert not late.faulty


def test_cell_with_errors_is_faulty_and_says_which() -> None:
    broken = outcome("relay", 100.0, errors=2, error_reasons={"short": 2})
    assert broken.faulty
    assert table([broken]).splitlines()[-1] == "ERRORS relay: short x 6"


def test_results_go_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN_MARK}\nold\n{END_MARK}\nafter\n")
    write_results("new", page)
    write_results("newer", page)
    assert page.read_text() == f"before\n{BEGIN_MARK}\n\n```text\nnewer\n```\n\n{END_MARK}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(PageError):
        write_results("new", page)


@pytest.mark.parametrize("arguments", [["--write", "--quick"], ["--write", "--cells", "relay"], ["--cells", "relais"]])
def test_partial_run_cannot_be_published_and_unknown_cells_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        read_arguments(arguments)
