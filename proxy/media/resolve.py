"""Names to addresses, on threads of the fetcher's own."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port -> addresses as text. Raises ``OSError`` or ``UnicodeError``."""


class SystemResolver:
    """What the operating system says about a name.

    The threads are its own because the client picks the name: on the event loop's threads a few names with slow
    name servers would keep the upstreams' names from being resolved.
    """

    def __init__(self, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="media-dns")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _resolve, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Let the threads end; one that waits for a name server ends when that answers."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolve(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
