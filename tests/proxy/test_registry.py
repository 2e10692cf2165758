"""Dialects come from entry points, built in and third-party alike, and are imported on first use."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from adapters.contract import DecodeError, WireRequest
from proxy import registry
from proxy.registry import UnknownDialectError, all_dialects, dialect_names, load_dialect
from tests.adapters.toy import TOY


@pytest.fixture
def only_toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if two packages had registered dialects, one of them a name that the other has already."""
    points = EntryPoints(
        [
            EntryPoint("toy", "tests.adapters.toy:TOY", registry.GROUP),
            EntryPoint("toy", "tests.adapters.nowhere:TOY", registry.GROUP),
            EntryPoint("gone", "tests.adapters.nowhere:dialect", registry.GROUP),
            EntryPoint("other", "tests.adapters.nowhere:x", "another.group"),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
    dialect_names.cache_clear()
    load_dialect.cache_clear()
    yield
    dialect_names.cache_clear()
    load_dialect.cache_clear()


@pytest.mark.usefixtures("only_toys")
def test_a_registered_dialect_is_found_without_importing_the_others() -> None:
    assert load_dialect("toy") is TOY


@pytest.mark.usefixtures("only_toys")
def test_a_name_registered_twice_is_listed_once() -> None:
    assert dialect_names() == ("toy", "gone")


@pytest.mark.usefixtures("only_toys")
def test_an_unknown_dialect_is_told_with_the_nearest_one() -> None:
    with pytest.raises(UnknownDialectError) as caught:
        load_dialect("toi")
    assert str(caught.value) == "there is no dialect 'toi'; did you mean 'toy'?"
    with pytest.raises(UnknownDialectError, match=r"there is no dialect 'zzz'; known are gone, toy$"):
        load_dialect("zzz")


def test_the_built_in_dialects_are_registered() -> None:
    assert {"openai_chat", "amarsia", "bedrock_sse"} <= set(dialect_names())
    assert [(name, dialect.name) for name, dialect in all_dialects().items()] == [
        (name, name) for name in dialect_names()
    ]


def test_a_profile_is_the_same_dialect_with_other_numbers() -> None:
    """Ruling 12: the seed's limit as shipped, the newer document's by one setting."""
    body = b'{"modelId": "m", "messages": [{"role": "user", "content": "Hi"}], "maxTokens": 65536}'
    wire = WireRequest("POST", "/chat", body)
    with pytest.raises(DecodeError) as caught:
        all_dialects()["bedrock_sse"].decode_request(wire)
    assert caught.value.param == "maxTokens"
    chosen = all_dialects({"bedrock_sse": "current"})["bedrock_sse"]
    assert chosen.decode_request(wire).sampling.max_tokens == 65536
    with pytest.raises(DecodeError):
        chosen.decode_request(WireRequest("POST", "/chat", body.replace(b"65536", b"65537")))


def test_an_unknown_profile_is_told_with_a_suggestion() -> None:
    with pytest.raises(UnknownDialectError, match="no profile 'curent'; did you mean 'current'"):
        all_dialects({"bedrock_sse": "curent"})
    with pytest.raises(UnknownDialectError, match="no dialect 'bedrock_sze'"):
        all_dialects({"bedrock_sze": "current"})


def test_a_dialect_is_one_object() -> None:
    """Same-dialect traffic is told by identity."""
    assert all(load_dialect(name) is load_dialect(name) for name in dialect_names())
