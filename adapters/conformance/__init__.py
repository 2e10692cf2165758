"""The checks every dialect must pass, as plain functions for any test suite.

Each check raises ``AssertionError`` saying what differed, and nothing else if the dialect keeps its contract.
``check_dialect`` runs them all over the samples; captured bytes and generated models go to the single checks.
"""

from adapters.conformance.declaration import check_declaration, check_models
from adapters.conformance.errors import check_errors, check_failure
from adapters.conformance.hostile import NASTY_BODIES, check_hostile
from adapters.conformance.judge import context, demand, demand_reported
from adapters.conformance.streams import (
    check_agreement,
    check_decoding,
    check_keepalive,
    check_promptness,
    check_stream,
    check_truncation,
    decode_stream,
    encode_stream,
    in_pieces,
    merged,
)
from adapters.conformance.translation import (
    carry,
    carry_response,
    check_readdress,
    check_request,
    check_response,
)
from adapters.contract import Dialect
from adapters.samples import FEATURES, Sample

__all__ = [
    "NASTY_BODIES",
    "carry",
    "carry_response",
    "check_agreement",
    "check_declaration",
    "check_decoding",
    "check_dialect",
    "check_errors",
    "check_failure",
    "check_hostile",
    "check_keepalive",
    "check_models",
    "check_promptness",
    "check_readdress",
    "check_request",
    "check_response",
    "check_stream",
    "check_truncation",
    "context",
    "decode_stream",
    "demand",
    "demand_reported",
    "encode_stream",
    "in_pieces",
    "merged",
]


def check_dialect(dialect: Dialect) -> None:
    """Every check over every sample. What only captured bytes can show is for the vectors to say."""
    check_declaration(dialect)
    check_models(dialect)
    check_errors(dialect)
    check_failure(dialect)
    check_promptness(dialect)
    _check_plain_text(dialect)
    for sample in FEATURES.values():
        _check_sample(dialect, sample)
    for body in NASTY_BODIES:
        check_hostile(dialect, body)


def _check_plain_text(dialect: Dialect) -> None:
    """A question and its answer in words are what every dialect is for: nothing of them may be lost."""
    sample = FEATURES["text"]
    losses = (*carry(sample.request, dialect)[1], *carry_response(sample.response, dialect, sample.request)[1])
    # A limit that the API demands and the caller did not give is filled in and reported (ruling 6).
    losses = tuple(loss for loss in losses if loss.field != "sampling.max_tokens")
    demand(not losses, f"{dialect.name} loses a part of a plain question or answer: {', '.join(map(str, losses))}")


def _check_sample(dialect: Dialect, sample: Sample) -> None:
    check_request(dialect, sample.request)
    check_readdress(dialect, sample.request)
    check_response(dialect, sample.response, sample.request)
    events = in_pieces(sample.response)
    check_stream(dialect, events, sample.request)
    check_keepalive(dialect, events, sample.request)
    sent = encode_stream(dialect, events, sample.request)
    raw = b"".join(sent.pieces)
    check_decoding(dialect, raw, context(sample.request))
    check_truncation(dialect, raw, context(sample.request))
    if sent.losses or sent.failed:
        return
    unary = dialect.encode_response(sample.response, context(sample.request))
    whole = dialect.decode_response(unary.wire, context(sample.request))
    # A whole answer may have a form of its own that a stream has not, as Amarsia's JSON objects; that is kept in extra.
    if not unary.losses and not any(choice.extra for choice in whole.choices):
        check_agreement(dialect, raw, unary.wire, context(sample.request))
