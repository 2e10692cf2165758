"""Framing of streams: server-sent events with ``alt=sse``, else one JSON array that grows, a chunk an element."""

import re

import orjson

from adapters.model.error import DecodeError
from adapters.model.message import Json
from adapters.wire.sse import MAX_EVENT_BYTES, SseDecoder, encode_data, one_line

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_HEAD = 1024
_LONGEST_BODY = 8 * MAX_EVENT_BYTES
_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')


class JsonArrayDecoder:
    """Splits a JSON array into its elements, which must be objects; any split of the bytes gives the same ones.

    ``ended``: the closing bracket came, and what follows it is ignored. Raises ``DecodeError`` for what is no such
    array, and for an element of more than ``max_element_bytes``.
    """

    __slots__ = (
        "_buffer", "_closing", "_depth", "_expected", "_in_string", "_max_element_bytes", "_place", "_sizes", "_start",
        "_unread", "ended",
    )  # fmt: skip

    def __init__(self, max_element_bytes: int = MAX_EVENT_BYTES) -> None:
        self.ended = False
        self._max_element_bytes = max_element_bytes
        self._buffer = bytearray()
        self._place = 0  # up to here the buffer has been looked at
        self._expected = b"["
        self._start = -1  # of the element being read
        self._depth = 0
        self._in_string = False
        self._sizes: list[int] = []  # of the elements of the last read, with what stood before each
        self._closing = 0
        self._unread = 0

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far come after the last element that was read, its comma among them."""
        return self._unread + len(self._buffer)

    def unread(self, count: int) -> None:
        """Count the last ``count`` elements of the last ``feed``, and what follows them, among the pending bytes."""
        self._unread += sum(self._sizes[len(self._sizes) - count :]) + self._closing

    def feed(self, data: bytes) -> list[bytes]:
        """The elements completed by these bytes."""
        elements: list[bytes] = []
        self._sizes = []
        self._buffer += data
        while not self.ended and (self._start >= 0 or self._find_start()) and self._find_end():
            elements.append(bytes(self._buffer[self._start : self._place]))
            self._sizes.append(self._place)
            del self._buffer[: self._place]
            self._place, self._start, self._expected = 0, -1, b",]"
        if self.ended:
            self._closing = self._place
            del self._buffer[: self._place]
            self._place = 0
        elif len(self._buffer) > self._max_element_bytes:
            raise DecodeError(f"an element is larger than {self._max_element_bytes} bytes", code="event_too_large")
        return elements

    def _find_start(self) -> bool:
        """Pass what stands between elements, up to the bracket that begins the next one."""
        while self._place < len(self._buffer):
            mark = bytes(self._buffer[self._place : self._place + 1])
            self._place += 1
            if mark.isspace():
                continue
            if mark not in self._expected:
                raise DecodeError("the stream is no JSON array of objects", code="invalid_json")
            if mark == b"{":
                self._start, self._depth = self._place - 1, 1
                return True
            self._expected = b"{]" if mark == b"[" else b"{"
            if mark == b"]":
                self.ended = True
                return False
        return False

    def _find_end(self) -> bool:
        """Go on to the bracket that ends the element; brackets inside strings do not count."""
        while True:
            found = (_INSIDE if self._in_string else _OUTSIDE).search(self._buffer, self._place)
            if found is None:
                self._place = len(self._buffer)
                return False
            mark = found[0]
            if mark == b"\\":
                if found.end() == len(self._buffer):  # what it escapes has not come yet
                    self._place = found.start()
                    return False
                self._place = found.end() + 1
                continue
            self._place = found.end()
            if mark == b'"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if mark in b"{[" else -1
                if self._depth == 0:
                    return True


class ChunkFrames:
    """Finds the chunks in a stream of either form, or in the body of an answer that is not streamed (SSE-17).

    ``ended``: the form has a mark for its end, and it came. ``endless``: it has none.
    """

    __slots__ = ("_array", "_body", "_counted", "_fed", "_head", "_held_from", "_single", "_sse", "ended")

    def __init__(self) -> None:
        self.ended = False
        self._fed = 0
        self._held_from: int | None = None
        self._counted = 0  # bytes that ``unread`` made pending and that were read after all
        self._single = 0  # size of the last read, if it was one event and needed no decoder
        self._head: bytes | None = b""  # as long as it is not clear which form it is
        self._sse = SseDecoder()
        self._array: JsonArrayDecoder | None = None
        self._body: bytearray | None = None

    @property
    def endless(self) -> bool:
        return self._array is None and self._body is None

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to a chunk that is not complete yet, or that is held."""
        if self._held_from is not None:
            return self._fed - self._held_from
        if self._head is not None:
            return len(self._head)
        if self._array is not None:
            return self._array.pending
        return self._sse.pending - self._counted if self._body is None else len(self._body)

    def hold(self, count: int) -> None:
        """Count the last ``count`` chunks of the last ``feed``, and all that follows until ``release``, as pending."""
        if self._single:
            self._held_from = self._fed - self._single
            return
        before = self._sse.pending
        self._sse.unread(count)
        self._held_from = self._fed - (self._sse.pending - self._counted)
        self._counted += self._sse.pending - before

    def release(self) -> None:
        """The chunks that were held are read."""
        self._held_from = None

    def unread(self, count: int) -> None:
        """Count the last ``count`` chunks of the last ``feed``, and what follows them, among the pending bytes."""
        if self._array is not None:
            self._array.unread(count)
        elif self._single:
            self._counted -= self._single if count else 0
        elif self._body is None:
            self._sse.unread(count)

    def feed(self, data: bytes) -> list[bytes]:
        """The chunks completed by these bytes, as JSON text."""
        self._fed += len(data)
        self._single = 0
        if self._head is not None:
            data = self._choose(self._head + data)
        elif data[:6] == b"data: " and self._is_one_event(data):
            self._single = len(data)
            return [data[6:-4]]
        if self._array is not None:
            elements = self._array.feed(data)
            self.ended = self._array.ended
            return elements
        if self._body is not None:
            self._body += data
            if len(self._body) > _LONGEST_BODY:
                raise DecodeError(f"the answer is larger than {_LONGEST_BODY} bytes", code="event_too_large")
            return []
        return [event.data for event in self._sse.feed(data)]

    def _is_one_event(self, data: bytes) -> bool:
        """Whether a read is one event as Google sends it: a line, CR LF twice. Looking for line ends costs more."""
        return (
            data[-4:] == b"\r\n\r\n"
            and data.count(b"\n") == data.count(b"\r") == 2
            and len(data) < MAX_EVENT_BYTES
            and self.endless
            and self._sse.pending == self._counted
        )

    def finish(self) -> list[bytes]:
        """At end of input: a last chunk that lacks only its line end, or the body."""
        if self._body is not None:
            self.ended = True
            return [bytes(self._body)]
        return [event.data for event in self._sse.finish()]

    def _choose(self, head: bytes) -> bytes:
        """What of the bytes can be read: nothing until the first one that is not blank."""
        start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
        if len(head) < _LONGEST_HEAD and (not start or _BYTE_ORDER_MARK.startswith(head)):
            self._head = head
            return b""
        self._head = None
        if start[:1] == b"[":
            self._array = JsonArrayDecoder()
            return start
        if start[:1] == b"{":
            self._body = bytearray()
            return start
        return head


class SseForm:
    """Writes chunks as events of one data line, without names, comments or an end mark (SSE-10, hard-cases.md)."""

    before = b"data: "
    after = b"\n\n"
    end = b""
    opens = False

    def chunk(self, value: Json) -> bytes:
        return encode_data(one_line(orjson.dumps(value)))


class ArrayForm:
    """Writes chunks as elements of one array; the first one opens it, so that all others follow a comma."""

    before = b",\n"
    after = b""
    end = b"]\n"
    opens = True

    def __init__(self) -> None:
        self._opened = False

    def chunk(self, value: Json) -> bytes:
        before, self._opened = (self.before if self._opened else b"["), True
        return before + one_line(orjson.dumps(value))
