"""The servers of a run by name: what each needs on its command line, and how one knows that it is up."""

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import yaml

from tests.bench.cells import dragoman_config
from tests.bench.processes import Server, running, running_at

RELAY_MODES = {
    "starlette": "alone",
    "relay": "aiohttp",
    "httpx-transport": "httpx-transport",
    "httpx-client": "httpx-client",
}
NGINX_CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 10000000;
  upstream mock {{ server 127.0.0.1:{mock_port}; keepalive 256; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port};
    location = /ready {{ return 200; }}
    location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def start_mock(core: int) -> AbstractContextManager[Server]:
    return running([sys.executable, "-m", "tests.bench.mock_upstream"], core)


def start_relay(mode: str, mock_port: int, core: int) -> AbstractContextManager[Server]:
    return running([sys.executable, "-m", "tests.bench.relay", mode, "--upstream", str(mock_port)], core)


@contextlib.contextmanager
def start_dragoman(mock_port: int, core: int) -> Iterator[Server]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as folder:
        config = Path(folder) / "dragoman.yaml"
        config.write_text(yaml.safe_dump(dragoman_config(mock_port)))
        # The script beside this interpreter: the bench measures the checkout it belongs to, not another on PATH.
        command = str(Path(sys.executable).with_name("dragoman"))
        argv = [command, "serve", "--config", str(config), "--port", str(port)]
        with running_at(argv, core, port, "/readyz", {"BENCH_KEY": "bench"}) as server:
            yield server


@contextlib.contextmanager
def start_nginx(mock_port: int, core: int) -> Iterator[Server]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(folder=folder, mock_port=mock_port, port=port))
        argv = ["nginx", "-c", str(config), "-p", folder, "-e", "stderr"]
        with running_at(argv, core, port, "/ready") as server:
            yield server


def is_installed(server: str) -> bool:
    """False for the one server that a machine may lack without that being a fault."""
    return server != "nginx" or shutil.which("nginx", path=os.environ.get("PATH")) is not None


def starter(server: str) -> Callable[[int, int], AbstractContextManager[Server]]:
    """What starts this server, given the mock's port and a core."""
    if server in RELAY_MODES:
        return lambda mock_port, core: start_relay(RELAY_MODES[server], mock_port, core)
    return {"dragoman": start_dragoman, "nginx": start_nginx}[server]
