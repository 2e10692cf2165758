"""Measuring: every cell once a round, CPU read around the load, the median of the rounds at the end."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.cells import Cell
from tests.bench.processes import ROOT, Cores, Server, StartError, cpu_seconds, end, resident_mb
from tests.bench.servers import is_installed, start_mock, starter

ARTIFACTS = ROOT / ".artifacts"
# The load generator drains for up to 10 s after its time is up; beyond that it hangs.
LOAD_GRACE_SECONDS = 30.0


class ToolError(RuntimeError):
    """One of our own tools failed, which says nothing about the server."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often each cell is measured."""

    rounds: int = 3
    seconds: float = 6.0
    warm_up: float = 1.0


FULL = Effort()
QUICK = Effort(rounds=1, seconds=2.0, warm_up=0.5)


@dataclass(slots=True)
class Outcome:
    """What the rounds of one cell gave, or why there are none."""

    cell: Cell
    rounds: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""

    @property
    def errors(self) -> int:
        return sum(figures["errors"] for figures in self.rounds)

    @property
    def faulty(self) -> bool:
        return bool(self.problem) or self.errors > 0 or any(not figures["requests"] for figures in self.rounds)

    def median(self, *path: str) -> float | None:
        """The median over the rounds of one figure; None when no round has it."""
        values = [_dig(figures, path) for figures in self.rounds]
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else None


def _dig(figures: dict[str, Any], path: Sequence[str]) -> float | None:
    value: Any = figures
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


@dataclass(slots=True)
class Bench:
    """The running servers of one run, and how to measure with them."""

    cores: Cores
    effort: Effort
    report_progress: Callable[[str], None]
    servers: dict[str, Server] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def run(self, cells: Sequence[Cell], profiled: str = "") -> list[Outcome]:
        """Every cell measured round by round, so that a slow minute of the machine hits all cells alike."""
        outcomes = [Outcome(cell, problem=self.problems.get(cell.server, "")) for cell in cells]
        for number in range(1, self.effort.rounds + 1):
            for outcome in outcomes:
                if outcome.problem:
                    continue
                self.report_progress(f"round {number}/{self.effort.rounds} {outcome.cell.name}")
                try:
                    outcome.rounds.append(self._measure(outcome.cell, profile=outcome.cell.name == profiled))
                except ToolError as error:
                    outcome.problem = str(error)
        return outcomes

    def _measure(self, cell: Cell, *, profile: bool) -> dict[str, Any]:
        server = self.servers[cell.server]
        self._load(cell, server.port, self.effort.warm_up)
        # CPU is read outside the load generator's whole life: idle servers use none, and so no request is half counted.
        before = cpu_seconds(server.process.pid)
        with profiler(server, cell, self.effort.seconds) if profile else contextlib.nullcontext():
            figures = self._load(cell, server.port, self.effort.seconds)
        cpu = cpu_seconds(server.process.pid) - before
        if figures["requests"]:
            figures["cpu_us_per_request"] = cpu / figures["requests"] * 1e6
            if cell.stream:
                figures["cpu_us_per_chunk"] = cpu / figures["chunks"] * 1e6
        figures["rss_mb"] = resident_mb(server.process.pid)
        return figures

    def _load(self, cell: Cell, port: int, seconds: float) -> dict[str, Any]:
        argv = [sys.executable, "-m", "tests.bench.load", *cell.load_arguments(port, seconds)]
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
        try:
            os.sched_setaffinity(process.pid, {self.cores.others})
            output, _ = process.communicate(timeout=seconds + LOAD_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            raise ToolError("the load generator hung") from None
        finally:
            end(process)
        if process.returncode:
            raise ToolError(f"the load generator ended with status {process.returncode}")
        figures: dict[str, Any] = json.loads(output)
        return figures


@contextlib.contextmanager
def bench(
    cores: Cores, effort: Effort, cells: Sequence[Cell], report_progress: Callable[[str], None]
) -> Iterator[Bench]:
    """A bench with every server that these cells need; all are ended when the block is left.

    A server that does not come up is a problem of its cells only. nginx is left out without one.
    """
    made = Bench(cores, effort, report_progress)
    with contextlib.ExitStack() as stack:
        mock = stack.enter_context(start_mock(cores.others))
        made.servers["mock"] = mock
        for name in dict.fromkeys(cell.server for cell in cells if cell.server != "mock"):
            if not is_installed(name):
                continue
            report_progress(f"starting {name}")
            try:
                made.servers[name] = stack.enter_context(starter(name)(mock.port, cores.measured))
            except (StartError, OSError) as error:
                made.problems[name] = f"{name} did not start: {error}"
        yield made


@contextlib.contextmanager
def profiler(server: Server, cell: Cell, seconds: float) -> Iterator[None]:
    """py-spy on the measured process and its children meanwhile; the flame graph goes to .artifacts/."""
    ARTIFACTS.mkdir(exist_ok=True)
    command = shutil.which("py-spy")
    if command is None:
        raise ToolError("--profile needs py-spy on PATH")
    target = ARTIFACTS / flame_graph_name(cell)
    argv = [command, "record", "--output", str(target), "--pid", str(server.process.pid)]
    process = subprocess.Popen(
        [*argv, "--duration", str(max(1, round(seconds))), "--subprocesses"], start_new_session=True
    )
    try:
        yield
        status = process.wait(seconds + LOAD_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        raise ToolError("py-spy hung") from None
    finally:
        end(process)
    if status:
        raise ToolError(f"py-spy ended with status {status}")


def flame_graph_name(cell: Cell) -> Path:
    """A file name without the characters that a cell's name may hold and a shell would act on."""
    return Path("flame-" + cell.name.replace("->", "-to-").replace(" ", "-") + ".svg")
