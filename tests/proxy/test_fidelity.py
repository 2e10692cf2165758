"""Which losses are refused and which are told: one row per ruling in the project's reference (``shared/README.md``)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model.error import ErrorKind, Fault
from adapters.model.loss import Loss, LossReason
from adapters.model.message import (
    CacheHint,
    Inline,
    Media,
    MediaKind,
    Message,
    Opaque,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
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
from proxy.fidelity import HEADER_LIMIT, Mode, fidelity_headers, refusal

PIXEL = Media(MediaKind.IMAGE, Inline("AA=="), "image/png", detail="low", cache=CacheHint())

MESSAGES = (
    Message(Role.SYSTEM, (Text("Be brief.", cache=CacheHint()),)),
    Message(Role.USER, (Text("Look:", citations=({"a": 1},)), PIXEL, Opaque("toy", {})), name="ann"),
    Message(Role.ASSISTANT, (Reasoning("hm", signature="s"), ToolCall("c1", "look", "{}", extra={"toy": {"x": 1}}))),
    Message(Role.TOOL, (ToolResult("c1", (Text("seen"), PIXEL), is_error=True),)),
)
REQUEST = Request(
    "m",
    MESSAGES,
    tools=(Tool("look", "Looks", {"type": "object"}, strict=True, cache=CacheHint()), Opaque("toy", {})),
    tool_choice=ToolChoice(ToolChoiceMode.REQUIRED),
    parallel_tool_calls=False,
    sampling=Sampling(1, 0.5, 0.5, 3, ("END",), 0.1, 0.1, 7, {"1": 1}, True, 2),
    output=OutputFormat(OutputKind.JSON_SCHEMA, {"type": "object"}, "n", "d", True),
    reasoning=ReasoningOptions("low"),
    choice_count=2,
    user="u",
    metadata={"k": "v"},
    extra={"toy": {"x": 1}},
)

# Ruling 2: text, media, tool definitions, calls and results, n > 1, logprobs and a forced tool_choice; from the
# mapping tables also stop sequences and the JSON output, without which the answer is another one.
REFUSED_IN_REPORT = [
    "messages[0]",
    "messages[1]",
    "messages[0].parts[0]",
    "messages[1].parts[1]",
    "messages[1].parts[2]",
    "messages[2].parts[1]",
    "messages[2].parts[1].arguments",
    "messages[3].parts[0]",
    "messages[3].parts[0].parts[0]",
    "messages[3].parts[0].parts[1]",
    "tools",
    "tools[0]",
    "tools[1]",
    "tool_choice",
    "choice_count",
    "sampling.logprobs",
    "sampling.stop_sequences",
    "output",
    "output.schema",
    "conversation.id",
    "conversation.previous_response_id",
]

# Ruling 2: sampling parameters, cache hints, citations and reasoning; and what belongs to another dialect only.
TOLD_IN_REPORT = [
    "sampling.temperature",
    "sampling.top_p",
    "sampling.top_k",
    "sampling.seed",
    "sampling.max_tokens",
    "sampling.presence_penalty",
    "sampling.frequency_penalty",
    "sampling.logit_bias",
    "reasoning",
    "reasoning.effort",
    "user",
    "metadata",
    "metadata.k",
    "parallel_tool_calls",
    "messages[0].parts[0].cache",
    "messages[1].parts[0].citations",
    "messages[1].parts[1].cache",
    "messages[1].parts[1].detail",
    "messages[1].name",
    "messages[2].parts[0]",
    "messages[2].parts[0].signature",
    "messages[2].parts[1].extra.toy.x",
    "messages[3].parts[0].is_error",
    "messages[3].parts[0].parts[1].detail",
    "output.name",
    "output.strict",
    "extra.toy.x",
    "extra.toy.messages[0]",
    "tools[0].cache",
    "tools[0].strict",
    "tools[0].extra.toy.x",
]

GONE = [LossReason.UNSUPPORTED, LossReason.FOREIGN, LossReason.INVALID]
KEPT = [LossReason.APPROXIMATED, LossReason.CLAMPED, LossReason.MOVED]


@pytest.mark.parametrize("reason", GONE)
@pytest.mark.parametrize("field", REFUSED_IN_REPORT)
def test_what_changes_the_meaning_is_refused(field: str, reason: LossReason) -> None:
    error = refusal(REQUEST, [Loss(field, reason, "cannot be sent")], Mode.REPORT)
    assert error is not None
    assert (error.kind, error.fault, error.code, error.param, error.http_status) == (
        ErrorKind.UNSUPPORTED,
        Fault.CLIENT,
        "unsupported_field",
        field,
        400,
    )
    assert f"{field}: cannot be sent" in error.message


@pytest.mark.parametrize("reason", KEPT)
@pytest.mark.parametrize("field", [*REFUSED_IN_REPORT, *TOLD_IN_REPORT])
def test_what_arrives_in_another_form_is_told(field: str, reason: LossReason) -> None:
    """Ruling 1 (a transcript is ``approximated``), 6 (a filled-in limit), 7 (a clamped temperature), 9 (moved)."""
    assert refusal(REQUEST, [Loss(field, reason)], Mode.REPORT) is None


@pytest.mark.parametrize("reason", GONE)
@pytest.mark.parametrize("field", TOLD_IN_REPORT)
def test_settings_and_hints_are_told(field: str, reason: LossReason) -> None:
    assert refusal(REQUEST, [Loss(field, reason)], Mode.REPORT) is None


@pytest.mark.parametrize("reason", LossReason)
@pytest.mark.parametrize("field", [*REFUSED_IN_REPORT, *TOLD_IN_REPORT])
def test_strict_refuses_every_loss_and_best_effort_none(field: str, reason: LossReason) -> None:
    losses = [Loss(field, reason)]
    strict = refusal(REQUEST, losses, Mode.STRICT)
    assert strict is not None
    assert strict.param == field
    assert refusal(REQUEST, losses, Mode.BEST_EFFORT) is None


@pytest.mark.parametrize("mode", Mode)
def test_without_losses_nothing_is_refused(mode: Mode) -> None:
    assert refusal(REQUEST, [], mode) is None


@pytest.mark.parametrize(
    ("choice", "refused"),
    [
        (ToolChoice(ToolChoiceMode.REQUIRED), True),
        (ToolChoice(ToolChoiceMode.TOOL, "look"), True),
        (ToolChoice(ToolChoiceMode.AUTO), False),
        (None, False),
    ],
    ids=["required", "tool", "auto", "unsaid"],
)
def test_only_a_forced_tool_choice_is_refused(choice: ToolChoice | None, refused: bool) -> None:
    request = Request("m", MESSAGES, tool_choice=choice)
    error = refusal(request, [Loss("tool_choice", LossReason.UNSUPPORTED)], Mode.REPORT)
    assert (error is not None) is refused


@pytest.mark.parametrize("kind", OutputKind)
def test_only_an_asked_for_json_output_is_refused(kind: OutputKind) -> None:
    request = Request("m", MESSAGES, output=OutputFormat(kind))
    error = refusal(request, [Loss("output", LossReason.UNSUPPORTED)], Mode.REPORT)
    assert (error is not None) is (kind is not OutputKind.TEXT)


def test_the_message_names_every_refused_field_and_no_other() -> None:
    losses = [
        Loss("sampling.top_k", LossReason.UNSUPPORTED, "there is no top_k"),
        Loss("messages[1].parts[1]", LossReason.UNSUPPORTED, "there are no images"),
        Loss("choice_count", LossReason.UNSUPPORTED),
    ]
    error = refusal(REQUEST, losses, Mode.REPORT)
    assert error is not None
    assert error.param == "messages[1].parts[1]"
    assert error.message.endswith(": messages[1].parts[1]: there are no images; choice_count: unsupported")


def test_many_refused_fields_are_counted() -> None:
    losses = [Loss(f"messages[{index}]", LossReason.UNSUPPORTED) for index in range(4)] * 10
    error = refusal(REQUEST, losses, Mode.REPORT)
    assert error is not None
    assert error.message.endswith("; and 20 more")
    assert error.message.count("messages[") == 20


FIELD = st.one_of(
    st.sampled_from([*REFUSED_IN_REPORT, *TOLD_IN_REPORT]),
    # The keys of ``extra`` are the client's own.
    st.text(max_size=20).map(lambda name: f"messages[0].extra.toy.{name}"),
    st.text(max_size=20).map(lambda name: f"messages[2].parts[1].extra.toy.{name}"),
    st.text(max_size=20).map(lambda name: f"extra.toy.{name}"),
)
LOSSES = st.lists(st.builds(Loss, FIELD, st.sampled_from(list(LossReason)), st.text(max_size=20)), max_size=8)


@given(LOSSES, st.sampled_from(list(Mode)))
def test_any_field_name_is_judged(losses: list[Loss], mode: Mode) -> None:
    refusal(REQUEST, losses, mode)


@pytest.mark.parametrize("name", ["arguments", "a.arguments", "parts[0]", "parts[x", "x].parts[9]"])
def test_a_foreign_field_is_told_whatever_its_name(name: str) -> None:
    for field in (f"messages[1].extra.toy.{name}", f"messages[2].parts[1].extra.toy.{name}", f"extra.toy.{name}"):
        assert refusal(REQUEST, [Loss(field, LossReason.FOREIGN)], Mode.REPORT) is None, field


# --- headers (ruling 8) -------------------------------------------------------------------------------------------


def test_nothing_lost_is_exact() -> None:
    assert fidelity_headers([]) == {"x-dragoman-fidelity": "exact"}


def test_losses_are_listed() -> None:
    losses = [Loss("sampling.top_k", LossReason.UNSUPPORTED, "x"), Loss("messages[2]", LossReason.MOVED)]
    assert fidelity_headers(losses) == {
        "x-dragoman-fidelity": "lossy",
        "x-dragoman-losses": "sampling.top_k=unsupported,messages[2]=moved",
    }


def test_a_list_of_exactly_the_limit_is_whole() -> None:
    name = "f" * (HEADER_LIMIT - len("=moved"))
    assert fidelity_headers([Loss(name, LossReason.MOVED)])["x-dragoman-losses"] == f"{name}=moved"
    assert fidelity_headers([Loss(name + "f", LossReason.MOVED)])["x-dragoman-losses"] == "+1"


def test_what_does_not_fit_is_counted() -> None:
    losses = [Loss(f"messages[{index}].parts[0].cache", LossReason.UNSUPPORTED) for index in range(500)]
    header = fidelity_headers(losses)["x-dragoman-losses"]
    *listed, rest = header.split(",")
    assert listed == [str(loss) for loss in losses[: len(listed)]]
    assert rest == f"+{500 - len(listed)}"
    assert HEADER_LIMIT - 60 < len(header) <= HEADER_LIMIT + len(rest) + 1


ODD_NAMES = ["a\r\nb: x", "a\nb", "a\x00b", "a\x7fb", "\u00e9", "\U0001f600" * 100, "\u2028", "a\x85b", "\ud800"]


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_header_is_printable_ascii(name: str) -> None:
    header = fidelity_headers([Loss(f"extra.toy.{name}", LossReason.FOREIGN)])["x-dragoman-losses"]
    assert all(" " <= character <= "~" for character in header)
    assert header.startswith("extra.toy.")
    assert header.endswith("=foreign")


@given(st.lists(st.text(max_size=3000).map(lambda name: Loss(f"extra.toy.{name}", LossReason.FOREIGN)), max_size=8))
def test_a_header_is_never_longer_than_the_limit(losses: list[Loss]) -> None:
    header = fidelity_headers(losses).get("x-dragoman-losses", "")
    assert len(header) <= HEADER_LIMIT + len(",+8")
    assert all(" " <= character <= "~" for character in header)


def test_names_written_as_escapes_count_as_written() -> None:
    """Each of these characters takes ten bytes in the header, so the limit must hold after escaping."""
    header = fidelity_headers([Loss("\U0001f600" * 1900, LossReason.FOREIGN)])["x-dragoman-losses"]
    assert len(header) <= HEADER_LIMIT + len(",+1")
