"""Framing of server-sent events."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.contract import DecodeError
from adapters.wire.sse import MAX_EVENT_BYTES, SseDecoder, SseEvent, encode_data, one_line


def read(*reads: bytes, limit: int = MAX_EVENT_BYTES) -> list[SseEvent]:
    decoder = SseDecoder(limit)
    events = [event for piece in reads for event in decoder.feed(piece)]
    return events + decoder.finish()


def byte_by_byte(raw: bytes, limit: int = MAX_EVENT_BYTES) -> list[SseEvent]:
    return read(*(raw[place : place + 1] for place in range(len(raw))), limit=limit)


def test_data_event_and_id_are_read():
    raw = b"id: chunk-0\nevent: start\ndata: {}\n\n"
    assert read(raw) == [SseEvent(b"{}", b"start", b"chunk-0")]


def test_events_come_out_as_soon_as_their_blank_line_is_read():
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [SseEvent(b"a")]
    assert decoder.feed(b"data: b\n\ndata: c\n\nda") == [SseEvent(b"b"), SseEvent(b"c")]


def test_carriage_return_ends_an_event_at_once():
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\r\r") == [SseEvent(b"a")]


def test_line_feed_after_a_carriage_return_at_the_border_of_a_read_is_no_line_of_its_own():
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\r") == []
    assert decoder.feed(b"\ndata: b\r") == []
    assert decoder.feed(b"\n\r") == [SseEvent(b"a\nb")]
    assert decoder.feed(b"\n") == []
    assert decoder.finish() == []


def test_carriage_return_then_empty_read_then_line_feed():
    decoder = SseDecoder()
    decoder.feed(b"data: a\r")
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n\r\n") == [SseEvent(b"a")]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_all_line_ends_mean_the_same(end):
    raw = b"event: x\ndata: a\ndata: b\n\n: note\n\ndata:c\n\n".replace(b"\n", end)
    expected = [SseEvent(b"a\nb", b"x"), SseEvent(b"c")]
    assert read(raw) == expected
    assert byte_by_byte(raw) == expected


def test_other_line_ends_of_unicode_are_ordinary_characters():
    text = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"
    assert read(f"data: {text}\n\n".encode()) == [SseEvent(text.encode())]


def test_one_blank_after_the_colon_is_taken_off_and_no_more():
    assert read(b"data:  a \n\ndata:b\n\ndata\n\n") == [SseEvent(b" a "), SseEvent(b"b"), SseEvent(b"")]


def test_comments_retry_and_unknown_fields_are_passed_over():
    assert read(b": hi\nretry: 5\nfoo: bar\ndata: a\n\n: only a comment\n\n") == [SseEvent(b"a")]


def test_event_without_data_is_not_given():
    assert read(b"event: ping\nid: 7\n\n") == []


def test_name_and_id_do_not_stay_for_the_next_event():
    assert read(b"event: a\nid: 1\ndata: x\n\ndata: y\n\n") == [SseEvent(b"x", b"a", b"1"), SseEvent(b"y")]


def test_byte_order_mark_at_the_start_is_passed_over():
    raw = b"\xef\xbb\xbfdata: a\n\n"
    assert read(raw) == byte_by_byte(raw) == [SseEvent(b"a")]
    assert read(b"data: a\n\n" + raw) == [SseEvent(b"a")]  # later it is a part of a field's name


def test_more_blank_lines_than_one_make_no_event():
    raw = b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n"
    assert read(raw) == byte_by_byte(raw) == [SseEvent(b"a"), SseEvent(b"b")]


def test_last_event_needs_no_blank_line():
    assert read(b"data: a\n\ndata: [DONE]") == [SseEvent(b"a"), SseEvent(b"[DONE]")]
    assert read(b"data: a\n\ndata: [DONE]\r\n") == [SseEvent(b"a"), SseEvent(b"[DONE]")]


def test_nothing_is_left_after_finish():
    decoder = SseDecoder()
    decoder.feed(b"data: a")
    assert decoder.finish() == [SseEvent(b"a")]
    assert decoder.finish() == []


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\r", b"\r\n\r\n"])
@pytest.mark.parametrize("reader", [read, byte_by_byte])
def test_event_of_just_the_allowed_size_is_read(reader, ends):
    assert reader(b"data: 1234" + ends, limit=10) == [SseEvent(b"1234")]


@pytest.mark.parametrize("raw", [b"data: 12345\n\n", b"data: 12345", b"a\n\ndata: 12345\n\n", b"x" * 50])
@pytest.mark.parametrize("reader", [read, byte_by_byte])
def test_event_above_the_allowed_size_is_refused(reader, raw):
    with pytest.raises(DecodeError) as caught:
        reader(raw, limit=10)
    assert caught.value.code == "event_too_large"


def test_many_small_events_in_one_read_are_not_one_large_event():
    assert len(read(b"data: 1\n\n" * 100, limit=10)) == 100


LINES = st.sampled_from(
    (
        b"data: a",
        b"data:",
        b"data",
        b"event: x",
        b"id: 1",
        b": c",
        b"",
        b"",
        b"foo: bar",
        b"data: \xe2\x80\xa8",
        b"\xef\xbb\xbf",
    )
)
ENDS = st.sampled_from((b"\n", b"\r", b"\r\n"))


def outcome(reads: list[bytes], limit: int):
    try:
        return read(*reads, limit=limit)
    except DecodeError as error:
        return error.code


@given(
    lines=st.lists(st.tuples(LINES, ENDS), max_size=12),
    places=st.lists(st.integers(0, 60), max_size=6),
    limit=st.sampled_from((MAX_EVENT_BYTES, 12)),
)
@example(lines=[(b"data: 123456", b"\n"), (b"", b"\n")], places=[13], limit=12)
def test_any_split_gives_the_same_events(lines, places, limit):
    raw = b"".join(line + end for line, end in lines)
    borders = [0, *sorted(min(place, len(raw)) for place in places), len(raw)]
    pieces = [raw[start:stop] for start, stop in pairwise(borders)]
    single = [raw[place : place + 1] for place in range(len(raw))]
    assert outcome([raw], limit) == outcome(pieces, limit) == outcome(single, limit)


@given(data=st.lists(st.text().map(lambda text: text.replace("\r", "").replace("\n", "").encode()), max_size=4))
def test_what_is_written_is_read(data):
    raw = b"".join(encode_data(piece) for piece in data)
    assert read(raw) == [SseEvent(piece) for piece in data]


def test_line_ends_of_unicode_are_escaped_for_naive_readers():
    text = "a\u2028b\u2029c\u0085d é 日 \u2027"
    raw = json.dumps(text, ensure_ascii=False).encode()
    line = one_line(raw)
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == text
    assert one_line(b'"plain \xe2\x82\xac"') == b'"plain \xe2\x82\xac"'
