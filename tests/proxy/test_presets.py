"""Slots are filled once, literally and fast; a preset's settings give way to the client's."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model.message import Message, Role, Text
from adapters.model.request import Request, Sampling
from proxy.presets import apply_preset, fill_slots
from proxy.settings import Preset

QUESTION = Message(Role.USER, (Text("Hello {{NAME}}"),))

# reliability.md T12, and dialects/amarsia.md A17: what a value brings in is text and nothing else.
LITERALS = [
    "{{7*7}}",
    "{{OTHER}}",
    "{{NAME}}",
    "{% for x in y %}",
    "${HOME}",
    "{0.__class__}",
    "%(NAME)s",
    "\\1 \\g<0>",
    "#{7*7}",
    "<%= 7*7 %>",
    "\x00",
    "line\r\nbreak",
    "\ud83d\ude00",
]


@pytest.mark.parametrize("value", LITERALS, ids=ascii)
def test_a_value_comes_out_literally(value: str) -> None:
    assert fill_slots("a {{NAME}} b", {"NAME": value, "OTHER": "SECRET"}) == f"a {value} b"


def test_two_values_cannot_make_a_slot_together() -> None:
    variables = {"OPEN": "{{OTH", "CLOSE": "ER}}", "OTHER": "SECRET"}
    assert fill_slots("{{OPEN}}{{CLOSE}}", variables) == "{{OTHER}}"
    assert fill_slots("{{{OPEN}}}", {"OPEN": "{OTHER}", "OTHER": "SECRET"}) == "{{OTHER}}"


def test_a_slot_without_a_variable_is_blank() -> None:
    assert fill_slots("[{{NONE}}]", {}) == "[]"
    assert fill_slots("[{{NONE}}]", {"NAME": "x"}) == "[]"


NO_SLOTS = [
    "{{name}}",
    "{{ NAME }}",
    "{NAME}",
    "{{}}",
    "{{NAME}",
    "{{NA-ME}}",
    "{{NA.ME}}",
    "{{N\u00c4ME}}",
    "{{\uff2e}}",
    "{{" + "N" * 65 + "}}",
]


@pytest.mark.parametrize("template", NO_SLOTS, ids=ascii)
def test_what_is_no_slot_stays(template: str) -> None:
    inner = template.strip("{}")
    assert fill_slots(template, {"NAME": "SECRET", inner: "SECRET", inner.strip(): "SECRET"}) == template


def test_a_slot_of_the_longest_name_is_filled() -> None:
    name = "N" * 64
    assert fill_slots("{{" + name + "}}{{_9}}", {name: "x", "_9": "y"}) == "xy"


def test_the_same_slot_is_filled_every_time() -> None:
    assert fill_slots("{{A}}{{A}} {{A}}", {"A": "x"}) == "xx x"


@given(st.text(), st.dictionaries(st.from_regex(r"[A-Z0-9_]{1,8}", fullmatch=True), st.text(), max_size=4))
def test_filling_once_leaves_everything_else_alone(text: str, variables: dict[str, str]) -> None:
    plain = text.replace("{", "")
    template = plain + "".join("{{" + name + "}}" for name in variables) + plain
    assert fill_slots(template, variables) == plain + "".join(variables.values()) + plain


QUADRATIC = {
    "many names": ("".join("{{N" + str(n) + "}} " for n in range(1000)), {f"N{n}": "v" * 1000 for n in range(1000)}),
    "open braces": ("{" * 1_000_000, {"A": "x"}),
    "slots never closed": ("{{AAAA" * 150_000, {"A": "x"}),
    "names too long": ("{{" + "A" * 1_000_000, {"A": "x"}),
    "value of open braces": ("{{A}}", {"A": "{{A" * 300_000}),
}


@pytest.mark.parametrize(("template", "variables"), QUADRATIC.values(), ids=QUADRATIC.keys())
def test_a_megabyte_takes_no_time(template: str, variables: dict[str, str]) -> None:
    # T12 allows 50 ms for 1 MB; quadratic work would take minutes, so the best of three may be ten times that here.
    best = 1e9
    for _ in range(3):
        started = time.perf_counter()
        fill_slots(template, variables)
        best = min(best, time.perf_counter() - started)
    assert best < 0.5


def test_instructions_come_first_and_are_filled() -> None:
    request = Request("support", (QUESTION,), variables={"TONE": "calm", "NAME": "SECRET"})
    done = apply_preset(Preset(model="demo/echo", instructions="Be {{TONE}}{{MISSING}}."), request)
    # The client's own words are no template: {{NAME}} in its message stays.
    assert done.messages == (Message(Role.SYSTEM, (Text("Be calm."),)), QUESTION)
    assert done.variables is None


def test_the_clients_system_message_follows_the_instructions() -> None:
    own = Message(Role.SYSTEM, (Text("mine"),))
    done = apply_preset(Preset(model="demo/echo", instructions="theirs"), Request("p", (own, QUESTION)))
    assert [message.parts for message in done.messages] == [(Text("theirs"),), own.parts, QUESTION.parts]


def test_a_preset_without_instructions_adds_no_message() -> None:
    request = Request("p", (QUESTION,), variables={"A": "x"})
    assert apply_preset(Preset(model="demo/echo"), request) == Request("p", (QUESTION,))


def test_empty_instructions_are_instructions() -> None:
    done = apply_preset(Preset(model="demo/echo", instructions=""), Request("p", (QUESTION,)))
    assert done.messages[0] == Message(Role.SYSTEM, (Text(""),))


def test_settings_fill_only_what_the_client_left_open() -> None:
    preset = Preset(model="demo/echo", temperature=0.5, max_tokens=7)
    assert apply_preset(preset, Request("p", (QUESTION,))).sampling == Sampling(temperature=0.5, max_tokens=7)
    said = Sampling(temperature=0.0, max_tokens=3, top_p=0.1)
    assert apply_preset(preset, Request("p", (QUESTION,), sampling=said)).sampling == said


def test_a_temperature_of_zero_in_the_preset_counts() -> None:
    done = apply_preset(Preset(model="demo/echo", temperature=0.0), Request("p", (QUESTION,)))
    assert done.sampling.temperature == 0.0


def test_everything_else_is_kept() -> None:
    request = Request("p", (QUESTION,), stream=True, user="u", choice_count=2, extra={"toy": {"a": 1}})
    assert apply_preset(Preset(model="demo/echo"), request) == request
