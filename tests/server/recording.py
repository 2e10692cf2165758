"""A tiny upstream inside the test process: keeps what it is sent, byte for byte, and answers what it is told to."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from adapters.contract import WireResponse


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Recorder:
    """What came in so far, and what goes out next. ``port`` is on 127.0.0.1."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answer: WireResponse = field(default_factory=lambda: WireResponse(500, b"{}"))
    chunked: bool = False
    """Send the answer in the chunked coding, as streams are."""
    cut: bool = False
    """Break the connection where the last chunk belongs."""

    def will_answer(self, answer: WireResponse, *, chunked: bool = False, cut: bool = False) -> None:
        """Forget what came in, and answer this from now on."""
        self.received.clear()
        self.answer, self.chunked, self.cut = answer, chunked, cut


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a proxy that ends while it keeps a connection for later."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder that accepts connections until the block ends."""
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            recorder.received.append(Received("POST", self.path, headers, body))
            answer = recorder.answer
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if recorder.chunked:
                self.send_header("transfer-encoding", "chunked")
            else:
                self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self._write(answer.body)

        def _write(self, body: bytes) -> None:
            if not recorder.chunked:
                self.wfile.write(body)
                return
            if body:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))
            if recorder.cut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        def log_request(self, *_: object) -> None:
            pass  # standard error belongs to the tests

    with _Server(("127.0.0.1", 0), Handler) as server:
        recorder.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()
