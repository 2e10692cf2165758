"""A quirk changes what it names and nothing else, and every field left out is a reported loss."""

import re
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Encoded, WireRequest
from adapters.model.error import ErrorKind
from adapters.model.loss import Loss, LossReason
from adapters.model.message import (
    CacheHint,
    Inline,
    Media,
    MediaKind,
    Message,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from adapters.model.request import (
    Conversation,
    OutputFormat,
    OutputKind,
    ReasoningOptions,
    Request,
    Sampling,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from proxy.errors import RequestFailed
from proxy.fidelity import Mode, refusal
from proxy.quirks import apply_quirks, edits_bodies, nine_alphanumeric
from proxy.registry import load_dialect
from proxy.settings import Quirks, shipped_provider

CHAT = load_dialect("openai_chat")
HELLO = Request("m", (Message(Role.USER, (Text("Hello"),)),))


def encoded(request: Request) -> Encoded[WireRequest]:
    return CHAT.encode_request(request)


def raw(**fields: Any) -> Encoded[WireRequest]:
    """A request of the client's own bytes."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]} | fields
    return Encoded(WireRequest("POST", "/chat/completions", orjson.dumps(body)))


def applied(quirks: Quirks, given_: Encoded[WireRequest]) -> tuple[dict[str, Any], list[Loss]]:
    """The body that is sent and the losses, with the common model that this body has."""
    request = CHAT.decode_request(given_.wire)
    result = apply_quirks(quirks, CHAT.name, request, given_)
    return orjson.loads(result.wire.body), list(result.losses)


# --- nothing to do --------------------------------------------------------------------------------------------------


def test_no_quirks_edit_nothing() -> None:
    assert not edits_bodies(Quirks())
    assert not edits_bodies(Quirks(headers={"a": "b"}, query={"c": "d"}))


@pytest.mark.parametrize(
    "quirks",
    [Quirks(rename={"seed": "x"}), Quirks(drop=("seed",)), Quirks(refuse=("seed",)),
     Quirks(tool_id="nine_alphanumeric"), Quirks(plain_content=True)],
)  # fmt: skip
def test_what_does_not_apply_is_the_very_same_object(quirks: Quirks) -> None:
    assert edits_bodies(quirks)
    before = Encoded(WireRequest("POST", "/x", b'{ "model":"m", "messages":[{"role":"user","content":"\\"seed\\""}] }'))
    assert apply_quirks(quirks, CHAT.name, HELLO, before) is before


def test_the_path_and_headers_stay() -> None:
    before = replace(raw(seed=1).wire, headers={"a": "b"}, query={"c": "d"})
    after = apply_quirks(Quirks(drop=("seed",)), "d", HELLO, Encoded(before)).wire
    assert replace(after, body=before.body) == before


# --- properties -----------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False),
              st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip
NAMES = st.sampled_from(["seed", "logit_bias", "temperature", "x", "y", "z"])
SAYING = st.one_of(st.booleans(), st.integers(1, 99), st.text(max_size=9), st.lists(st.integers(-99, 99), max_size=2))


@given(
    st.dictionaries(st.text(max_size=8), VALUES, max_size=6),
    st.dictionaries(NAMES, SAYING, max_size=3),
    st.sets(NAMES, max_size=3),
    st.dictionaries(st.sampled_from(["a1", "b1"]), st.sampled_from(["a2", "b2"]), max_size=2),
)
def test_fields_not_named_keep_their_value(
    others: dict[str, Any], known: dict[str, Any], dropped: set[str], renamed: dict[str, str]
) -> None:
    body = others | known
    quirks = Quirks(drop=tuple(sorted(dropped)), rename=renamed)
    before = Encoded(WireRequest("POST", "/x", orjson.dumps(body)))
    after = orjson.loads(apply_quirks(quirks, "d", HELLO, before).wire.body)
    named = {*dropped, *renamed, *renamed.values()}
    kept = {name: value for name, value in body.items() if name not in named}
    assert {name: value for name, value in after.items() if name not in named} == kept
    assert [name for name in after if name in kept] == list(kept)
    assert not dropped & after.keys()


@given(NAMES, SAYING)
def test_a_renamed_field_keeps_its_value_and_is_no_loss(name: str, value: Any) -> None:
    before = Encoded(WireRequest("POST", "/x", orjson.dumps({"first": 1, name: value, "last": 2})))
    after = apply_quirks(Quirks(rename={name: "new"}), "d", HELLO, before)
    assert orjson.loads(after.wire.body) == {"first": 1, "new": value, "last": 2}
    assert list(orjson.loads(after.wire.body)) == ["first", "new", "last"]
    assert after.losses == ()


@given(st.sampled_from(["seed", "x", "options.x", "list[].x"]), SAYING)
def test_a_refused_field_refuses(path: str, value: Any) -> None:
    name = path.rpartition(".")[2]
    body = {"options": {name: value}, "list": [1, {name: value}], name: value}
    before = Encoded(WireRequest("POST", "/x", orjson.dumps(body)))
    with pytest.raises(RequestFailed) as caught:
        apply_quirks(Quirks(refuse=(path,)), "d", HELLO, before)
    error = caught.value.error
    assert (error.kind, error.code, error.param, error.http_status) == (
        ErrorKind.UNSUPPORTED,
        "unsupported_field",
        path,
        400,
    )


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=4))
def test_any_other_body_passes_a_refusal(body: dict[str, Any]) -> None:
    before = Encoded(WireRequest("POST", "/x", orjson.dumps(body)))
    assert apply_quirks(Quirks(refuse=("nowhere_seen",)), "d", HELLO, before) is before


@given(st.text(max_size=40))
def test_an_id_becomes_nine_letters_and_digits_always_the_same(identity: str) -> None:
    mapped = nine_alphanumeric(identity)
    assert re.fullmatch("[a-zA-Z0-9]{9}", mapped)
    assert nine_alphanumeric(identity) == mapped
    assert nine_alphanumeric(mapped) == mapped


@given(st.sets(st.text(min_size=1, max_size=30), max_size=50))
def test_ids_that_differ_stay_different(identities: set[str]) -> None:
    assert len({nine_alphanumeric(identity) for identity in identities}) == len(identities)


# --- losses ---------------------------------------------------------------------------------------------------------

RICH = Request(
    "m",
    (Message(Role.USER, (Text("Hello"),), name="ann"),),
    tools=(Tool("f"),),
    tool_choice=ToolChoice(ToolChoiceMode.REQUIRED),
    parallel_tool_calls=False,
    sampling=Sampling(
        max_tokens=5,
        temperature=0.5,
        top_p=0.5,
        stop_sequences=("x",),
        presence_penalty=1,
        frequency_penalty=1,
        seed=3,
        logit_bias={"1": 2},
        logprobs=True,
        top_logprobs=2,
    ),
    output=OutputFormat(OutputKind.JSON_OBJECT),
    reasoning=ReasoningOptions(effort="low"),
    choice_count=2,
    user="u",
    metadata={"a": "b"},
    conversation=Conversation(store=True),
    extra={"openai_chat": {"service_tier": "flex"}},
)
# Wire field -> the path of its loss.
DROPPED = {
    "max_completion_tokens": "sampling.max_tokens",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "stop": "sampling.stop_sequences",
    "presence_penalty": "sampling.presence_penalty",
    "frequency_penalty": "sampling.frequency_penalty",
    "seed": "sampling.seed",
    "logit_bias": "sampling.logit_bias",
    "logprobs": "sampling.logprobs",
    "top_logprobs": "sampling.top_logprobs",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "response_format": "output",
    "reasoning_effort": "reasoning.effort",
    "n": "choice_count",
    "user": "user",
    "metadata": "metadata",
    "store": "conversation.store",
    "service_tier": "extra.openai_chat.service_tier",
    "messages[].name": "messages[0].name",
}


@pytest.mark.parametrize(("field", "place"), DROPPED.items())
def test_a_dropped_field_is_exactly_one_loss_in_the_common_model(field: str, place: str) -> None:
    before = encoded(RICH)
    assert before.losses == ()
    after = apply_quirks(Quirks(drop=(field,)), CHAT.name, RICH, before)
    assert [(loss.field, loss.reason) for loss in after.losses] == [(place, LossReason.UNSUPPORTED)]
    body = orjson.loads(after.wire.body)
    assert field not in body
    assert field != "messages[].name" or "name" not in body["messages"][0]


@given(st.sets(st.sampled_from(sorted(DROPPED))))
def test_any_dropped_fields_are_one_loss_each(fields: set[str]) -> None:
    after = apply_quirks(Quirks(drop=tuple(fields)), CHAT.name, RICH, encoded(RICH))
    assert sorted(loss.field for loss in after.losses) == sorted(DROPPED[field] for field in fields)


def test_a_clients_own_bytes_get_the_quirks_too() -> None:
    body, losses = applied(Quirks(drop=("seed", "x"), rename={"max_completion_tokens": "max_tokens"}),
                           raw(seed=1, x=[1], max_completion_tokens=7))  # fmt: skip
    assert "seed" not in body
    assert "x" not in body
    assert body["max_tokens"] == 7
    assert [loss.field for loss in losses] == ["sampling.seed", "extra.openai_chat.x"]


@pytest.mark.parametrize(
    "fields",
    [{"n": 1}, {"tool_choice": "auto"}, {"parallel_tool_calls": True}, {"response_format": {"type": "text"}},
     {"logprobs": False}, {"seed": None}, {"x": None}, {"stream": True, "stream_options": {"include_usage": True}}],
    ids=str,
)  # fmt: skip
def test_what_says_nothing_is_left_out_silently(fields: dict[str, Any]) -> None:
    name = list(fields)[-1]
    body, losses = applied(Quirks(drop=(name,)), raw(**fields))
    assert name not in body
    assert losses == []


def test_the_encoders_report_on_a_field_that_is_then_dropped_gives_way() -> None:
    request = replace(HELLO, sampling=Sampling(temperature=7))
    before = encoded(request)
    assert [loss.reason for loss in before.losses] == [LossReason.CLAMPED]
    after = apply_quirks(Quirks(drop=("temperature",)), CHAT.name, request, before)
    assert [(loss.field, loss.reason) for loss in after.losses] == [("sampling.temperature", LossReason.UNSUPPORTED)]


def test_the_encoders_other_reports_all_stay() -> None:
    reports = (
        Loss("messages[0]", LossReason.MOVED),
        Loss("messages[0]", LossReason.APPROXIMATED),
        Loss("x", LossReason.FOREIGN),
    )
    after = apply_quirks(Quirks(drop=("seed",)), CHAT.name, RICH, replace(encoded(RICH), losses=reports))
    assert after.losses[:3] == reports
    assert [loss.field for loss in after.losses[3:]] == ["sampling.seed"]


def test_a_dropped_tool_is_refused_and_a_dropped_seed_is_not() -> None:
    for field, refused in (("tools", True), ("n", True), ("seed", False), ("messages[].content", True)):
        after = apply_quirks(Quirks(drop=(field,)), CHAT.name, RICH, encoded(RICH))
        assert (refusal(RICH, after.losses, Mode.REPORT) is not None) == refused, field


def test_a_word_of_the_provider_is_a_loss_of_its_own_field() -> None:
    _, losses = applied(Quirks(drop=("reasoning_effort",)), raw(reasoning_effort="default"))
    assert [loss.field for loss in losses] == ["extra.openai_chat.reasoning_effort"]


def test_a_key_spelt_with_escapes_is_found() -> None:
    wire = WireRequest("POST", "/x", b'{"model":"m","messages":[],"\\u0073eed":1}')
    after = apply_quirks(Quirks(drop=("seed",)), "d", HELLO, Encoded(wire))
    assert orjson.loads(after.wire.body) == {"model": "m", "messages": []}


# --- renaming -------------------------------------------------------------------------------------------------------

TO_OLD = Quirks(rename={"max_completion_tokens": "max_tokens"})


@pytest.mark.parametrize(
    ("fields", "sent"),
    [({"max_completion_tokens": 7}, 7), ({"max_tokens": 7}, 7), ({"max_tokens": 7, "max_completion_tokens": 7}, 7),
     ({"max_tokens": 7, "max_completion_tokens": None}, 7), ({"max_tokens": None, "max_completion_tokens": 7}, 7)],
    ids=str,
)  # fmt: skip
def test_two_spellings_of_one_number_become_one(fields: dict[str, Any], sent: int) -> None:
    """PAR-03."""
    body, losses = applied(TO_OLD, raw(**fields))
    assert body["max_tokens"] == sent
    assert "max_completion_tokens" not in body
    assert losses == []


def test_a_field_inside_an_object_is_renamed_in_its_place() -> None:
    body, _ = applied(Quirks(rename={"options.a": "b", "list[].a": "c"}), raw(options={"a": 1}, list=[{"a": 2}, 3, {}]))
    assert (body["options"], body["list"]) == ({"b": 1}, [{"c": 2}, 3, {}])


# --- tool ids -------------------------------------------------------------------------------------------------------


def test_both_ends_of_a_pair_get_the_same_id() -> None:
    """TOOL-27."""
    messages = (
        Message(Role.ASSISTANT, (ToolCall("call_PTLP8xhu3u", "f", "{}"), ToolCall("abcDEF123", "g", "{}"))),
        Message(Role.TOOL, (ToolResult("call_PTLP8xhu3u", (Text("1"),)),)),
        Message(Role.TOOL, (ToolResult("abcDEF123", (Text("2"),)),)),
    )
    request = Request("m", (*HELLO.messages, *messages))
    after = apply_quirks(Quirks(tool_id="nine_alphanumeric"), CHAT.name, request, encoded(request))
    assert after.losses == ()
    _, assistant, first, second = orjson.loads(after.wire.body)["messages"]
    ids = [call["id"] for call in assistant["tool_calls"]]
    assert ids == [nine_alphanumeric("call_PTLP8xhu3u"), "abcDEF123"] == [first["tool_call_id"], second["tool_call_id"]]


@pytest.mark.parametrize("messages", [None, 1, [1], [{"tool_calls": 1}], [{"tool_calls": [1, {"id": 2}]}]], ids=str)
def test_a_strange_body_is_left_alone(messages: Any) -> None:
    wire = WireRequest("POST", "/x", orjson.dumps({"messages": messages, "tool_calls": 1, "content": [1]}))
    before = Encoded(wire)
    quirks = Quirks(tool_id="nine_alphanumeric", plain_content=True)
    assert apply_quirks(quirks, "d", HELLO, before) is before


# --- plain content --------------------------------------------------------------------------------------------------

PLAIN = Quirks(plain_content=True)


def test_texts_become_one() -> None:
    """K11."""
    request = Request("m", (Message(Role.USER, (Text("a"), Text("b"))), Message(Role.USER, (Text("c"),))))
    after = apply_quirks(PLAIN, CHAT.name, request, encoded(request))
    assert [message["content"] for message in orjson.loads(after.wire.body)["messages"]] == ["a\n\nb", "c"]
    assert [(loss.field, loss.reason) for loss in after.losses] == [("messages[0].parts", LossReason.APPROXIMATED)]
    assert refusal(request, after.losses, Mode.REPORT) is None


def test_media_is_refused_where_only_text_is_taken() -> None:
    picture = Media(MediaKind.IMAGE, Inline("aGk="), "image/png")
    request = Request("m", (Message(Role.USER, (Text("a"), picture)),))
    after = apply_quirks(PLAIN, CHAT.name, request, encoded(request))
    assert orjson.loads(after.wire.body)["messages"][0]["content"] == "a"
    assert [loss.field for loss in after.losses] == ["messages[0].parts[1]"]
    assert refusal(request, after.losses, Mode.REPORT) is not None


def test_a_cache_mark_goes_with_its_part() -> None:
    mark = {"type": "ephemeral"}
    content = [{"type": "text", "text": "a", "cache_control": mark}]
    body, losses = applied(PLAIN, raw(messages=[{"role": "user", "content": content}]))
    assert body["messages"] == [{"role": "user", "content": "a"}]
    assert {loss.field for loss in losses} == {
        "messages[0].parts[0].cache",
        "messages[0].parts[0].extra.openai_chat.cache_control",
    }
    assert (
        CacheHint()
        == CHAT.decode_request(raw(messages=[{"role": "user", "content": content}]).wire).messages[0].parts[0].cache
    )  # type: ignore[union-attr]


# --- the shipped ones -----------------------------------------------------------------------------------------------


def test_arka_gets_its_five_fields_and_nothing_else() -> None:
    """K10: sampling fields are dropped with a report, what changes the meaning is refused."""
    quirks = shipped_provider("arka").quirks
    request = replace(RICH, stream=True)
    after = apply_quirks(quirks, CHAT.name, request, encoded(request))
    assert set(orjson.loads(after.wire.body)) == {"model", "messages", "temperature", "max_tokens", "stream"}
    error = refusal(request, after.losses, Mode.REPORT)
    assert error is not None
    for field in ("tools", "output", "choice_count"):
        assert field in error.message
    assert "sampling.top_p" not in error.message
    mild = replace(HELLO, sampling=Sampling(max_tokens=5, top_p=0.5, seed=1), stream=True)
    losses = apply_quirks(quirks, CHAT.name, mild, encoded(mild)).losses
    assert [loss.field for loss in losses] == ["sampling.top_p", "sampling.seed"]
    assert refusal(mild, losses, Mode.REPORT) is None


def test_a_history_of_calls_is_refused_by_a_provider_without_tools() -> None:
    request = Request(
        "m",
        (*HELLO.messages, Message(Role.ASSISTANT, (ToolCall("1", "f", "{}"),)),
         Message(Role.TOOL, (ToolResult("1", (Text("x"),)),))),
    )  # fmt: skip
    after = apply_quirks(shipped_provider("arka").quirks, CHAT.name, request, encoded(request))
    assert refusal(request, after.losses, Mode.REPORT) is not None
