"""What was captured means what its ``.model.json`` says, and is written so that it means the same again."""

import json
from dataclasses import replace

import pytest

from adapters.conformance import (
    carry,
    carry_response,
    check_readdress,
    check_response,
    check_stream,
    decode_stream,
    demand_reported,
    in_pieces,
)
from adapters.contract import DecodeError
from adapters.model.event import StreamFailed
from adapters.model.fold import collect
from adapters.model.plain import from_plain, to_plain
from tests.adapters.registered import NAMES, VECTORS
from tests.adapters.vectors import (
    ASKED,
    ERRORS,
    FAILED,
    FINISHED,
    REJECTED,
    REQUESTS,
    RESPONSES,
    Case,
    addressed,
    addressed_events,
    given,
    ids,
    wire_request,
    wire_response,
)

KINDS = ("requests", "responses", "streams", "errors", "rejected")


@pytest.mark.parametrize("name", NAMES)
def test_every_dialect_says_where_its_vectors_come_from(name):
    folder = VECTORS / name
    assert (folder / "SOURCES.md").is_file(), f"{folder} has no SOURCES.md"
    sources = (folder / "SOURCES.md").read_text()
    files = [path for kind in KINDS for path in (folder / kind).glob("*") if path.suffix in (".http", ".raw")]
    unexplained = sorted({path.stem for path in files if path.stem not in sources})
    assert not unexplained, f"{folder}/SOURCES.md does not speak of {unexplained}"


@pytest.mark.parametrize("name", NAMES)
def test_every_dialect_has_vectors_of_every_kind(name):
    for kind in KINDS:
        assert any((VECTORS / name / kind).glob("*.*")), f"{VECTORS / name / kind} has no case"


@pytest.mark.parametrize("name", NAMES)
def test_every_case_says_what_it_means(name):
    for kind in KINDS:
        ending = ".error.json" if kind == "rejected" else ".model.json"
        raw = {path.stem for path in (VECTORS / name / kind).glob("*") if path.suffix in (".http", ".raw")}
        told = {path.name.removesuffix(ending) for path in (VECTORS / name / kind).glob("*" + ending)}
        assert raw == told, (
            f"{name}/{kind}: without {ending}: {sorted(raw - told)}, without bytes: {sorted(told - raw)}"
        )
        strange = [
            path.name for path in (VECTORS / name / kind).glob("*") if path.suffix not in (".http", ".raw", ".json")
        ]
        assert not strange, f"{name}/{kind}: {strange} are not vectors"


@pytest.mark.parametrize("case", REQUESTS, ids=ids)
def test_request_means_what_its_model_says(case: Case):
    request = case.codec.decode_request(wire_request(case))
    assert to_plain(request) == case.plain
    assert request == from_plain(to_plain(request))


@pytest.mark.parametrize("case", REQUESTS, ids=ids)
def test_request_is_carried_by_its_own_dialect_without_loss(case: Case):
    request = case.codec.decode_request(wire_request(case))
    after, losses = carry(request, case.codec)
    assert losses == ()
    demand_reported(request, after, (), str(case))
    assert after.extra == request.extra


@pytest.mark.parametrize("case", REQUESTS, ids=ids)
def test_request_readdressed_is_the_same_for_another_model(case: Case):
    check_readdress(case.codec, case.codec.decode_request(wire_request(case)))
    wire = wire_request(case)
    request = case.codec.decode_request(wire)
    other = case.codec.readdress(wire, request, "another-model")
    if other is not None:
        assert case.codec.decode_request(other) == replace(request, model="another-model")


@pytest.mark.parametrize("case", RESPONSES, ids=ids)
def test_answer_means_what_its_model_says(case: Case):
    response = case.codec.decode_response(wire_response(case), given())
    assert to_plain(response) == case.plain
    assert response == from_plain(to_plain(response))


@pytest.mark.parametrize("case", RESPONSES, ids=ids)
def test_answer_is_carried_by_its_own_dialect_without_loss(case: Case):
    response = case.codec.decode_response(wire_response(case), given())
    after, losses = carry_response(response, case.codec, ASKED)
    assert losses == ()
    # Where the answer names no model, an encoder that needs one takes the name that the client asked for.
    demand_reported(response if after.model is None else addressed(response), after, (), str(case))


@pytest.mark.parametrize("case", FINISHED, ids=ids)
def test_stream_means_what_its_model_says(case: Case):
    received = decode_stream(case.codec, [case.raw], given(), clean=True)
    assert received.error is None
    assert to_plain(collect(received.events)) == case.plain


@pytest.mark.parametrize("case", FINISHED, ids=ids)
def test_stream_is_written_so_that_it_means_the_same(case: Case):
    response = addressed(collect(decode_stream(case.codec, [case.raw], given(), clean=True).events))
    check_stream(case.codec, addressed_events(case), ASKED)
    check_stream(case.codec, in_pieces(response), ASKED)
    check_response(case.codec, response, ASKED)


@pytest.mark.parametrize("case", FAILED, ids=ids)
def test_failed_stream_fails_as_its_model_says(case: Case):
    received = decode_stream(case.codec, [case.raw], given(), clean=True)
    if received.error is not None:
        assert case.plain == {"error": {"code": received.error.code, "param": received.error.param}}
        return
    assert isinstance(received.events[-1], StreamFailed)
    assert {"error": to_plain(received.events[-1].error)} == case.plain


@pytest.mark.parametrize("case", ERRORS, ids=ids)
def test_error_means_what_its_model_says(case: Case):
    error = case.codec.decode_error(wire_response(case))
    assert to_plain(error) == case.plain


@pytest.mark.parametrize("case", ERRORS, ids=ids)
def test_error_is_written_so_that_it_means_the_same(case: Case):
    error = case.codec.decode_error(wire_response(case))
    again = case.codec.decode_error(case.codec.encode_error(error))
    for name in ("kind", "http_status", "message", "param", "code", "retry_after"):
        assert getattr(again, name) == getattr(error, name), name


@pytest.mark.parametrize("case", REJECTED, ids=ids)
def test_what_the_endpoint_refuses_is_refused(case: Case):
    expected = json.loads(case.path.with_suffix(".error.json").read_text())
    with pytest.raises(DecodeError) as caught:
        case.codec.decode_request(wire_request(case))
    assert {"param": caught.value.param, "code": caught.value.code} == expected
