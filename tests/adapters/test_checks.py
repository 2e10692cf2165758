"""The checks themselves: each is fed a dialect that breaks one rule, and must say so."""

from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from adapters.conformance import (
    check_agreement,
    check_declaration,
    check_decoding,
    check_dialect,
    check_errors,
    check_failure,
    check_hostile,
    check_keepalive,
    check_models,
    check_promptness,
    check_readdress,
    check_request,
    check_response,
    check_stream,
    check_truncation,
    context,
    encode_stream,
    in_pieces,
)
from adapters.contract import (
    CredentialPlace,
    Dialect,
    Encoded,
    ModelListing,
    Operation,
    Route,
    WireRequest,
    WireResponse,
)
from adapters.model.error import ApiError, ErrorKind
from adapters.model.event import (
    ChoiceFinished,
    ForeignEvent,
    PartEnded,
    PartStarted,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Message, Role, Text
from adapters.model.plain import to_plain
from adapters.model.response import FinishReason
from adapters.samples import FEATURES
from adapters.wire.sse import encode_data
from tests.adapters.toy import TOY, ToyStreamDecoder, ToyStreamEncoder

SAMPLE = FEATURES["text"]
TOOLS = FEATURES["tools"]
SAMPLING = FEATURES["sampling"]
ASKED = SAMPLE.request


def raw_stream(dialect: Dialect = TOY, sample=SAMPLE) -> bytes:
    return b"".join(encode_stream(dialect, in_pieces(sample.response), sample.request).pieces)


def caught(check: Callable[..., None], *arguments: object, says: str, **options: object) -> None:
    with pytest.raises(AssertionError, match=says):
        check(*arguments, **options)


def decodes_with(**methods: Callable) -> Dialect:
    """The toy with some methods of its stream decoder exchanged."""
    return replace(TOY, stream_decoder=type("Broken", (ToyStreamDecoder,), methods))


def encodes_with(**members: object) -> Dialect:
    """The toy with some members of its stream encoder exchanged."""
    return replace(TOY, stream_encoder=type("Broken", (ToyStreamEncoder,), members))


# --- whole requests and answers ---------------------------------------------------------------------------------


def writes_requests(change: Callable[[dict], dict] = dict, losses: tuple[Loss, ...] = (), **wire: object) -> Dialect:
    def encode_request(request):
        encoded = TOY.encode_request(request)
        body = orjson.dumps(change(orjson.loads(encoded.wire.body)))
        return Encoded(replace(encoded.wire, body=body, **wire), encoded.losses + losses)

    return replace(TOY, encode_request=encode_request)


def test_field_dropped_silently_is_caught():
    broken = writes_requests(lambda body: {name: value for name, value in body.items() if name != "tools"})
    caught(check_request, broken, TOOLS.request, says=r"changed without a report: tools\[0\].*get_weather")
    caught(check_dialect, broken, says="changed without a report")


def test_zero_dropped_silently_is_caught():
    broken = writes_requests(lambda body: body | {"sampling": {k: v for k, v in body["sampling"].items() if v}}
                             if "sampling" in body else body)  # fmt: skip
    caught(check_request, broken, SAMPLING.request, says=r"sampling\.temperature.*sampling\.seed")


def test_field_made_up_is_caught():
    caught(check_request, writes_requests(lambda body: body | {"user": "me"}), ASKED, says="user .was None, is 'me'")


def test_message_made_up_is_caught():
    filler = to_plain(Message(Role.USER, (Text("filler"),)))
    broken = writes_requests(lambda body: body | {"messages": [filler, *body["messages"]]})
    caught(check_request, broken, ASKED, says=r"changed without a report: messages\+")


def test_loss_that_is_none_is_caught():
    broken = writes_requests(losses=(Loss("sampling.seed", LossReason.UNSUPPORTED, "there is no seed"),))
    caught(check_request, broken, ASKED, says=r"did not change: sampling\.seed .*there is no seed")
    caught(check_dialect, broken, says="loses a part of a plain question")


def test_loss_reported_twice_is_caught():
    broken = writes_requests(losses=(Loss("sampling.top_k", LossReason.UNSUPPORTED),))
    caught(check_request, broken, SAMPLING.request, says=r"more than once: sampling\.top_k")


def test_wide_report_does_not_hide_what_vanished():
    question = to_plain(FEATURES["text"].request.messages[0])
    told = (Loss("messages", LossReason.APPROXIMATED, "told as a transcript"),)
    broken = writes_requests(lambda body: body | {"messages": [question]}, told)
    caught(check_request, broken, FEATURES["image"].request, says=r"messages\[0\]\.parts\[0\] vanished without")
    caught(check_request, broken, FEATURES["multi_turn"].request, says=r"messages\[1\]\.parts\[0\] vanished without")


def test_request_written_in_two_ways_is_caught():
    counter = iter(range(100))
    broken = writes_requests(lambda body: body | {"nonce": next(counter)})
    caught(check_request, broken, ASKED, says="in two ways")


def test_request_to_no_route_is_caught():
    caught(check_request, writes_requests(path="/elsewhere"), ASKED, says="none of its routes")


def test_credential_written_by_a_codec_is_caught():
    caught(check_request, writes_requests(headers={"x-toy-key": "k"}), ASKED, says="the proxy's to write: x-toy-key")


def answers_with(change: Callable[[dict], dict] = dict, **wire: object) -> Dialect:
    def encode_response(response, context):
        encoded = TOY.encode_response(response, context)
        return Encoded(replace(encoded.wire, body=orjson.dumps(change(orjson.loads(encoded.wire.body))), **wire))

    return replace(TOY, encode_response=encode_response)


def test_answer_with_usage_made_up_is_caught():
    broken = answers_with(lambda body: body | {"usage": {"is": "Usage", "input_tokens": 0, "output_tokens": 0}})
    caught(check_response, broken, SAMPLE.response, ASKED, says="usage .was None, is Usage")


def test_answer_with_losses_not_reported_is_caught():
    sample = FEATURES["usage"]
    caught(check_response, answers_with(), sample.response, sample.request, says=r"usage\.cache_read_tokens")


def test_answer_without_content_type_is_caught():
    caught(check_response, answers_with(headers={}), SAMPLE.response, ASKED, says="without content-type")


def test_header_with_a_line_break_is_caught():
    broken = answers_with(headers={"content-type": "a", "x": "a\r\nb: c"})
    caught(check_response, broken, SAMPLE.response, ASKED, says="line break into the header x")


def test_readdressed_request_that_changes_more_is_caught():
    def reformatted(wire, request, model):
        body = orjson.loads(wire.body) | {"model": model}
        return replace(wire, body=orjson.dumps(body, option=orjson.OPT_INDENT_2))

    caught(check_readdress, replace(TOY, readdress=reformatted), ASKED, says="readdress")
    ignored = replace(TOY, readdress=lambda wire, request, model: wire)
    caught(check_readdress, ignored, ASKED, says="not 'another-model'")


# --- declarations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "My Dialect"}, "plain name"),
        ({"roots": ()}, "no root"),
        ({"roots": ("/v1/",)}, "not end with it"),
        ({"roots": ("/v1", "/v1")}, "twice"),
        ({"routes": ()}, "no route to generate"),
        ({"routes": (Route("post", "/say"),)}, "no such method"),
        ({"routes": (Route("POST", "say"),)}, "must start with /"),
        ({"routes": (Route("POST", "/{a}"), Route("POST", "/{b}"))}, "route twice"),
        ({"credential": CredentialPlace("X-Key")}, "no header name"),
        ({"credential": CredentialPlace("authorization", "Bearer\n")}, "cannot stand before a key"),
        ({"stream_type": "sse"}, "no content type"),
        ({"request_id_prefix": "req \n"}, "cannot begin a request id"),
    ],
)
def test_declaration_that_cannot_work_is_caught(change, says):
    caught(check_declaration, replace(TOY, **change), says=says)


