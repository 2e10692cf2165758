"""Every installed dialect passes every check over the samples."""

import pytest

from adapters.conformance import check_dialect
from tests.adapters.registered import BROKEN, DIALECTS, NAMES
from tests.adapters.toy import TOY


@pytest.mark.parametrize("name", NAMES)
def test_every_registered_dialect_loads_under_its_own_name(name):
    if name in BROKEN:
        raise AssertionError(f"{name} does not load") from BROKEN[name]
    assert DIALECTS[name].name == name


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect_keeps_the_contract(name):
    check_dialect(DIALECTS[name])


def test_the_toy_keeps_the_contract():
    check_dialect(TOY)
