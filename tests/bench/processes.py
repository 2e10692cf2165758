"""Starting, pinning, watching and ending the processes of a run. Linux only: CPU and memory are read from /proc."""

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
BOOT_SECONDS = 30.0
END_SECONDS = 10.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class StartError(RuntimeError):
    """A process of the run did not come up; the message says why, with the end of its own output."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the measured process runs on, which one everything else, and how many there were to choose from."""

    measured: int
    others: int
    allowed: int

    @property
    def shared(self) -> bool:
        return self.measured == self.others

    def __str__(self) -> str:
        if self.shared:
            return f"ONE CORE ONLY ({self.measured}): measured process, load and mock share it"
        return f"measured process on core {self.measured}, load and mock on core {self.others}"


def pick_cores() -> Cores:
    """The first two cores this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[min(1, len(allowed) - 1)], len(allowed))


@dataclass(slots=True)
class Server:
    """A running process that listens on ``port``."""

    process: subprocess.Popen[bytes]
    port: int


@contextlib.contextmanager
def running(argv: Sequence[str], core: int, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A process that prints ``{"port": N}`` when it listens; ended when the block is left, however that happens."""
    with _process(argv, core, environment) as (process, log):
        yield Server(process, _announced_port(process, log))


@contextlib.contextmanager
def running_at(
    argv: Sequence[str], core: int, port: int, ready_path: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A process that was told its port and is up once ``GET ready_path`` answers 200."""
    with _process(argv, core, environment) as (process, log):
        _wait_until_ready(process, log, port, ready_path)
        yield Server(process, port)


@contextlib.contextmanager
def _process(
    argv: Sequence[str], core: int, environment: Mapping[str, str] | None
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # its own session: Ctrl-C reaches us alone, and we end it in order
            argv,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            os.sched_setaffinity(process.pid, {core})
            yield process, log
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to stop; kill it when it does not, and any worker it left behind."""
    if process.returncode is None:
        process.terminate()
        _wait_unreaped(process.pid, END_SECONDS)
        # The process is still ours to reap, so its id still names the session we opened for it and nobody else's.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


def _wait_unreaped(pid: int, seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.02)


def _announced_port(process: subprocess.Popen[bytes], log: IO[bytes]) -> int:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], BOOT_SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise StartError(_why(process, log))
    port: int = json.loads(line)["port"]
    return port


def _wait_until_ready(process: subprocess.Popen[bytes], log: IO[bytes], port: int, path: str) -> None:
    give_up_at = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        if _status(port, path) == 200:
            return
        time.sleep(0.05)
    raise StartError(_why(process, log))


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _why(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    state = "was not ready in time" if process.poll() is None else f"ended with status {process.returncode}"
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return ": ".join([state, *lines[-1:]])


def tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in children.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, its living descendants, and the children they have reaped."""
    ticks = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            # The command name may hold spaces and brackets; the fields are counted from behind it (proc(5)).
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_PER_SECOND


def resident_mb(pid: int) -> float:
    """Resident memory of the process and its descendants; pages they share count once for each."""
    kilobytes = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    kilobytes += int(line.split()[1])
    return kilobytes / 1024
