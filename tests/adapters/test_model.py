"""The common model: the grammar of streams, folding, reordering, comparing, and the plain form."""

import json
from dataclasses import replace

import pytest
from hypothesis import given

from adapters.conformance import in_pieces, merged
from adapters.model.catalog import ModelInfo
from adapters.model.error import STATUSES, ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.event import (
    ArgumentsDelta,
    ChoiceFinished,
    CitationAdded,
    EventOrder,
    ForeignEvent,
    LogprobsReported,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    SignatureDelta,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.fold import Collector, InOrder, collect, explode
from adapters.model.loss import Loss, LossReason, differences, foreign_losses, overreported, unreported
from adapters.model.message import (
    CacheHint,
    Inline,
    Media,
    MediaKind,
    Message,
    Opaque,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from adapters.model.plain import from_plain, to_plain
from adapters.model.request import (
    OutputFormat,
    OutputKind,
    ReasoningOptions,
    Request,
    Sampling,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from adapters.model.response import Choice, FinishReason, Response, Usage
from adapters.model.tables import reverse
from adapters.samples import FEATURES
from tests.strategies import event_streams, failing_streams, requests, responses

STOP = FinishReason.STOP
FAILED = StreamFailed(ApiError(ErrorKind.BAD_UPSTREAM, "gone"))
S, E = StreamStarted(), StreamEnded()
IMAGE = Media(MediaKind.IMAGE, Inline("AAAA"), "image/png")


def text(index: int, choice: int = 0) -> PartStarted:
    return PartStarted(index, Text(""), choice)


def check(*events) -> None:
    order = EventOrder()
    for event in events:
        order.check(event)


# --- the grammar ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        [FAILED],
        [S, FAILED],
        [S, ChoiceFinished(0, STOP), E],
        [S, text(0), FAILED],
        [S, text(0), TextDelta(0, "a"), PartEnded(0), ChoiceFinished(0, STOP), E],
        [S, text(5), text(3, 1), TextDelta(3, "a"), TextDelta(5, "b"), PartEnded(5), ChoiceFinished(0, STOP),
         PartEnded(3), UsageReported(Usage()), ChoiceFinished(1, STOP), ForeignEvent("x", {}), E],
        [S, PartStarted(0, Refusal("")), TextDelta(0, "a"), PartEnded(0), ChoiceFinished(0, STOP), E],
        [S, PartStarted(0, Reasoning("")), ReasoningDelta(0, "a"), SignatureDelta(0, "s"), PartEnded(0),
         ChoiceFinished(0, STOP), E],
        [S, PartStarted(0, ToolCall("i", "n", "")), ArgumentsDelta(0, "{}"), PartEnded(0), ChoiceFinished(0, STOP), E],
        [S, PartStarted(0, IMAGE), PartEnded(0), ChoiceFinished(0, STOP), E],
        [S, text(0), CitationAdded(0, {}), PartEnded(0), LogprobsReported(0, {}), ChoiceFinished(0, STOP), E],
    ],
)  # fmt: skip
def test_legal_stream_is_accepted(events):
    check(*events)


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        ("StreamStarted comes once, and first", [text(0)]),
        ("StreamStarted comes once, and first", [S, S]),
        ("StreamStarted comes once, and first", [UsageReported(Usage())]),
        ("StreamStarted comes once, and first", [ForeignEvent("x", {})]),
        ("StreamStarted comes once, and first", [E]),
        ("nothing follows the end", [FAILED, S]),
        ("nothing follows the end", [FAILED, FAILED]),
        ("nothing follows the end", [S, ChoiceFinished(0, STOP), E, E]),
        ("nothing follows the end", [S, ChoiceFinished(0, STOP), E, FAILED]),
        ("nothing follows the end", [S, ChoiceFinished(0, STOP), E, UsageReported(Usage())]),
        ("a part's index is used once", [S, text(0), text(0)]),
        ("a part's index is used once", [S, text(0), PartEnded(0), text(0)]),
        ("a part's index is used once", [S, text(0), PartEnded(0), text(0, 1)]),
        ("no part starts in a finished choice", [S, ChoiceFinished(0, STOP), text(0)]),
        ("the part is open", [S, TextDelta(0, "a")]),
        ("the part is open", [S, text(0), PartEnded(0), TextDelta(0, "a")]),
        ("the part is open", [S, text(0), PartEnded(0), PartEnded(0)]),
        ("the delta fits the part", [S, text(0), ReasoningDelta(0, "a")]),
        ("the delta fits the part", [S, text(0), ArgumentsDelta(0, "a")]),
        ("the delta fits the part", [S, text(0), SignatureDelta(0, "a")]),
        ("the delta fits the part", [S, PartStarted(0, Reasoning("")), TextDelta(0, "a")]),
        ("the delta fits the part", [S, PartStarted(0, ToolCall("i", "n", "")), TextDelta(0, "a")]),
        ("the delta fits the part", [S, PartStarted(0, Refusal("")), CitationAdded(0, {})]),
        ("the delta fits the part", [S, PartStarted(0, IMAGE), TextDelta(0, "a")]),
        ("the delta fits the part", [S, PartStarted(0, ToolResult("i", ())), PartEnded(0)]),
        ("a choice is finished once", [S, ChoiceFinished(0, STOP), ChoiceFinished(0, STOP)]),
        ("a choice's parts are closed before it is finished", [S, text(0), ChoiceFinished(0, STOP)]),
        ("all parts are closed before the end", [S, text(0), E]),
        ("all choices are finished before the end", [S, text(0), PartEnded(0), E]),
        ("all choices are finished before the end", [S, text(0, 1), PartEnded(0), ChoiceFinished(0, STOP), E]),
        ("at least one choice is finished", [S, E]),
    ],
)
def test_broken_rule_is_named(rule, events):
    check(*events[:-1])
    with pytest.raises(ValueError, match=rule):
        check(*events)


