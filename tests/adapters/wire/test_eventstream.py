"""Framing of AWS event streams. The frames given in hex were checked with botocore's own reader (1.44.5)."""

import struct
from contextlib import suppress
from itertools import pairwise
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import DecodeError
from adapters.wire.eventstream import (
    MAX_FRAME_BYTES,
    EventStreamDecoder,
    Frame,
    encode_frame,
    encode_headers,
    frame_with,
)

EVENT = {":message-type": "event", ":event-type": "messageStart", ":content-type": "application/json"}
MESSAGE_START = bytes.fromhex(
    "000000760000005296d5fade0d3a6d6573736167652d747970650700056576656e740b3a6576656e742d7479706507000c6d65737361676553"
    "746172740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b22726f6c65223a22617373697374616e74227d"
    "1cc6be18"
)
EVERY_TYPE = bytes.fromhex(
    "0000008000000069e0aab607017400016601046279746502ff0573686f727403fed403696e740400011170046c6f6e6705ffffff0000000000"
    "05627974657306000200ff04746578740700076772c3b6c39f65047768656e080000018bcfe5687b02696409000102030405060708090a0b0c"
    "0d0e0f7061796c6f616493dd814e"
)


def read(*reads: bytes) -> list[Frame]:
    decoder = EventStreamDecoder()
    return [frame for piece in reads for frame in decoder.feed(piece)]


def refusal(raw: bytes) -> str | None:
    with pytest.raises(DecodeError) as caught:
        EventStreamDecoder().feed(raw)
    return caught.value.code


def frame_of(block: bytes, payload: bytes = b"") -> bytes:
    """A frame with right checksums around any header block."""
    return frame_with(block, payload)


def prelude(total: int, headers: int) -> bytes:
    lengths = struct.pack(">II", total, headers)
    return lengths + struct.pack(">I", crc32(lengths))


def test_frame_is_written_as_botocore_reads_it():
    assert encode_frame(EVENT, b'{"role":"assistant"}') == MESSAGE_START


def test_headers_and_payload_are_read():
    assert read(MESSAGE_START) == [Frame(EVENT, b'{"role":"assistant"}')]


def test_header_values_of_every_type_are_read():
    headers = {
        "t": "true",
        "f": "false",
        "byte": "-1",
        "short": "-300",
        "int": "70000",
        "long": "-1099511627776",
        "bytes": "AP8=",
        "text": "größe",
        "when": "1700000000123",
        "id": "00010203-0405-0607-0809-0a0b0c0d0e0f",
    }
    assert read(EVERY_TYPE) == [Frame(headers, b"payload")]


def test_frame_may_have_neither_headers_nor_payload():
    assert read(encode_frame({}, b"")) == [Frame({}, b"")]
    assert len(encode_frame({}, b"")) == 16


def test_frames_come_out_as_soon_as_they_are_complete():
    decoder = EventStreamDecoder()
    assert decoder.feed(MESSAGE_START[:-1]) == []
    assert decoder.feed(MESSAGE_START[-1:] + MESSAGE_START + MESSAGE_START[:5]) == read(MESSAGE_START) * 2
    assert decoder.pending == 5
    assert decoder.feed(MESSAGE_START[5:]) == read(MESSAGE_START)
    assert decoder.pending == 0


def test_pending_counts_the_bytes_of_the_incomplete_frame():
    decoder = EventStreamDecoder()
    for place in range(len(MESSAGE_START) - 1):
        decoder.feed(MESSAGE_START[place : place + 1])
        assert decoder.pending == place + 1


def test_empty_reads_change_nothing():
    decoder = EventStreamDecoder()
    assert decoder.feed(b"") == []
    decoder.feed(MESSAGE_START[:20])
    assert decoder.feed(b"") == []
    assert decoder.feed(MESSAGE_START[20:]) == read(MESSAGE_START)


def test_good_frames_before_a_bad_one_are_not_lost():
    decoder = EventStreamDecoder()
    frames = []
    with pytest.raises(DecodeError):
        frames.extend(decoder.read(MESSAGE_START + MESSAGE_START[:-1] + b"\x00"))
    assert frames == read(MESSAGE_START)


