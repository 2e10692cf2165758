"""The binary event stream of AWS, ``application/vnd.amazon.eventstream``.

A frame is a prelude (total length, length of the headers, CRC of these two), headers, payload and a CRC of all that:
https://smithy.io/2.0/aws/amazon-eventstream.html. Numbers are big-endian, the CRC is that of zlib.
"""

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from zlib import crc32

from adapters.model.error import DecodeError

MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_HEADER_BYTES = 128 * 1024

_LENGTHS = struct.Struct(">II")
_CRC = struct.Struct(">I")
_SHORT = struct.Struct(">H")
_PRELUDE = struct.Struct(">III")
_STRING = 7

# Streams repeat a few header blocks in every frame: these are read once. Both numbers bound the memory this takes.
_REMEMBERED_BLOCKS = 64
_REMEMBERED_BYTES = 1024


class Frame(NamedTuple):
    """One frame. Header values of every type are given as text; frames may share their ``headers``."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamDecoder:
    """Splits a byte stream into frames; any split of the same bytes gives the same frames.

    Both checksums are checked, and a frame that claims more than ``max_frame_bytes`` is refused before it is read.
    """

    __slots__ = ("_blocks", "_buffer", "_max_frame_bytes", "_wanted")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._max_frame_bytes = max_frame_bytes
        self._wanted = _PRELUDE.size  # so many bytes must be there before it is worth looking again
        self._blocks: dict[bytes, Mapping[str, str]] = {}

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to a frame that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames completed by these bytes. Raises ``DecodeError`` for bytes that no such stream can hold."""
        return list(self.read(data))

    def read(self, data: bytes) -> Iterator[Frame]:
        """The same one by one, so that the frames before a bad one are not lost."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        place, size = 0, len(data)
        self._wanted = _PRELUDE.size
        try:
            while size - place >= _PRELUDE.size:
                total, payload_start = self._check_prelude(data, place)
                end = place + total
                if end > size:
                    self._wanted = total
                    break
                frame = self._parse(data, place, payload_start, end)
                place = end
                yield frame
        finally:
            self._buffer += data[place:]

    def _check_prelude(self, data: bytes, place: int) -> tuple[int, int]:
        """The length of the frame at ``place``, and where in ``data`` its payload starts."""
        total, header_bytes, checksum = _PRELUDE.unpack_from(data, place)
        if checksum != crc32(data[place : place + _LENGTHS.size]):
            raise DecodeError("the checksum of a frame's prelude is wrong", code="crc_mismatch")
        if total > self._max_frame_bytes:
            raise DecodeError(f"a frame is larger than {self._max_frame_bytes} bytes", code="frame_too_large")
        if header_bytes > MAX_HEADER_BYTES:
            raise DecodeError(f"a frame's headers are larger than {MAX_HEADER_BYTES} bytes", code="frame_too_large")
        if total < _PRELUDE.size + header_bytes + _CRC.size:
            raise DecodeError("a frame is shorter than its own headers", code="bad_frame")
        return total, place + _PRELUDE.size + header_bytes

    def _parse(self, data: bytes, place: int, payload_start: int, end: int) -> Frame:
        payload_end = end - _CRC.size
        if _CRC.unpack_from(data, payload_end)[0] != crc32(memoryview(data)[place:payload_end]):
            raise DecodeError("the checksum of a frame is wrong", code="crc_mismatch")
        block = data[place + _PRELUDE.size : payload_start]
        headers = self._blocks.get(block)
        if headers is None:
            headers = _decode_headers(block)
            if len(block) <= _REMEMBERED_BYTES and len(self._blocks) < _REMEMBERED_BLOCKS:
                self._blocks[block] = headers
        return Frame(headers, data[payload_start:payload_end])


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame with these headers, all of type string."""
    return frame_with(encode_headers(headers), payload)


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """The header block of a frame, for ``frame_with``."""
    pieces: list[bytes] = []
    for name, value in headers.items():
        raw_name, raw_value = name.encode(), value.encode()
        pieces += (bytes((len(raw_name),)), raw_name, bytes((_STRING,)), _SHORT.pack(len(raw_value)), raw_value)
    return b"".join(pieces)


def frame_with(header_block: bytes, payload: bytes) -> bytes:
    """A frame whose headers are encoded already: those of a stream repeat in every frame."""
    lengths = _LENGTHS.pack(_PRELUDE.size + len(header_block) + len(payload) + _CRC.size, len(header_block))
    message = b"%b%b%b%b" % (lengths, _CRC.pack(crc32(lengths)), header_block, payload)
    return message + _CRC.pack(crc32(message))


def _decode_headers(block: bytes) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    place = 0
    try:
        while place < len(block):
            name_end = place + 1 + block[place]
            name = block[place + 1 : name_end].decode()
            read = _VALUE_READERS[block[name_end]]
            value, place = read(block, name_end + 1)
            if place > len(block):
                raise DecodeError("a frame's header reaches beyond its headers", code="bad_frame")
            if not name or name in headers:
                raise DecodeError("a frame has a header without a name, or one twice", code="bad_frame")
            headers[name] = value
    except (IndexError, KeyError, struct.error, UnicodeDecodeError):
        raise DecodeError("a frame's headers cannot be read", code="bad_frame") from None
    return headers


def _number(form: str) -> Callable[[bytes, int], tuple[str, int]]:
    layout = struct.Struct(form)

    def read(block: bytes, place: int) -> tuple[str, int]:
        return str(layout.unpack_from(block, place)[0]), place + layout.size

    return read


def _bytes_at(block: bytes, place: int) -> tuple[bytes, int]:
    start = place + _SHORT.size
    end = start + _SHORT.unpack_from(block, place)[0]
    return block[start:end], end


def _read_bytes(block: bytes, place: int) -> tuple[str, int]:
    value, end = _bytes_at(block, place)
    return base64.b64encode(value).decode(), end


def _read_string(block: bytes, place: int) -> tuple[str, int]:
    value, end = _bytes_at(block, place)
    return value.decode(), end


def _read_uuid(block: bytes, place: int) -> tuple[str, int]:
    digits = block[place : place + 16].hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])), place + 16


# The types of header values: true, false, byte, short, integer, long, bytes, string, timestamp (in ms), uuid.
_VALUE_READERS: dict[int, Callable[[bytes, int], tuple[str, int]]] = {
    0: lambda block, place: ("true", place),
    1: lambda block, place: ("false", place),
    2: _number(">b"),
    3: _number(">h"),
    4: _number(">i"),
    5: _number(">q"),
    6: _read_bytes,
    _STRING: _read_string,
    8: _number(">q"),
    9: _read_uuid,
}
