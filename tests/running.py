"""Real server processes for tests: started as a user would, on a free port, ended by their own handle."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

START_TIMEOUT = 20.0


@dataclass
class Running:
    """A server that accepts connections. ``base`` is the URL it announced; ``log`` what it wrote to standard error."""

    base: str
    process: "subprocess.Popen[str]"
    log: list[str]

    @property
    def port(self) -> int:
        """The port in ``base``."""
        found = re.search(r":(\d+)", self.base.partition("//")[2])
        assert found is not None
        return int(found[1])


@contextmanager
def running(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """``dragoman`` with these arguments, until the block ends. If it does not start, fails with the server's words."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    log: list[str] = []
    assert process.stderr is not None
    assert process.stdout is not None
    reader = Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        announced = process.stdout.readline()
        found = re.search(r"http://\S+", announced)
        if found is None:
            process.wait(START_TIMEOUT)
            reader.join(1)
            raise AssertionError(f"dragoman {' '.join(arguments)} did not start: {announced}{''.join(log)}")
        yield Running(found[0].rstrip("."), process, log)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        reader.join(2)
        process.stdout.close()
        process.stderr.close()


def write_config(folder: Path, text: str) -> str:
    """A configuration file with this text; gives its path."""
    path = folder / "dragoman.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)