@given(event_streams() | failing_streams())
def test_generated_streams_are_legal(events):
    check(*events)


# --- folding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feature", FEATURES)
def test_exploded_sample_collects_to_itself(feature):
    response = FEATURES[feature].response
    check(*explode(response))
    assert collect(explode(response)) == response
    assert collect(in_pieces(response, 1)) == response


@given(responses())
def test_exploded_answer_collects_to_itself(response):
    check(*explode(response))
    # A call without arguments takes none: nothing and {} are the same.
    assert not differences(response, collect(explode(response)))
    assert not differences(collect(in_pieces(response, 1)), response)


@given(event_streams())
def test_collected_stream_explodes_to_the_same_answer(events):
    response = collect(events)
    assert collect(explode(response)) == response
    assert merged(in_pieces(response, 3)) == merged(explode(response))


def test_call_without_arguments_collects_to_an_empty_object():
    events = [S, PartStarted(0, ToolCall("i", "n", "")), PartEnded(0), ChoiceFinished(0, FinishReason.TOOL_CALL), E]
    assert collect(events).choices[0].parts == (ToolCall("i", "n", "{}"),)


def test_signature_without_text_is_kept():
    events = [S, PartStarted(0, Reasoning("")), SignatureDelta(0, "s"), PartEnded(0), ChoiceFinished(0, STOP), E]
    assert collect(events).choices[0].parts == (Reasoning("", signature="s"),)


def test_last_usage_wins():
    usages = [UsageReported(Usage(1, 1)), UsageReported(Usage(1, 9))]
    assert collect([S, *usages, ChoiceFinished(0, STOP), E]).usage == Usage(1, 9)


def test_logprobs_of_one_choice_add_up():
    reports = [LogprobsReported(0, {"content": [1], "refusal": None}), LogprobsReported(0, {"content": [2]})]
    assert collect([S, *reports, ChoiceFinished(0, STOP), E]).choices[0].logprobs == {
        "content": [1, 2],
        "refusal": None,
    }


def test_parts_keep_the_order_in_which_they_started():
    events = [
        S,
        text(7),
        text(2),
        TextDelta(2, "b"),
        PartEnded(2),
        TextDelta(7, "a"),
        PartEnded(7),
        ChoiceFinished(0, STOP),
        E,
    ]
    assert collect(events).choices[0].parts == (Text("a"), Text("b"))


@given(failing_streams())
def test_failed_stream_does_not_collect(events):
    with pytest.raises(ValueError, match="not complete"):
        collect(events)


def test_stream_without_end_does_not_collect():
    for events in ([], [S], [S, ChoiceFinished(0, STOP)]):
        with pytest.raises(ValueError, match="not complete"):
            collect(events)


@given(failing_streams())
def test_what_came_of_a_failed_stream_can_be_looked_at(events):
    collector = Collector()
    for event in events:
        collector.add(event)
    finished = {event.choice for event in events if isinstance(event, ChoiceFinished)}
    for choice in collector.response().choices:
        assert choice.index in finished or choice.finish_reason is FinishReason.ERROR


