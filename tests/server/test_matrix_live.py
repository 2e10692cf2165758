"""The product's matrix over real sockets: what arrives, what is reported, what is refused, as the matrix says."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import orjson
import pytest

from adapters.contract import Dialect, EncodeError, WireResponse
from adapters.model.error import ApiError, ErrorKind
from adapters.model.event import StreamFailed
from adapters.model.loss import Loss, LossReason, differences, overreported, unreported
from adapters.model.message import Media, Message, Part, Reasoning, Role, Text, ToolCall, Url, plain_text
from adapters.model.plain import from_plain
from adapters.model.request import Request
from adapters.model.response import Response
from adapters.samples import FEATURES as SAMPLES
from adapters.samples import Sample
from proxy import demo
from proxy.matrix import Cell, Verdict, cell, context, native_request
from proxy.media.refusal import WORDING
from proxy.registry import dialect_names, load_dialect
from tests.server.calls import Answer, overload_status, read_wire, send
from tests.server.recording import Recorder
from tests.server.stage import UPSTREAMS, breaks_off, canned, dialect_of, target, watched

ROOT = Path(__file__).parents[2]
MODELS = {"tools": "tools", "tool_results": "tools", "json_schema": "json", "reasoning": "think"}
"""The demo model that answers with what the feature is about; the others are answered by the echo."""

ADDRESS = "https://127.0.0.1/cat.png"
"""Never fetched, and refused without a look-up or a connection: no test leaves this machine."""


def nearby(sample: Sample) -> Sample:
    """The sample with ``ADDRESS`` for every address in it."""
    messages = (
        replace(
            message,
            parts=tuple(
                replace(part, source=Url(ADDRESS)) if isinstance(part, Media) and isinstance(part.source, Url) else part
                for part in message.parts
            ),
        )
        for message in sample.request.messages
    )
    return replace(sample, request=replace(sample.request, messages=tuple(messages)))


FEATURES = {name: nearby(sample) for name, sample in SAMPLES.items()}

COUNTING = (Message(Role.USER, (Text("Count: one two three four five."),)),)
"""The sample's own question does not make the echo say its stop sequence."""

CORE = ("text", "tools", "tool_results", "json_schema")
"""Tried between every client and every upstream; the others between some, over all of them every pair."""


def cells_to_try(upstreams: Sequence[str]) -> Iterator[tuple[str, str, str, bool]]:
    """Ingress, upstream, feature, stream. Always the same; every dialect is on both sides of every feature."""
    for turn, feature in enumerate(FEATURES):
        for row, ingress in enumerate(dialect_names()):
            for column, upstream in enumerate(upstreams):
                if feature in CORE or (column - row - turn) % len(upstreams) in (0, 3):
                    yield ingress, upstream, feature, False
                    yield ingress, upstream, feature, True


def with_cells(upstreams: Sequence[str]) -> pytest.MarkDecorator:
    cells = [
        pytest.param(*place, stream, id="-".join((*place, "stream" if stream else "unary")))
        for *place, stream in cells_to_try(upstreams)
    ]
    return pytest.mark.parametrize(("ingress", "upstream", "feature", "stream"), cells)