def test_models_without_a_route_and_routes_without_models_are_caught():
    listing = ModelListing(lambda models, wire: WireResponse(200, b"{}"), lambda info: WireResponse(200, b"{}"))
    caught(check_models, replace(TOY, models=listing), says="no route for it")
    listed = replace(TOY, routes=(*TOY.routes, Route("GET", "/models", Operation.LIST_MODELS)))
    caught(check_models, listed, says="no way to show them")
    caught(check_models, replace(listed, models=listing), says="does not show the models")


# --- streams ----------------------------------------------------------------------------------------------------


def feeds_whole_reads(self, data: bytes):
    """As if every read held whole events."""
    self.sse = type(self.sse)()
    return ToyStreamDecoder.feed(self, data)


def test_decoder_that_depends_on_the_borders_of_reads_is_caught():
    broken = decodes_with(feed=feeds_whole_reads)
    caught(check_decoding, broken, raw_stream(), context(ASKED), says="byte by byte")
    caught(check_dialect, broken, says="read")


def test_decoder_that_depends_on_one_border_is_caught():
    def feed(self, data):
        return ToyStreamDecoder.feed(self, data[:-1] if data.endswith(b"{") and len(data) > 1 else data)

    raw, broken = raw_stream(), decodes_with(feed=feed)
    check_decoding(broken, raw, context(ASKED), [[5]])
    caught(check_decoding, broken, raw, context(ASKED), [[raw.index(b"{") + 1]], says="cut at")


def ends_at_close(self, *, clean):
    return [] if self.over else [*self.take(self.sse.finish()), StreamEnded()]