# --- one part at a time -----------------------------------------------------------------------------------------


def in_order(events):
    order = InOrder()
    return [ready for event in events for ready in order.feed(event)]


def most_open_parts(events) -> int:
    now = most = 0
    for event in events:
        now += isinstance(event, PartStarted) - isinstance(event, PartEnded)
        most = max(most, now)
    return most


@given(event_streams())
def test_in_order_gives_the_same_answer_one_part_at_a_time(events):
    ordered = in_order(events)
    check(*ordered)
    assert collect(ordered) == collect(events)
    assert most_open_parts(ordered) <= 1
    assert len(ordered) == len(events)


@given(failing_streams())
def test_in_order_lets_a_failure_pass_at_once(events):
    ordered = in_order(events)
    check(*ordered)
    assert ordered[-1] == events[-1]
    assert most_open_parts(ordered) <= 1


def test_in_order_holds_nothing_back_of_the_part_that_started_first():
    order = InOrder()
    for event in (S, text(0)):
        assert order.feed(event) == [event]
    assert order.feed(text(1)) == []
    assert order.feed(TextDelta(1, "b")) == []
    assert order.feed(TextDelta(0, "a")) == [TextDelta(0, "a")]
    assert order.feed(UsageReported(Usage())) == [UsageReported(Usage())]
    assert order.feed(PartEnded(0)) == [PartEnded(0), text(1), TextDelta(1, "b")]
    assert order.feed(TextDelta(1, "c")) == [TextDelta(1, "c")]
    assert order.feed(PartEnded(1)) == [PartEnded(1)]


def test_in_order_finishes_a_choice_after_its_parts_that_waited():
    events = [S, text(0), text(1, 1), PartEnded(1), ChoiceFinished(1, STOP), PartEnded(0), ChoiceFinished(0, STOP), E]
    ordered = in_order(events)
    check(*ordered)
    assert [event.choice for event in ordered if isinstance(event, ChoiceFinished)] == [1, 0]


# --- comparing --------------------------------------------------------------------------------------------------

USER = Message(Role.USER, (Text("a"),))
BASE = Request("m", (USER,))


def request(**changes) -> Request:
    return replace(BASE, **changes)


def user(*parts) -> Message:
    return Message(Role.USER, parts)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (request(), request(), []),
        (request(), request(model="n"), ["model"]),
        (request(sampling=Sampling(top_k=1)), request(), ["sampling.top_k"]),
        (request(sampling=Sampling(temperature=0)), request(), ["sampling.temperature"]),
        (request(sampling=Sampling(temperature=1)), request(sampling=Sampling(temperature=1.0)), []),
        (request(), request(sampling=Sampling(max_tokens=9)), ["sampling.max_tokens"]),
        (request(sampling=Sampling(stop_sequences=("a", "b"))), request(sampling=Sampling(stop_sequences=("a",))),
         ["sampling.stop_sequences[1]"]),
        (request(user="u"), request(), ["user"]),
        (request(user=""), request(), ["user"]),
        (request(stream=True), request(), ["stream"]),
        (request(include_usage=True), request(), []),
        (request(reasoning=ReasoningOptions("low", 5)), request(), ["reasoning.effort", "reasoning.budget_tokens"]),
        (request(metadata={"a": "b"}), request(), ["metadata"]),
        (request(messages=(USER, USER)), request(), ["messages[1]"]),
        (request(), request(messages=(USER, user(Text("b")))), ["messages+"]),
        (request(messages=(user(Text("a"), IMAGE),)), request(), ["messages[0].parts[1]"]),
        (request(messages=(user(IMAGE, Text("a")),)), request(), ["messages[0].parts[0]"]),
        (request(messages=(user(Text("a", cache=CacheHint())),)), request(), ["messages[0].parts[0].cache"]),
        (request(messages=(user(Text("a", cache=CacheHint("1h"))),)), request(), ["messages[0].parts[0].cache"]),
        (request(messages=(Message(Role.USER, (Text("a"),), name="n"),)), request(), ["messages[0].name"]),
        (request(messages=(Message(Role.SYSTEM, (Text("a"),)), USER)), request(), ["messages[0]"]),
        (request(extra={"x": {"k": 1, "l": 2}}), request(extra={"x": {"l": 2}}), ["extra.x.k"]),
        (request(), request(extra={"x": {"k": 1}}), []),
    ],
)  # fmt: skip
def test_differences_name_what_changed(before, after, expected):
    assert differences(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (request(tool_choice=ToolChoice(ToolChoiceMode.AUTO)), request()),
        (request(output=OutputFormat(OutputKind.TEXT)), request()),
        (request(parallel_tool_calls=True), request()),
        (request(choice_count=1), request()),
        (request(sampling=Sampling(logprobs=False)), request()),
        (request(tools=(Tool("t"),)), request(tools=(Tool("t", parameters={"type": "object", "properties": {}}),))),
        (request(tools=(Tool("t", parameters={}),)), request(tools=(Tool("t"),))),
        (request(messages=(Message(Role.TOOL, (ToolResult("i", (), is_error=False),)),)),
         request(messages=(Message(Role.TOOL, (ToolResult("i", ()),)),))),
        (request(messages=(user(ToolCall("i", "n", '{"a": 1, "b":2}')),)),
         request(messages=(user(ToolCall("i", "n", '{"b":2,"a":1}')),))),
        (request(messages=(user(ToolCall("i", "n", "")),)), request(messages=(user(ToolCall("i", "n", "{}")),))),
    ],
)  # fmt: skip
def test_what_says_nothing_is_no_difference_in_either_direction(before, after):
    assert differences(before, after) == []
    assert differences(after, before) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (request(choice_count=2), request(choice_count=1)),
        (request(parallel_tool_calls=False), request(parallel_tool_calls=True)),
        (request(tool_choice=ToolChoice(ToolChoiceMode.NONE)), request()),
        (request(messages=(user(ToolCall("i", "n", '{"a":12345678901234567890123}')),)),
         request(messages=(user(ToolCall("i", "n", '{"a":1.2345678901234568e22}')),))),
        (request(messages=(user(ToolCall("i", "n", "not json")),)),
         request(messages=(user(ToolCall("i", "n", "{}")),))),
        (request(tools=(Tool("t", ""),)), request(tools=(Tool("t"),))),
    ],
)  # fmt: skip
def test_what_says_something_is_a_difference_in_both_directions(before, after):
    assert len(differences(before, after)) == 1
    assert len(differences(after, before)) == 1