with_ingress = pytest.mark.parametrize("ingress", dialect_names())
with_upstream = pytest.mark.parametrize("upstream", UPSTREAMS)
with_stream = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the matrix, with the request that a native client sends for it."""

    ingress: Dialect
    upstream: Dialect | None
    request: Request
    expected: Cell
    answer: Response | None = None
    """What the demo answers, where the test is about the answer."""
    unfetched: str | None = None
    """The part that the upstream needs the bytes of, and that nothing here can be fetched for."""


def case_of(ingress: str, upstream: str, sample: Sample, *, stream: bool) -> Case | None:
    """The cell for ``sample``; ``None`` if clients of this dialect have no words for it."""
    dialect, provider = load_dialect(ingress), dialect_of(upstream)
    expected = cell(dialect, provider, sample, stream)
    request = native_request(dialect, replace(sample.request, stream=stream))
    assert (request is None) is (expected.verdict is Verdict.NOT_SAID)
    if request is None:
        return None
    fetched = None if provider is dialect or provider is None else first_fetched(provider, request)
    return Case(dialect, provider, request, expected, unfetched=fetched)


def first_fetched(provider: Dialect, request: Request) -> str | None:
    """The path of the first part by address that must be fetched for a provider of this dialect."""
    paths = (
        f"messages[{row}].parts[{column}]"
        for row, message in enumerate(request.messages)
        for column, part in enumerate(message.parts)
        if isinstance(part, Media) and isinstance(part.source, Url) and provider.needs_bytes(part)
    )
    return next(paths, None)


def parse_losses(answer: Answer) -> list[Loss]:
    """What the headers report, after checking that they agree with one another."""
    listed = answer.headers.get("x-dragoman-losses")
    assert answer.headers["x-dragoman-fidelity"] == ("exact" if listed is None else "lossy"), answer
    if listed is None:
        return []
    assert "+" not in listed, "the samples' losses must fit the header"
    pairs = (entry.split("=") for entry in listed.split(","))
    return [Loss(field, LossReason(reason)) for field, reason in pairs]


REQUEST_FIELDS = {field.name for field in fields(Request)} - {"model", "extra"}


def about_request(loss: Loss) -> bool:
    return loss.field.split(".")[0].split("[")[0] in REQUEST_FIELDS


def read_answer(case: Case, answer: Answer) -> Response:
    """The answer as a client of this dialect understands it."""
    assert answer.status == 200, answer
    assert answer.complete
    return read_wire(case.ingress, WireResponse(answer.status, answer.body, answer.headers), case.request)


def test_every_pair_is_tried_and_every_dialect_on_both_sides_of_every_feature() -> None:
    for upstreams in (UPSTREAMS, dialect_names()):
        cells = list(cells_to_try(upstreams))
        pairs = {(ingress, upstream) for ingress, upstream, feature, _ in cells if feature not in CORE}
        assert len(pairs) == len(dialect_names()) * len(upstreams)
        for feature in FEATURES:
            assert {ingress for ingress, _, named, _ in cells if named == feature} == set(dialect_names())
            assert {upstream for _, upstream, named, _ in cells if named == feature} == set(upstreams)


# --- the way there --------------------------------------------------------------------------------------------------


@with_cells(UPSTREAMS)
def test_what_arrives_upstream(base: str, ingress: str, upstream: str, feature: str, stream: bool) -> None:
    """The difference between what the client sent and what the provider got is exactly what the headers report."""
    case = case_of(ingress, upstream, FEATURES[feature], stream=stream)
    if case is None:
        return
    sent = replace(case.request, model=target(upstream, "mirror"))
    answer = send(base, case.ingress, sent)
    if case.unfetched is not None:
        check_not_fetched(case, answer)
        return
    if case.expected.verdict is Verdict.REFUSED:
        check_refused(case, answer)
        return
    check_mirrored(case, sent, answer)


def check_mirrored(case: Case, sent: Request, answer: Answer) -> None:
    """What the mirror shows differs from what was sent exactly where the headers say so, and as the matrix says."""
    received = from_plain(orjson.loads(plain_text(read_answer(case, answer).choices[0].parts)))
    assert isinstance(received, Request)
    losses = [loss for loss in parse_losses(answer) if about_request(loss)]
    changes = differences(sent, replace(received, model=sent.model))
    assert unreported(changes, losses) == []
    assert overreported(changes, losses) == []
    assert sorted(map(str, losses)) == sorted(map(str, case.expected.request_losses))
    assert received.stream is sent.stream


@with_ingress
@with_stream
@pytest.mark.parametrize("upstream", dialect_names())
def test_best_effort_sends_what_is_left(base: str, ingress: str, upstream: str, stream: bool) -> None:
    """Nothing is refused then, and everything is still reported."""
    for sample in FEATURES.values():
        case = case_of(ingress, upstream, sample, stream=stream)
        if case is None or case.unfetched or case.expected.verdict is not Verdict.REFUSED:
            continue
        sent = replace(case.request, model=target(upstream, "mirror"))
        check_mirrored(case, sent, send(base, case.ingress, sent, {"x-dragoman-mode": "best-effort"}))


def check_not_fetched(case: Case, answer: Answer) -> None:
    """What cannot be fetched is the client's fault, named by its place and never by its address."""
    assert answer.status == 400, answer
    assert answer.headers.get("x-dragoman-losses") is None
    told = ApiError(ErrorKind.INVALID_REQUEST, WORDING, code="media_not_fetched", param=case.unfetched)
    error = case.ingress.decode_error(WireResponse(400, answer.body, answer.headers))
    assert replace(error, request_id=None) == case.ingress.decode_error(case.ingress.encode_error(told))
    assert WORDING in error.message
    assert ADDRESS.encode() not in answer.body