def test_every_single_changed_bit_is_noticed():
    for place in range(len(MESSAGE_START)):
        for bit in range(8):
            raw = bytearray(MESSAGE_START)
            raw[place] ^= 1 << bit
            assert refusal(bytes(raw)) == "crc_mismatch", (place, bit)


def test_wrong_prelude_is_noticed_before_the_rest_arrives():
    assert refusal(b"data: {}\n\nxx") == "crc_mismatch"


def test_frame_that_claims_four_gigabytes_is_refused_at_once():
    decoder = EventStreamDecoder()
    with pytest.raises(DecodeError) as caught:
        decoder.feed(prelude(2**32 - 1, 0))
    assert caught.value.code == "frame_too_large"
    assert decoder.pending <= 12


def test_size_limit_is_exact():
    largest = frame_of(b"", bytes(MAX_FRAME_BYTES - 16))
    assert len(read(largest)[0].payload) == MAX_FRAME_BYTES - 16
    assert refusal(prelude(MAX_FRAME_BYTES + 1, 0)) == "frame_too_large"
    assert EventStreamDecoder(100).feed(frame_of(b"", bytes(84)))
    with pytest.raises(DecodeError):
        EventStreamDecoder(99).feed(frame_of(b"", bytes(84)))


def test_headers_that_claim_too_much_are_refused():
    assert refusal(prelude(200_000, 128 * 1024 + 1)) == "frame_too_large"


@pytest.mark.parametrize(("total", "headers"), [(0, 0), (15, 0), (16, 1), (115, 100)])
def test_frame_shorter_than_its_parts_is_refused(total, headers):
    assert refusal(prelude(total, headers)) == "bad_frame"


@pytest.mark.parametrize(
    "block",
    [
        b"\x01",
        b"\x05ab",
        b"\x01a",
        b"\x01a\x0a",
        b"\x01a\xff",
        b"\x01a\x07",
        b"\x01a\x07\x00",
        b"\x01a\x07\x00\x05ab",
        b"\x01a\x06\x00\x05ab",
        b"\x01a\x07\x00\x01\xff",
        b"\x01\xff\x00",
        b"\x01a\x02",
        b"\x01a\x05\x00\x00\x00",
        b"\x01a\x08\x00\x00\x00",
        b"\x01a\x09" + bytes(15),
        b"\x00\x00",
        b"\x01a\x00\x01a\x00",
    ],
)
def test_headers_that_cannot_be_read_are_refused(block):
    assert refusal(frame_of(block)) == "bad_frame"


def test_headers_written_once_serve_every_frame():
    block = encode_headers(EVENT)
    assert frame_with(block, b'{"role":"assistant"}') == MESSAGE_START
    assert read(frame_with(block, b"1"), frame_with(block, b"2")) == [Frame(EVENT, b"1"), Frame(EVENT, b"2")]


def test_only_a_few_header_blocks_are_remembered():
    decoder = EventStreamDecoder()
    for number in range(1000):
        raw = encode_frame({"n": str(number)}, b"")
        assert decoder.feed(raw) == [Frame({"n": str(number)}, b"")]
    assert len(decoder._blocks) < 100


FRAMES = st.lists(st.tuples(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20)), st.binary()))


@given(FRAMES, st.data())
def test_any_split_gives_the_same_frames(written, data):
    raw = b"".join(encode_frame(headers, payload) for headers, payload in written)
    expected = [Frame(headers, payload) for headers, payload in written]
    assert read(raw) == expected
    places = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    assert read(*(raw[start:stop] for start, stop in pairwise([0, *places, len(raw)]))) == expected
    assert read(*(raw[place : place + 1] for place in range(len(raw)))) == expected


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_arbitrary_bytes_are_refused_or_wait_and_nothing_else(raw, block):
    for given_bytes in (raw, frame_of(block, raw)):
        with suppress(DecodeError):
            EventStreamDecoder().feed(given_bytes)
