"""``python -m tests.bench``: measure Dragoman beside the bare relay, and say both in one table.

Timing fails nothing: the run ends with 1 only when an answer was wrong, a server did not start, or nothing ran.
"""

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.cells import BY_NAME, CELLS, Cell, with_yardsticks
from tests.bench.measure import FULL, QUICK, Outcome, bench
from tests.bench.processes import Cores, StartError, pick_cores
from tests.bench.report import PageError, as_json, text, write_results
from tests.bench.servers import is_installed

BAR_WIDTH = 30


class Progress:
    """A bar on a terminal, a line a step elsewhere; both on stderr, so that stdout holds the report alone."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.done = 0
        self.on_terminal = sys.stderr.isatty()

    def __call__(self, label: str) -> None:
        if self.on_terminal:
            filled = BAR_WIDTH * min(self.done, self.steps) // self.steps
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            print(f"\r\x1b[K[{bar}] {self.done}/{self.steps} {label}", end="", file=sys.stderr, flush=True)
        else:
            print(f"{self.done + 1}/{self.steps} {label}", file=sys.stderr, flush=True)
        self.done += 1

    def clear(self) -> None:
        if self.on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 2 s a cell: a smoke run, not a result")
    parser.add_argument("--cells", metavar="NAME,...", default="", help="only these and what they are compared with")
    parser.add_argument("--list", action="store_true", help="print the cells' names and end")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write everything measured to this file")
    parser.add_argument("--write", action="store_true", help="renew the results in docs/performance.md")
    parser.add_argument("--profile", metavar="CELL", default="", help="flame graph of this cell (needs py-spy)")
    given = parser.parse_args(arguments)
    given.names = [name for name in (part.strip() for part in given.cells.split(",")) if name]
    unknown = [name for name in (*given.names, *filter(None, [given.profile])) if name not in BY_NAME]
    if unknown:
        parser.error(f"no such cell: {', '.join(unknown)}; --list names them all")
    if given.write and (given.quick or given.names or given.profile):
        parser.error("--write publishes results, and those need a full run: leave out --quick, --cells and --profile")
    if given.profile and shutil.which("py-spy") is None:
        parser.error("--profile needs py-spy on PATH")
    return given


def choose_cells(given: argparse.Namespace) -> list[Cell]:
    """Every cell, or those asked for with what they are compared with; none of a server this machine lacks."""
    names = [*given.names, *filter(None, [given.profile])]
    cells = with_yardsticks(names) if names else list(CELLS)
    return [cell for cell in cells if is_installed(cell.server)]


def stop_orderly(_signal: int, _frame: Any) -> None:
    # Once is enough: a second Ctrl-C must not break off the ending of the processes we started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def measure(given: argparse.Namespace, cores: Cores) -> list[Outcome]:
    cells = choose_cells(given)
    effort = QUICK if given.quick else FULL
    servers = {cell.server for cell in cells} - {"mock"}
    os.sched_setaffinity(0, {cores.others})  # and with it py-spy, which we start
    progress = Progress(len(servers) + effort.rounds * len(cells))
    try:
        with bench(cores, effort, cells, progress) as running:
            return running.run(cells, given.profile)
    finally:
        progress.clear()


def main() -> int:
    if not hasattr(os, "sched_setaffinity"):
        print("the bench pins processes and reads /proc: it needs Linux", file=sys.stderr)
        return 2
    given = read_arguments()
    if given.list:
        print("\n".join(BY_NAME))
        return 0
    signal.signal(signal.SIGINT, stop_orderly)
    signal.signal(signal.SIGTERM, stop_orderly)
    cores = pick_cores()
    try:
        outcomes = measure(given, cores)
        return publish(given, outcomes, cores)
    except KeyboardInterrupt:
        print("stopped; every process of the run has been ended", file=sys.stderr)
        return 130
    except (StartError, PageError) as error:
        print(error, file=sys.stderr)
        return 1


def publish(given: argparse.Namespace, outcomes: Sequence[Outcome], cores: Cores) -> int:
    """Print the report, write the files asked for, and give the exit status."""
    effort = QUICK if given.quick else FULL
    report = text(outcomes, effort, cores)
    print(report)
    if given.json:
        given.json.write_text(json.dumps(as_json(outcomes, effort, cores), indent=1) + "\n")
    measured = any(figures["requests"] for outcome in outcomes for figures in outcome.rounds)
    if not measured or any(outcome.faulty for outcome in outcomes):
        print("not a result: a cell had errors or was not measured", file=sys.stderr)
        return 1
    if given.write:
        write_results(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