def check_refused(case: Case, answer: Answer) -> None:
    """The client's own kind of error, naming the field at fault."""
    assert answer.status == 400, answer
    error = case.ingress.decode_error(WireResponse(400, answer.body, answer.headers))
    named = [loss.field for loss in case.expected.request_losses]
    assert error.param in named
    assert error.param in error.message
    assert error.code == "unsupported_field"
    assert sorted(map(str, parse_losses(answer))) == sorted(map(str, case.expected.request_losses))


@with_ingress
@with_stream
@pytest.mark.parametrize("upstream", dialect_names())
def test_refused_requests_reach_nobody(
    base: str, ingress: str, upstream: str, stream: bool, recorder: Recorder
) -> None:
    for sample in FEATURES.values():
        case = case_of(ingress, upstream, sample, stream=stream)
        if case is None or not (case.unfetched or case.expected.verdict is Verdict.REFUSED):
            continue
        recorder.will_answer(WireResponse(200, b"{}"))
        check = check_refused if case.unfetched is None else check_not_fetched
        check(case, send(base, case.ingress, replace(case.request, model=watched(upstream, "any"))))
        assert recorder.received == []


def test_the_recorder_would_see_a_request_that_is_not_refused(base: str, recorder: Recorder) -> None:
    """Otherwise the test above could not fail."""
    for name in dialect_names():
        recorder.will_answer(WireResponse(500, b"{}"))
        send(base, load_dialect(name), replace(FEATURES["text"].request, model=watched(name, "any")))
        assert len(recorder.received) == 1


@with_ingress
@with_stream
def test_strict_mode_refuses_every_loss(base: str, ingress: str, stream: bool) -> None:
    refused = 0
    for upstream in dialect_names():
        for sample in FEATURES.values():
            case = case_of(ingress, upstream, sample, stream=stream)
            if case is None:
                continue
            sent = replace(case.request, model=target(upstream, "mirror"))
            answer = send(base, case.ingress, sent, {"x-dragoman-mode": "strict"})
            lossy = bool(case.expected.request_losses)
            assert answer.status == (400 if lossy or case.unfetched else 200), (upstream, sample.name, answer)
            refused += lossy
    assert refused > 0 or ingress == "amarsia"


# --- the way back ---------------------------------------------------------------------------------------------------


@with_cells(UPSTREAMS)
def test_what_arrives_at_the_client(base: str, ingress: str, upstream: str, feature: str, stream: bool) -> None:
    """The demo's answer comes as the matrix says for that answer, and the headers report what it lost."""
    model = MODELS.get(feature, "echo")
    case = answered_case(ingress, upstream, FEATURES[feature], stream=stream)
    if case is None or case.unfetched or case.expected.verdict is Verdict.REFUSED:
        return  # the tests above have these
    answer = send(base, case.ingress, replace(case.request, model=target(upstream, model)))
    if case.expected.verdict is Verdict.FAILS:
        assert answer.status == 502 or not answer.complete
        return
    check_answer(case, answer, target(upstream, model))


@with_cells(dialect_names())
def test_the_samples_own_answers_arrive(
    base: str, ingress: str, upstream: str, feature: str, stream: bool, recorder: Recorder
) -> None:
    """As above, with the answers that the matrix itself is made from; the demo gives no refusals, for one."""
    sample = FEATURES[feature]
    sample = replace(sample, request=replace(sample.request, include_usage=True if stream else None))
    case = case_of(ingress, upstream, sample, stream=stream)
    if case is None or case.unfetched or case.expected.verdict is Verdict.REFUSED:
        return
    case = replace(case, answer=sample.response)
    try:
        recorder.will_answer(canned(load_dialect(upstream), sample.response, case.request), chunked=stream)
    except EncodeError:
        return  # no provider of this dialect can answer that
    asked = watched(upstream, "any")
    answer = send(base, case.ingress, replace(case.request, model=asked))
    assert len(recorder.received) == 1
    if case.expected.verdict is Verdict.FAILS:
        assert answer.status == 502 or not answer.complete
        return
    check_answer(case, answer, asked)


