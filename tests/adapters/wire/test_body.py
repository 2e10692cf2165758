"""JSON bodies: strict reading, and edits that change one string."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import DecodeError
from adapters.wire.body import MAX_DEPTH, MAX_STRUCTURE, read_object, replace_string


def refusal(raw: bytes, **options) -> str | None:
    with pytest.raises(DecodeError) as caught:
        read_object(raw, **options)
    return caught.value.code


def test_object_is_read():
    assert read_object(b' {"a": [1, 2.5, null, "\\u00e9"], "b": {}} ') == {"a": [1, 2.5, None, "é"], "b": {}}


@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"[]", b'"a"', b"1", b"null", b"{", b'{"a":}', b"{'a':1}", b'{"a":NaN}', b'{"a":Infinity}', b"{}{}",
     b'{"a":1,}', b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}',
     b'{"a":"\n"}', b"\x00"],
)  # fmt: skip
def test_anything_but_a_json_object_is_refused(raw):
    assert refusal(raw) == "invalid_json"


def test_reason_of_a_refusal_does_not_repeat_the_body():
    with pytest.raises(DecodeError) as caught:
        read_object(b'{"key": sk-canary}')
    assert "canary" not in caught.value.message


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_limited(opening, closing):
    assert read_object(nested(MAX_DEPTH, opening, closing))
    assert refusal(nested(MAX_DEPTH + 1, opening, closing)) == "too_deep"
    assert refusal(nested(900, opening, closing)) == "too_deep"


def test_many_brackets_that_are_not_deep_are_read():
    assert read_object(b'{"a":[' + b"[]," * 1000 + b"[]]}")


def test_brackets_inside_strings_are_not_depth():
    assert read_object(b'{"a":"' + b"[" * 1000 + b'"}')


def test_depth_without_end_is_refused():
    assert refusal(b'{"a":' + b"[" * 100_000) in ("invalid_json", "too_deep")


def test_number_of_values_is_limited():
    assert refusal(b'{"a":[' + b"{}," * MAX_STRUCTURE + b"{}]}") == "too_many_values"


def test_key_that_decides_must_stand_once():
    assert refusal(b'{"model":"a","model":"b"}', once=("model",)) == "duplicate_key"
    assert refusal(b'{"model":"a","mod\\u0065l":"b"}', once=("model",)) == "duplicate_key"
    assert refusal(b'{"model":"a","\\u006D\\u006fdel":"b"}', once=("model",)) == "duplicate_key"


def test_duplicate_key_is_named():
    with pytest.raises(DecodeError) as caught:
        read_object(b'{"model":"a","model":"b"}', once=("messages", "model"))
    assert caught.value.param == "model"


def test_same_key_deeper_down_or_as_a_value_is_no_duplicate():
    raw = b'{"model":"model","a":{"model":1},"b":[{"model":2}],"c":"\\u00e9"}'
    assert read_object(raw, once=("model",))["model"] == "model"


def test_other_keys_may_stand_twice():
    assert read_object(b'{"x":1,"x":2,"model":"a"}', once=("model",))["x"] == 2


def test_string_is_replaced_and_every_other_byte_kept():
    raw = b'{ "a" : 1.0,\n\t"model" :  "old" , "n": 123456789012345678901234567890 }'
    assert replace_string(raw, "model", "old", "new") == raw.replace(b'"old"', b'"new"')


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"other"}',
        b'{"model":5}',
        b'{"a":{"model":"old"},"model":"old"}',
        b'{"mod\\u0065l":"x","model":"old"}',
        b"{}",
    ],
)
def test_string_is_not_replaced_where_its_place_is_not_certain(raw):
    assert replace_string(raw, "model", "old", "new") is None


@given(old=st.text(), new=st.text(), before=st.text(), after=st.text())
def test_replaced_string_is_read_back(old, new, before, after):
    body = {"a": before, "model": old, "z": after}
    raw = json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")
    edited = replace_string(raw, "model", old, new)
    if edited is not None:
        assert json.loads(edited) == body | {"model": new}
