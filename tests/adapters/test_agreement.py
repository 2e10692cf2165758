"""The same turn, streamed or whole, is the same answer."""

import pytest

from adapters.conformance import check_agreement
from tests.adapters.registered import DIALECTS
from tests.adapters.vectors import TWINS, given, ids, wire_response


@pytest.mark.parametrize("pair", TWINS, ids=ids)
def test_captured_stream_agrees_with_its_unary_twin(pair):
    case, twin = pair
    check_agreement(case.codec, case.raw, wire_response(twin), given())


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_has_twins(name):
    assert any(case.dialect == name for case, _ in TWINS)