def test_differences_of_answers():
    before = Response((Choice(0, (Text("a"), Text("b")), STOP, "END"),), model="m", usage=Usage(1, 2, 0))
    after = Response((Choice(0, (Text("a"),), STOP),), model="m", usage=Usage(1, 2))
    assert differences(before, after) == [
        "choices[0].parts[1]",
        "choices[0].stop_sequence",
        "usage.cache_read_tokens",
    ]
    assert differences(after, replace(after, usage=None)) == ["usage.input_tokens", "usage.output_tokens"]
    assert differences(replace(after, usage=None), after) == ["usage"]


def test_equal_texts_are_compared_in_order():
    marked = Text("a", extra={"x": {"k": 1}})
    before = request(messages=(user(marked, Text("a")),))
    after = request(messages=(user(Text("a"), Text("a")),))
    assert differences(before, after) == ["messages[0].parts[0].extra.x.k"]


def test_null_extra_is_neither_lost_nor_reported():
    before = request(extra={"elsewhere": {"knob": None}})
    assert differences(before, request()) == []
    assert foreign_losses(before, "toy") == []


def loss(field: str, reason: LossReason = LossReason.UNSUPPORTED) -> Loss:
    return Loss(field, reason)


@pytest.mark.parametrize(
    ("changes", "losses", "silent", "false"),
    [
        ([], [], [], []),
        (["a"], [loss("a")], [], []),
        (["a"], [], ["a"], []),
        ([], [loss("a")], [], ["a"]),
        (["a.b", "a.c"], [loss("a")], [], []),
        (["a.b"], [loss("a.c")], ["a.b"], ["a.c"]),
        (["a"], [loss("a.b")], ["a"], []),
        (["ab"], [loss("a")], ["ab"], ["a"]),
        (["a[1]"], [loss("a")], [], []),
        (["a[10]"], [loss("a[1]")], ["a[10]"], ["a[1]"]),
        (["messages[0]", "messages+"], [loss("messages[0]")], ["messages+"], []),
        (["messages[0]", "messages+"], [loss("messages[0]", LossReason.MOVED)], [], []),
        (["messages[0]", "messages[1].parts+"], [loss("messages[0]", LossReason.MOVED)], [], []),
        (["messages[0]", "tools+"], [loss("messages[0]", LossReason.MOVED)], ["tools+"], []),
    ],
)
def test_reports_are_held_against_changes(changes, losses, silent, false):
    assert unreported(changes, losses) == silent
    assert [entry.field for entry in overreported(changes, losses)] == false


