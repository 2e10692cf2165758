"""Base64 and ``data:`` URLs."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import DecodeError
from adapters.wire.inline_data import byte_count, clean_base64, data_url, decode_base64, is_data_url, read_data_url


@given(st.binary())
def test_standard_base64_is_left_as_it_is(raw):
    data = base64.b64encode(raw).decode()
    assert clean_base64(data, "p") is data
    assert decode_base64(data, "p") == raw
    assert byte_count(data) == len(raw)


@given(st.binary(), st.booleans(), st.booleans(), st.integers(1, 10))
def test_other_spellings_mean_the_same_bytes(raw, url_safe, padded, width):
    data = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(raw).decode()
    if not padded:
        data = data.rstrip("=")
    data = "\r\n".join(data[place : place + width] for place in range(0, len(data), width)) + " \n"
    assert clean_base64(data, "p") == base64.b64encode(raw).decode()


@pytest.mark.parametrize("data", ["!", "a*bc", "é", "A", "AAAAA", "AA=A", "\u0661\u0661\u0661\u0661", "data:,x"])
def test_what_is_not_base64_is_refused_by_its_path(data):
    with pytest.raises(DecodeError) as caught:
        clean_base64(data, "messages[0].content[1].data")
    assert caught.value.param == "messages[0].content[1].data"
    assert caught.value.code == "invalid_base64"


@given(st.text(max_size=12))
def test_any_text_is_cleaned_or_refused(data):
    try:
        clean = clean_base64(data, "p")
    except DecodeError:
        return
    base64.b64decode(clean, validate=True)


def test_data_url_is_known_by_its_scheme():
    assert is_data_url("data:,")
    assert is_data_url("DATA:image/png;base64,AA==")
    assert not is_data_url("https://example.com/data:")
    assert not is_data_url("data")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,AAAA", ("image/png", "AAAA")),
        ("data:IMAGE/PNG;BASE64,AAAA", ("image/png", "AAAA")),
        ("data:image/png;name=a.png;base64,AA", ("image/png", "AA==")),
        ("data:text/plain;charset=utf-8;base64,w6k=", ("text/plain", "w6k=")),
        ("data:;base64,AAAA", (None, "AAAA")),
        ("data:text/plain,a%20b", ("text/plain", base64.b64encode(b"a b").decode())),
        ("data:,", (None, "")),
        ("data:image/png;base64,AA%3D%3D", ("image/png", "AA==")),
        ("data:image/png;base64,-_-_", ("image/png", "+/+/")),
    ],
)
def test_data_url_is_read(url, expected):
    assert read_data_url(url, "p") == expected


@pytest.mark.parametrize(
    ("url", "code"), [("data:image/png;base64", "invalid_data_url"), ("data:;base64,!", "invalid_base64")]
)
def test_broken_data_url_is_refused_by_its_path(url, code):
    with pytest.raises(DecodeError) as caught:
        read_data_url(url, "content.url")
    assert (caught.value.param, caught.value.code) == ("content.url", code)
    assert "!" not in caught.value.message


@given(st.text(max_size=30))
def test_any_data_url_is_read_or_refused(rest):
    try:
        _, data = read_data_url("data:" + rest, "p")
    except DecodeError:
        return
    base64.b64decode(data, validate=True)


@given(st.binary())
def test_written_data_url_is_read_back(raw):
    data = base64.b64encode(raw).decode()
    assert read_data_url(data_url("image/png", data), "p") == ("image/png", data)
