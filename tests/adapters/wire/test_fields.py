"""Typed reading of JSON objects."""

import pytest

from adapters.contract import DecodeError
from adapters.wire.fields import Fields, wrong_type

BODY = {
    "s": "x",
    "e": "",
    "t": True,
    "i": 1,
    "f": 1.5,
    "n": None,
    "l": ["a", 1],
    "o": {"k": {"x": 1}},
    "u": [],
    "w": ["a"],
}


def refused(call) -> tuple[str | None, str | None]:
    with pytest.raises(DecodeError) as caught:
        call()
    return caught.value.param, caught.value.code


def test_fields_are_read_once_and_the_rest_is_kept():
    fields = Fields(BODY)
    assert (fields.string("s"), fields.boolean("t"), fields.integer("i"), fields.number("f")) == ("x", True, 1, 1.5)
    assert fields.string("s") is None
    assert set(fields.rest()) == {"e", "n", "l", "o", "u", "w"}
    assert fields.extra("toy") == {"toy": fields.rest()}


def test_reading_leaves_the_object_as_it_was():
    Fields(BODY).string("s")
    assert BODY["s"] == "x"


def test_nothing_left_is_no_extra():
    fields = Fields({"s": "x"})
    fields.string("s")
    assert fields.extra("toy") is None


def test_null_and_absent_are_the_same():
    for name in ("n", "absent"):
        fields = Fields(BODY)
        assert not fields.has(name)
        for read in (fields.string, fields.boolean, fields.integer, fields.number, fields.object, fields.array):
            assert read(name) is None
        assert fields.fields(name) is None
        assert fields.strings(name) is None
        assert fields.choice(name, ("a",)) is None


def test_zero_empty_and_false_are_values():
    fields = Fields({"z": 0, "e": "", "f": False, "l": []})
    assert fields.has("z")
    assert (fields.integer("z"), fields.string("e"), fields.boolean("f"), fields.array("l")) == (0, "", False, [])


@pytest.mark.parametrize(
    ("read", "name"),
    [("string", "i"), ("boolean", "i"), ("boolean", "s"), ("integer", "t"), ("integer", "f"), ("integer", "s"),
     ("number", "t"), ("number", "s"), ("object", "l"), ("array", "o"), ("array", "s"), ("fields", "s")],
)  # fmt: skip
def test_wrong_type_is_refused_by_path_and_without_the_value(read, name):
    fields = Fields({name: BODY[name]}, "messages[2]")
    with pytest.raises(DecodeError) as caught:
        getattr(fields, read)(name)
    assert (caught.value.param, caught.value.code) == (f"messages[2].{name}", "invalid_type")
    assert "'" not in caught.value.message


def test_whole_number_stays_one_as_a_number():
    assert type(Fields({"a": 1}).number("a")) is int


def test_item_of_the_wrong_type_is_named():
    assert refused(lambda: Fields(BODY).strings("l")) == ("l[1]", "invalid_type")


@pytest.mark.parametrize(("low", "high", "fits"), [(1, 1, True), (None, 0, False), (2, None, False), (0, 2, True)])
def test_ranges_include_their_ends(low, high, fits):
    for read in ("integer", "number"):
        if fits:
            assert getattr(Fields({"a": 1}), read)("a", low, high) == 1
        else:
            assert refused(lambda read=read: getattr(Fields({"a": 1}), read)("a", low, high)) == ("a", "invalid_value")


def test_upper_bound_alone_is_told_in_words_that_hold():
    with pytest.raises(DecodeError) as caught:
        Fields({"a": 1}).number("a", high=0)
    assert "None" not in caught.value.message


def test_choice_is_one_of_the_allowed():
    assert Fields(BODY).choice("s", ("x", "y")) == "x"
    assert refused(lambda: Fields(BODY).choice("s", ("y",))) == ("s", "invalid_value")


def test_needed_fields_are_missed_by_name():
    for read in ("need_string", "need_array", "need_object", "need_fields"):
        assert refused(lambda read=read: getattr(Fields({}, "a"), read)("b")) == ("a.b", "missing_required_field")
        assert refused(lambda read=read: getattr(Fields({"b": None}), read)("b")) == ("b", "missing_required_field")


def test_needed_string_and_array_are_not_empty():
    assert refused(lambda: Fields(BODY).need_string("e")) == ("e", "invalid_value")
    assert refused(lambda: Fields(BODY).need_array("u")) == ("u", "invalid_value")
    assert Fields(BODY).need_array("w") == ["a"]


def test_inner_objects_know_their_path():
    inner = Fields(BODY).need_fields("o").fields("k")
    assert inner.path == "o.k"
    assert refused(lambda: inner.need_string("y")) == ("o.k.y", "missing_required_field")


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_only_an_object_has_fields(value):
    assert refused(lambda: Fields(value, "a")) == ("a", "invalid_type")
    assert refused(lambda: Fields(value)) == (None, "invalid_type")


@pytest.mark.parametrize("value", ["canary", 5, 5.5, True, None, [], {}])
def test_type_error_names_the_type_found(value):
    message = wrong_type("a", "an object", value).message
    assert message.startswith("a must be an object, not ")
    assert "canary" not in message