def test_foreign_losses_find_extras_and_opaque_parts_everywhere():
    extra = {"x": {"k": 1}, "toy": {"own": 1}}
    opaque = Opaque("x", {})
    result = ToolResult("i", (Text("a", extra=extra), opaque), extra=extra)
    root = Request(
        "m",
        (
            Message(Role.USER, (Text("a", extra=extra), opaque, Opaque("toy", {})), extra=extra),
            Message(Role.TOOL, (result,)),
        ),
        tools=(Tool("t", extra=extra), opaque),
        extra=extra,
    )
    assert sorted(entry.field for entry in foreign_losses(root, "toy")) == [
        "extra.x.k",
        "messages[0].extra.x.k",
        "messages[0].parts[0].extra.x.k",
        "messages[0].parts[1]",
        "messages[1].parts[0].extra.x.k",
        "messages[1].parts[0].parts[0].extra.x.k",
        "messages[1].parts[0].parts[1]",
        "tools[0].extra.x.k",
        "tools[1]",
    ]
    answer = Response((Choice(0, (opaque,), STOP, extra=extra),), usage=Usage(extra=extra), extra=extra)
    assert sorted(entry.field for entry in foreign_losses(answer, "toy")) == [
        "choices[0].extra.x.k",
        "choices[0].parts[0]",
        "extra.x.k",
        "usage.extra.x.k",
    ]


# --- the plain form ---------------------------------------------------------------------------------------------


def through_json(value):
    return from_plain(json.loads(json.dumps(to_plain(value))))


@given(requests())
def test_plain_request_is_read_back(request_):
    assert through_json(request_) == request_


@given(responses())
def test_plain_answer_is_read_back(response):
    assert through_json(response) == response


@pytest.mark.parametrize(
    "value",
    [
        Request("m", ()),
        Message(Role.ASSISTANT, ()),
        Choice(0, (), STOP),
        ToolResult("i", ()),
        Request("m", (USER,), sampling=Sampling(temperature=0, seed=0, stop_sequences=("",))),
        Request("m", (USER,), stream=True, include_usage=False, choice_count=0, user="", metadata={}),
        Response((), usage=Usage(0, 0)),
        ApiError(ErrorKind.RATE_LIMIT, "m", Fault.UPSTREAM, 429, "c", "p", 0.0, "r", {"a": None}),
        ModelInfo("m", "o", 1, "d", 2, 3, frozenset({"text", "tools"})),
        ModelInfo("m", "o", features=frozenset()),
        Request("m", (USER,), extra={"x": {"k": None, "l": [], "is": "z"}}),
        Request("m", (user(Text("a", citations=({"is": "Text", "text": "b"},))),)),
    ],
)
def test_plain_form_keeps_empty_and_zero(value):
    assert through_json(value) == value


def test_plain_form_leaves_out_what_was_not_said():
    assert to_plain(BASE) == {
        "is": "Request",
        "model": "m",
        "messages": [{"is": "Message", "role": "user", "parts": [{"is": "Text", "text": "a"}]}],
    }


# --- errors and tables ------------------------------------------------------------------------------------------


def test_every_kind_has_a_status():
    assert set(STATUSES) == set(ErrorKind)


@pytest.mark.parametrize("kind", ErrorKind)
def test_kind_of_the_usual_status_is_of_the_same_sort(kind):
    found = kind_of_status(STATUSES[kind])
    assert found is kind or STATUSES[kind] == 400


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ErrorKind.INVALID_REQUEST), (422, ErrorKind.INVALID_REQUEST), (200, ErrorKind.BAD_UPSTREAM),
     (302, ErrorKind.BAD_UPSTREAM), (500, ErrorKind.INTERNAL), (520, ErrorKind.BAD_UPSTREAM),
     (529, ErrorKind.OVERLOADED)],
)  # fmt: skip
def test_unknown_status_has_a_kind(status, kind):
    assert kind_of_status(status) is kind


def test_status_of_an_error_is_its_own_or_its_kinds():
    assert ApiError(ErrorKind.QUOTA, "m").http_status == 402
    assert ApiError(ErrorKind.QUOTA, "m", status=429).http_status == 429


def test_first_spelling_wins_in_a_reversed_table():
    assert reverse({"a": 1, "b": 1, "c": 2}) == {1: "a", 2: "c"}
