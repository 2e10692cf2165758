"""Plain UTF-8 text as a stream."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import DecodeError
from adapters.wire.text import TextDecoder


def read(*reads: bytes) -> str:
    decoder = TextDecoder()
    text = "".join(decoder.feed(piece) for piece in reads)
    decoder.finish()
    return text


@given(text=st.text(), places=st.lists(st.integers(0, 50), max_size=5))
def test_any_split_gives_the_same_text(text, places):
    raw = text.encode()
    borders = [0, *sorted(min(place, len(raw)) for place in places), len(raw)]
    assert read(*(raw[start:stop] for start, stop in pairwise(borders))) == text
    assert read(*(raw[place : place + 1] for place in range(len(raw)))) == text


def test_character_cut_by_a_read_comes_with_the_next():
    decoder = TextDecoder()
    assert decoder.feed("é".encode()[:1]) == ""
    assert decoder.feed("é".encode()[1:]) == "é"


def test_nothing_is_stripped():
    assert read(b"\xef\xbb\xbf a\r\n\x00\xe2\x80\xa8") == "\ufeff a\r\n\x00\u2028"


@pytest.mark.parametrize("raw", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"a\xe2\x28"])
def test_bytes_that_are_not_utf_8_are_refused(raw):
    with pytest.raises(DecodeError) as caught:
        read(raw)
    assert caught.value.code == "bad_encoding"


def test_text_that_ends_inside_a_character_is_refused():
    decoder = TextDecoder()
    decoder.feed("日".encode()[:2])
    with pytest.raises(DecodeError) as caught:
        decoder.finish()
    assert caught.value.code == "bad_encoding"
