"""Server-sent events, as the HTML standard defines their framing (https://html.spec.whatwg.org/#event-stream-interpretation).

Lines end at CR, LF or CRLF and nowhere else: U+2028 and friends are ordinary characters inside JSON, which is why
``str.splitlines`` and the line iterators of HTTP clients must not be used here.
"""

import re
from itertools import pairwise
from typing import NamedTuple

from adapters.model.error import DecodeError

MAX_EVENT_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")


class SseEvent(NamedTuple):
    """One dispatched event. ``data`` has the data lines joined by LF; ``event`` and ``id`` are empty when not sent."""

    data: bytes
    event: bytes = b""
    id: bytes = b""


class SseDecoder:
    """Splits a byte stream into events; any split of the same bytes gives the same events.

    Comments, ``retry`` and unknown fields are ignored, events without data are not dispatched. Raises ``DecodeError``
    for an event of more than ``max_event_bytes``.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._max_event_bytes = max_event_bytes
        self._at_start = True
        self._skip_line_feed = False
        self._raw_tail: bytes | None = None  # kept from the first CR on; until then it equals the buffer
        self._raw_sizes: list[int] = []
        self._blocks: list[bytes] = []
        self._unread = 0

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to an event that is not complete yet, or was not read."""
        return self._unread + (len(self._buffer) if self._raw_tail is None else len(self._raw_tail))

    def unread(self, count: int) -> None:
        """Count the last ``count`` events of the last ``feed``, and what follows them, among the pending bytes.

        For the reader that stops in the midst of a read: at an end mark, or before an event that is a failure.
        """
        sizes = self._raw_sizes if self._raw_tail is not None else [len(block) + 2 for block in self._blocks]
        for block, size in zip(reversed(self._blocks), reversed(sizes), strict=True):
            is_event = self._parse(block) is not None
            if is_event and count == 0:
                break
            count -= is_event
            self._unread += size

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events completed by these bytes."""
        if b"\r" in data or self._raw_tail is not None:
            data = self._normalised(data)
        buffer = self._buffer
        searched = max(len(buffer) - 1, 0)
        buffer += data
        if self._at_start and not self._past_byte_order_mark():
            return []
        if buffer.find(b"\n\n", searched) < 0:
            self._check_size(len(buffer) - buffer.endswith(b"\n"))  # a line end is no part of the event
            return []
        *self._blocks, rest = bytes(buffer).split(b"\n\n")
        self._buffer = bytearray(rest)
        self._check_size(len(rest) - rest.endswith(b"\n"))
        return [event for block in self._blocks if (event := self._parse(block)) is not None]

    def finish(self) -> list[SseEvent]:
        """At end of input: the last event even if its blank line, or its whole line end, is missing."""
        event = self._parse(bytes(self._buffer))
        self._buffer.clear()
        return [] if event is None else [event]

    def _normalised(self, data: bytes) -> bytes:
        """All line ends as LF. A CR that ends a read counts at once; an LF that starts the next one belongs to it."""
        tail = (bytes(self._buffer) if self._raw_tail is None else self._raw_tail) + data
        ends = [0, *(blank.end() for blank in _BLANK_LINE.finditer(tail))]
        self._raw_sizes = [end - start for start, end in pairwise(ends)]
        self._raw_tail = tail[ends[-1] :]
        if self._skip_line_feed and data:
            self._skip_line_feed = False
            if data[:1] == b"\n":
                data = data[1:]
        if data[-1:] == b"\r":
            self._skip_line_feed = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _past_byte_order_mark(self) -> bool:
        head = bytes(self._buffer[:3])
        if len(head) < 3 and _BOM.startswith(head):
            return False
        if head == _BOM:
            del self._buffer[:3]
        self._at_start = False
        return True

    def _parse(self, block: bytes) -> SseEvent | None:
        self._check_size(len(block))
        if block.startswith(b"data: ") and b"\n" not in block:
            return SseEvent(block[6:])
        data: list[bytes] = []
        event = identity = b""
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value
            elif name == b"id":
                identity = value
        return SseEvent(b"\n".join(data), event, identity) if data else None

    def _check_size(self, size: int) -> None:
        if size > self._max_event_bytes:
            raise DecodeError(f"an event is larger than {self._max_event_bytes} bytes", code="event_too_large")


def encode_data(data: bytes) -> bytes:
    """An event of one data line. ``data`` must hold no line break: JSON from orjson never does."""
    return b"data: " + data + b"\n\n"


# Written as escapes, because naive readers end a line at them: str.splitlines in Python, several SSE parsers.
_LINE_ENDS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))


def one_line(json_text: bytes) -> bytes:
    """The same JSON text with U+2028, U+2029 and U+0085 escaped, so that naive line splitters leave it whole."""
    if b"\xe2\x80" in json_text or b"\xc2\x85" in json_text:
        for raw, escaped in _LINE_ENDS:
            json_text = json_text.replace(raw, escaped)
    return json_text