def check_answer(case: Case, answer: Answer, asked: str) -> None:
    """Headers and content are what the matrix says; ``asked`` is the model's name that the client used."""
    received = read_answer(replace(case, request=replace(case.request, model=asked)), answer)
    assert received.model in (asked, None)
    reported = [str(loss) for loss in parse_losses(answer)]
    promised = [str(loss) for loss in (*case.expected.request_losses, *case.expected.answer_losses)]
    if case.request.stream:  # what was lost after the first bytes is too late for the headers
        assert set(map(str, case.expected.request_losses)) <= set(reported) <= set(promised)
    else:
        assert sorted(reported) == sorted(promised)
        assert (case.expected.verdict is Verdict.LOSSY) is bool(reported)
    given = replace(as_sent(case), model=asked)
    # A stream may leave out the name that the client itself has asked for.
    received = replace(received, model=received.model or asked)
    changes = differences(comparable(given), comparable(received))
    assert unreported(changes, case.expected.answer_losses) == []
    assert overreported(changes, case.expected.answer_losses) == []


def answered_case(ingress: str, upstream: str, sample: Sample, *, stream: bool) -> Case | None:
    """The cell for ``sample`` with the answer that the demo gives to it; the client asks for token counts."""
    request = replace(sample.request, include_usage=True if stream else None)
    if sample.name == "stop":
        request = replace(request, messages=COUNTING)
    sample = replace(sample, request=request)
    case = case_of(ingress, upstream, sample, stream=stream)
    if case is None or case.unfetched or case.expected.verdict is Verdict.REFUSED:
        return case
    arriving = case.request
    if case.upstream is not None:
        arriving = case.upstream.decode_request(case.upstream.encode_request(case.request).wire)
    ids = context(arriving)
    asked = replace(arriving, model=MODELS.get(sample.name, "echo"))
    response = demo.answer(asked, demo.DemoCall(ids.new_id, ids.now))
    again = case_of(ingress, upstream, replace(sample, response=response), stream=stream)
    assert again is not None
    return replace(again, answer=response)


def as_sent(case: Case) -> Response:
    """The demo's answer as it comes out of the upstream's own dialect."""
    assert case.answer is not None
    if case.upstream is None:
        return case.answer
    return read_wire(case.upstream, canned(case.upstream, case.answer, case.request), case.request)


def comparable(response: Response) -> Response:
    """The answer without what is made anew on the way: ids and times."""
    choices = tuple(
        replace(choice, parts=tuple(_without_id(number, part) for number, part in enumerate(choice.parts)))
        for choice in response.choices
    )
    return replace(response, choices=choices, id=None, created=None)


def _without_id(number: int, part: Part) -> Part:
    if isinstance(part, ToolCall):
        return replace(part, id=f"call {number}")
    if isinstance(part, Reasoning) and part.id is not None:  # whether there is one is no matter of chance
        return replace(part, id=f"reasoning {number}")
    return part


@with_ingress
@with_upstream
@with_stream
def test_failures_arrive_as_failures(base: str, ingress: str, upstream: str, stream: bool) -> None:
    dialect = load_dialect(ingress)
    request = replace(FEATURES["text"].request, model=target(upstream, "fail-503"), stream=stream)
    answer = send(base, dialect, request)
    assert answer.status == overload_status(dialect)
    assert answer.complete
    assert dialect.decode_error(WireResponse(answer.status, answer.body, answer.headers)).kind is ErrorKind.OVERLOADED
    assert answer.headers["retry-after"] == "1"


@with_ingress
@with_upstream
@with_stream
def test_cut_answers_never_look_finished(base: str, ingress: str, upstream: str, stream: bool) -> None:
    dialect = load_dialect(ingress)
    request = replace(FEATURES["text"].request, model=target(upstream, "cut"), stream=stream)
    answer = send(base, dialect, request)
    if not stream or answer.status != 200:
        assert answer.status == 502
        assert not stream or breaks_off(upstream)
        return
    decoder = dialect.stream_decoder(context(request))
    events = decoder.feed(answer.body)
    if not events or not isinstance(events[-1], StreamFailed):
        events += decoder.close(clean=answer.complete)
    assert isinstance(events[-1], StreamFailed)
    assert answer.complete is not dialect.stream_encoder(context(request)).breaks_off


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_in_docs_is_what_the_command_prints_now() -> None:
    """``make matrix`` renews it."""
    command = [sys.executable, "-m", "proxy", "matrix"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert (ROOT / "docs" / "matrix.md").read_text(encoding="utf-8") == printed