def test_decoder_that_takes_the_end_of_the_body_for_the_end_of_the_answer_is_caught():
    broken = decodes_with(close=ends_at_close)
    caught(check_truncation, broken, raw_stream(), context(ASKED), says="looks finished")
    caught(check_dialect, broken, says="looks finished")


def test_decoder_that_takes_an_orderly_end_for_the_end_of_the_answer_is_caught():
    def close(self, *, clean):
        if self.over or not clean:
            return ToyStreamDecoder.close(self, clean=clean)
        parts, choices = list(self.order._open), sorted(self.order._unfinished) or [0]
        ends = [*map(PartEnded, parts), *(ChoiceFinished(choice, FinishReason.STOP) for choice in choices)]
        return [*([] if self.order._started else [StreamStarted()]), *ends, StreamEnded()]

    caught(
        check_truncation,
        decodes_with(close=close),
        raw_stream(),
        context(ASKED),
        says="this is not the whole answer",
    )


def test_end_mark_may_be_missing_after_every_finish_reason_if_the_end_is_in_order():
    def close(self, *, clean):
        complete = bool(self.order._finished) and not self.order._unfinished
        return [StreamEnded()] if clean and complete and not self.over else ToyStreamDecoder.close(self, clean=clean)

    check_truncation(decodes_with(close=close), raw_stream(), context(ASKED))


def test_decoder_that_ends_at_the_finish_reason_is_caught():
    def take(self, frames):
        out = ToyStreamDecoder.take(self, frames)
        if any(isinstance(event, ChoiceFinished) for event in out) and not self.over:
            self.over = True
            out.append(StreamEnded())
        return out

    # Fed whole, the end mark is there; only a cut stream shows that it was not waited for.
    caught(check_truncation, decodes_with(take=take), raw_stream(), context(ASKED), says="looks finished")


def test_padding_may_be_missing():
    for padding in (b"", b"\r\n\r\n", b": bye\n\n", b"\n: a\n: b\r\r"):
        check_truncation(TOY, raw_stream() + padding, context(ASKED))


def test_decoder_without_an_end_is_caught():
    broken = decodes_with(close=lambda self, clean: [])
    caught(check_truncation, broken, raw_stream(), context(ASKED), says="without an end")


def test_decoder_that_gives_an_illegal_stream_is_caught():
    def take(self, frames):
        return [event for event in ToyStreamDecoder.take(self, frames) if not isinstance(event, PartEnded)]

    caught(check_decoding, decodes_with(take=take), raw_stream(), context(ASKED), says="breaks the rule")
    caught(check_stream, decodes_with(take=take), in_pieces(SAMPLE.response), ASKED, says="breaks the rule")


def test_encoder_that_drops_events_silently_is_caught():
    def encode(self, event):
        return b"" if isinstance(event, UsageReported) else ToyStreamEncoder.encode(self, event)

    events = in_pieces(FEATURES["reasoning"].response)
    caught(check_stream, encodes_with(encode=encode), events, ASKED, says=r"without a report: usage\.input_tokens")


def test_encoder_that_reports_what_it_wrote_is_caught():
    def encode(self, event):
        if isinstance(event, TextDelta):
            self.report([Loss("choices[0].parts[0]", LossReason.UNSUPPORTED)])
        return ToyStreamEncoder.encode(self, event)

    caught(check_stream, encodes_with(encode=encode), in_pieces(SAMPLE.response), ASKED, says="did not change")


def test_encoder_that_passes_over_a_foreign_event_silently_is_caught():
    events = in_pieces(SAMPLE.response)
    events.insert(1, ForeignEvent("elsewhere", {}))
    check_stream(TOY, events, ASKED)
    caught(check_stream, encodes_with(report=lambda self, losses: None), events, ASKED, says="foreign events True")


def test_encoder_that_writes_a_line_separator_is_caught():
    def frame(self, event):
        return ToyStreamEncoder.frame(self, event).replace(b"\\u2028", b"\xe2\x80\xa8")

    response = replace(SAMPLE.response, choices=(replace(SAMPLE.response.choices[0], parts=(Text("a\u2028b"),)),))
    check_stream(TOY, in_pieces(response), ASKED)
    caught(check_stream, encodes_with(frame=frame), in_pieces(response), ASKED, says="str.splitlines")


def test_encoder_that_holds_text_back_is_caught():
    def encode(self, event):
        if isinstance(event, TextDelta):
            self.held = getattr(self, "held", b"") + ToyStreamEncoder.encode(self, event)
            return b""
        held, self.held = getattr(self, "held", b""), b""
        return held + ToyStreamEncoder.encode(self, event)

    check_stream(encodes_with(encode=encode), in_pieces(SAMPLE.response), ASKED)
    caught(check_promptness, encodes_with(encode=encode), says="'Can' was sent, but the reader has ''")


