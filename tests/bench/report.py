"""Saying what was measured: the table, the JSON file, and the results block of docs/performance.md."""

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.measure import Effort, Outcome
from tests.bench.processes import ROOT, Cores

PERFORMANCE_PAGE = ROOT / "docs" / "performance.md"
BEGIN_MARK = "<!-- results: begin (written by python -m tests.bench --write) -->"
END_MARK = "<!-- results: end -->"
DISTRIBUTIONS = ("uvicorn", "starlette", "aiohttp", "orjson", "uvloop", "httptools", "httpx")
HEADINGS = (
    "cell", "conn", "req/s", "CPU us/request", "CPU us/chunk", "p50 ms", "p99 ms", "first byte p99",
    "RSS MB", "CPU x relay", "target us", "met", "errors",
)  # fmt: skip


class PageError(ValueError):
    """The page has no place for results."""


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": _processor(),
        "python": platform.python_version(),
        **{name: version(name) for name in DISTRIBUTIONS},
    }


def _commit() -> str:
    argv = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def ratio(outcome: Outcome, by_name: dict[str, Outcome]) -> float | None:
    """CPU of this cell over CPU of the bare relay's twin in the same run."""
    yardstick = by_name.get(outcome.cell.compare_with)
    ours = outcome.median("cpu_us_per_request")
    theirs = yardstick.median("cpu_us_per_request") if yardstick else None
    return ours / theirs if ours and theirs else None


def met(outcome: Outcome) -> bool | None:
    """Whether the cell's CPU is within its target; None without a target or a figure."""
    figure = outcome.median("cpu_us_per_chunk" if outcome.cell.stream else "cpu_us_per_request")
    if outcome.cell.target_us is None or figure is None:
        return None
    return figure <= outcome.cell.target_us


def table(outcomes: Sequence[Outcome]) -> str:
    """One aligned row per cell, then what was not measured or went wrong, and the added latency."""
    by_name = {outcome.cell.name: outcome for outcome in outcomes}
    rows = [HEADINGS, *(_row(outcome, by_name) for outcome in outcomes if outcome.rounds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    for problem in dict.fromkeys(outcome.problem for outcome in outcomes if outcome.problem):
        names = ", ".join(outcome.cell.name for outcome in outcomes if outcome.problem == problem)
        lines.append(f"NOT MEASURED, {problem}: {names}")
    lines += [f"ERRORS {outcome.cell.name}: {reasons}" for outcome in outcomes if (reasons := error_reasons(outcome))]
    return "\n".join([*lines, *_added_latency(by_name)])


def _row(outcome: Outcome, by_name: dict[str, Outcome]) -> tuple[str, ...]:
    cell = outcome.cell
    unit = "chunk" if cell.stream else "request"
    return (
        cell.name,
        str(cell.connections),
        _number(outcome.median("requests_per_second"), 0),
        _number(outcome.median("cpu_us_per_request"), 0),
        _number(outcome.median("cpu_us_per_chunk"), 1),
        _number(outcome.median("latency_ms", "p50"), 2),
        _number(outcome.median("latency_ms", "p99"), 2),
        _number(outcome.median("first_byte_ms", "p99"), 2) if cell.stream else "-",
        _number(outcome.median("rss_mb"), 0),
        _number(ratio(outcome, by_name), 2),
        "-" if cell.target_us is None else f"<= {cell.target_us:.0f}/{unit}",
        {None: "-", True: "yes", False: "NO"}[met(outcome)],
        str(outcome.errors),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def error_reasons(outcome: Outcome) -> str:
    """What went wrong how often, over all rounds; empty when nothing did."""
    reasons: dict[str, int] = {}
    for figures in outcome.rounds:
        for reason, count in figures["error_reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    return ", ".join(f"{reason} x {count}" for reason, count in sorted(reasons.items()))


def _added_latency(by_name: dict[str, Outcome]) -> list[str]:
    direct = by_name.get("direct-1")
    lines = []
    for name in ("relay-1", "dragoman-1"):
        via = by_name.get(name)
        if not (direct and via and direct.rounds and via.rounds):
            continue
        added = []
        for key in ("p50", "p99"):
            base, figure = direct.median("latency_ms", key), via.median("latency_ms", key)
            if base is not None and figure is not None:
                added.append(f"{key} {figure - base:+.3f} ms")
        lines.append(f"added latency at 1 connection, {name} over direct: {', '.join(added)}")
    return lines


def text(outcomes: Sequence[Outcome], effort: Effort, cores: Cores) -> str:
    """The whole report as plain text."""
    facts = machine()
    versions = ", ".join(f"{name} {facts[name]}" for name in ("python", *DISTRIBUTIONS))
    repeats = f"median of {effort.rounds} rounds" if effort.rounds > 1 else "ONE ROUND ONLY, a smoke run"
    return "\n".join(
        [
            f"{facts['date']}, commit {facts['commit']}, {cores.allowed} cores ({facts['processor']})",
            versions,
            f"{cores}; {repeats} of {effort.seconds:g} s after {effort.warm_up:g} s of warm-up",
            "",
            table(outcomes),
        ]
    )


def as_json(outcomes: Sequence[Outcome], effort: Effort, cores: Cores) -> dict[str, Any]:
    """Everything measured, each round included."""
    by_name = {outcome.cell.name: outcome for outcome in outcomes}
    cells = [
        {
            "cell": outcome.cell.name,
            "connections": outcome.cell.connections,
            "cpu_us_per_request": outcome.median("cpu_us_per_request"),
            "cpu_us_per_chunk": outcome.median("cpu_us_per_chunk"),
            "requests_per_second": outcome.median("requests_per_second"),
            "ratio_to_relay": ratio(outcome, by_name),
            "target_us": outcome.cell.target_us,
            "met": met(outcome),
            "problem": outcome.problem,
            "rounds": outcome.rounds,
        }
        for outcome in outcomes
    ]
    return {"machine": machine(), "cores": asdict(cores), "effort": asdict(effort), "cells": cells}


def write_results(results: str, page: Path = PERFORMANCE_PAGE) -> None:
    """Replace what stands between the page's two marks. Raises PageError when it has none."""
    before, begin, rest = page.read_text().partition(BEGIN_MARK)
    _, found_end, after = rest.partition(END_MARK)
    if not begin or not found_end:
        raise PageError(f"{page} lacks the marks around its results")
    page.write_text(f"{before}{BEGIN_MARK}\n\n```text\n{results}\n```\n\n{END_MARK}{after}")