def test_keepalive_that_readers_see_is_caught():
    broken = encodes_with(keepalive=lambda self: b"data: {}\n\n")
    caught(check_keepalive, broken, in_pieces(SAMPLE.response), ASKED, says="keep-alive")


def test_stream_that_differs_from_its_twin_is_caught():
    twin = TOY.encode_response(SAMPLE.response, context(ASKED)).wire
    check_agreement(TOY, raw_stream(), twin, context(ASKED))
    caught(check_agreement, TOY, raw_stream(sample=FEATURES["stop"]), twin, context(ASKED), says="twin")


# --- failures and errors ----------------------------------------------------------------------------------------


def test_failure_written_as_an_end_is_caught():
    def encode(self, event):
        if isinstance(event, StreamFailed):
            return encode_data(b'{"event":"ChoiceFinished","choice":0,"reason":"error"}') + self.frame(StreamEnded())
        return ToyStreamEncoder.encode(self, event)

    caught(check_failure, encodes_with(encode=encode), says="fails after")


def test_failure_that_is_not_told_is_caught():
    def encode(self, event):
        return b"" if isinstance(event, StreamFailed) else ToyStreamEncoder.encode(self, event)

    caught(check_failure, encodes_with(encode=encode), says="the reader is told")
    check_failure(encodes_with(encode=encode, breaks_off=True))


def test_failed_stream_that_reads_as_finished_is_caught():
    def encode(self, event):
        return b"" if isinstance(event, StreamFailed) else ToyStreamEncoder.encode(self, event)

    silent = encodes_with(encode=encode, breaks_off=True).stream_encoder
    caught(check_failure, replace(decodes_with(close=ends_at_close), stream_encoder=silent), says="looks finished")


def errs_with(change: Callable[[ApiError], ApiError] = lambda error: error, **wire: object) -> Dialect:
    return replace(TOY, encode_error=lambda error: replace(TOY.encode_error(change(error)), **wire))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (errs_with(status=200), "status 200 instead of 400"),
        (errs_with(lambda error: replace(error, kind=ErrorKind.INTERNAL, status=error.http_status)), "kind was"),
        (errs_with(lambda error: replace(error, message="Oops.")), "message was"),
        (errs_with(lambda error: replace(error, param="model")), "param was None and is read back as 'model'"),
        (errs_with(lambda error: replace(error, retry_after=None)), "retry_after was 7.0"),
        (errs_with(lambda error: replace(error, extra={"trace": "Traceback (most recent call last)"})), "Traceback"),
        (errs_with(body=b"failed"), "no JSON object"),
        (errs_with(headers={}), "without content-type"),
    ],
)
def test_error_that_does_not_arrive_is_caught(broken, says):
    caught(check_errors, broken, says=says)


def test_code_that_gets_lost_together_with_the_kind_is_caught():
    def encode_error(error):
        if error.code is not None:
            error = replace(error, code=None, kind=ErrorKind.INVALID_REQUEST, status=error.http_status)
        return TOY.encode_error(error)

    caught(check_errors, replace(TOY, encode_error=encode_error), says="lost its code")


# --- hostile bytes ----------------------------------------------------------------------------------------------


def crashing(wire: WireRequest | WireResponse, *_: object):
    return orjson.loads(wire.body)["messages"][0]["content"].strip()


@pytest.mark.parametrize("name", ["decode_request", "decode_response", "decode_error"])
@pytest.mark.parametrize("body", [b"garbage", b"[]", b"{}", b'{"messages":[{"content":5}]}'])
def test_crash_on_garbage_is_caught(name, body):
    caught(check_hostile, replace(TOY, **{name: crashing}), body, says=name)


def test_crash_of_a_stream_decoder_on_garbage_is_caught():
    def read(self, data):
        return TextDelta(0, orjson.loads(data)["text"])

    caught(check_hostile, decodes_with(read=read), b"data: []\n\n", says="stream decoder.*TypeError")
    with pytest.raises((AssertionError, KeyError)):
        check_dialect(decodes_with(read=read))


def test_stream_decoder_that_emits_nonsense_on_garbage_is_caught():
    def read(self, data):
        return PartStarted(0, Text(""))

    class Unordered(ToyStreamDecoder):
        def take(self, frames):
            return [read(self, frame.data) for frame in frames]

    broken = replace(TOY, stream_decoder=Unordered)
    caught(check_hostile, broken, b"data: {}\n\n", says="breaks the rule")


def test_error_with_a_nonsensical_wait_is_caught():
    broken = replace(TOY, decode_error=lambda wire: ApiError(ErrorKind.RATE_LIMIT, "m", retry_after=float("nan")))
    caught(check_hostile, broken, b"{}", says="waiting time nan")
