"""Hypothesis strategies: legal requests, answers and event streams of the common model, and ways to cut bytes."""

from dataclasses import fields, is_dataclass, replace

import orjson
from hypothesis import strategies as st

from adapters.conformance import in_pieces
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.event import (
    ChoiceFinished,
    Event,
    ForeignEvent,
    LogprobsReported,
    PartStarted,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    UsageReported,
)
from adapters.model.message import (
    CacheHint,
    FileId,
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
    Url,
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
from adapters.model.response import Choice, FinishReason, Response, Usage
from adapters.samples import CITY_SCHEMA, PDF, PNG

ELSEWHERE = "elsewhere"
"""A dialect that nobody implements: what it says is foreign to everyone."""

# What readers and writers of JSON, of SSE and of transcripts have stumbled over.
AWKWARD = (
    "\u2028", "\u2029", "\u0085", "\x0b", "\x1c", "\r", "\n", "\r\n\r\n", "\t", "\x00", "\x7f", '"', "\\", "\\u0041",
    "\ufeff", "\U0001f468\u200d\U0001f469", "\U0001f600", "e\u0301", "data: [DONE]", "\n\ndata: x", "event: done",
    "{{NAME}}", "<|im_end|>", "User:", "null", " ",
)  # fmt: skip
_WORDS = st.sampled_from(("a", "Hello", "world", "Größe", "日本", *AWKWARD))
_CHARACTERS = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)


def texts(min_size: int = 0) -> st.SearchStrategy[str]:
    """Text of all kinds; with ``min_size`` 1 never empty."""
    pieces = st.lists(_WORDS | _CHARACTERS, max_size=4).map("".join)
    return pieces.filter(bool) if min_size else pieces


NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,20}", fullmatch=True)
MODELS = st.sampled_from(("gpt-4o", "org/model", "vendor.model-v1:0", "a b", "größe", "x?y#z%20"))
EXTRAS = st.none() | st.none() | st.just({ELSEWHERE: {"knob": 1, "deep": {"a": [None, True]}}})
CACHES = st.none() | st.none() | st.sampled_from((CacheHint(), CacheHint("1h")))

# The text of a call's arguments, exactly as a model wrote it.
_ODD_ARGUMENTS = (
    "{}",
    '{"n": 1.0, "e": 1e3, "z": -0}',
    '{ "big" : 123456789012345678901234567890 }',
    '{"small":1e-400,"exact":0.1000000000000000055511151231257827}',
    '{"b":1,"a":2,"b":3}',
    '{"text":"\\u2028 \\ud83d\\ude00 \\"quoted\\" \\\\"}',
    '{"nested":{"list":[1,[2,[3,{}]]],"none":null}}',
    "",
)
_BROKEN_ARGUMENTS = ('{"cut": "in the mid', "5", '"text"', "[1]", "not json")
_JSON_SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts()
_JSON_OBJECTS = st.dictionaries(texts(), _JSON_SCALARS | st.lists(_JSON_SCALARS, max_size=2), max_size=3)
ARGUMENTS = st.sampled_from(_ODD_ARGUMENTS) | _JSON_OBJECTS.map(lambda value: orjson.dumps(value).decode())
ALL_ARGUMENTS = ARGUMENTS | ARGUMENTS | ARGUMENTS | st.sampled_from(_BROKEN_ARGUMENTS)

_MEDIA_TYPES = {
    MediaKind.IMAGE: ("image/png", "image/jpeg", "image/bmp", None),
    MediaKind.AUDIO: ("audio/wav", "audio/mpeg", "audio/flac"),
    MediaKind.VIDEO: ("video/mp4", "video/quicktime"),
    MediaKind.DOCUMENT: ("application/pdf", "text/csv", "text/plain"),
}


@st.composite
def medias(draw: st.DrawFn) -> Media:
    """Media of every kind, from every kind of source."""
    kind = draw(st.sampled_from(MediaKind))
    data = PDF if kind is MediaKind.DOCUMENT else PNG
    source = draw(
        st.just(Inline(data))
        | st.sampled_from((Url("https://example.com/a%20b.bin?x=1&y=2"), Url("http://example.com/c"), FileId("file-1")))
    )
    mime_type = draw(st.sampled_from(_MEDIA_TYPES[kind]))
    if isinstance(source, Inline) and mime_type is None:
        mime_type = "image/png"
    name = draw(st.none() | st.sampled_from(("report.pdf", "größe 1")))
    detail = draw(st.none() | st.sampled_from(("low", "high", "auto"))) if kind is MediaKind.IMAGE else None
    return Media(kind, source, mime_type, name, detail, draw(CACHES), draw(EXTRAS))


OPAQUES = st.just(Opaque(ELSEWHERE, {"type": "hologram", "depth": 3}))
CITATIONS = st.just(({"type": "page", "page": 3},))


@st.composite
def request_texts(draw: st.DrawFn) -> Text:
    """A text of a request, which may be empty."""
    citations = draw(st.just(()) | st.just(()) | CITATIONS)
    return Text(draw(texts()), citations, draw(CACHES), draw(EXTRAS))


REASONINGS = st.builds(
    Reasoning,
    texts(1),
    signature=st.none() | st.just("c2lnbmF0dXJl"),
    redacted=st.none() | st.none() | st.just("cmVkYWN0ZWQ="),
    id=st.none() | st.just("rs_1"),
    origin=st.just(ELSEWHERE),
)
REFUSALS = st.builds(Refusal, texts(1))


def _some(draw: st.DrawFn, strategy: st.SearchStrategy, most: int, least: int = 0) -> tuple:
    """Parts of which no two say the same: of two equal ones nobody could tell which was lost."""
    return tuple(draw(st.lists(strategy, min_size=least, max_size=most, unique_by=_substance)))


def _substance(part: object) -> object:
    if isinstance(part, Media):
        return repr((part.kind, part.source))
    return (type(part), *(getattr(part, name, None) for name in ("text", "id", "call_id")))


@st.composite
def tools(draw: st.DrawFn) -> Tool:
    """A function with or without description and schema."""
    parameters = draw(
        st.none()
        | st.just({})
        | st.just({"type": "object", "properties": {}})
        | st.just(CITY_SCHEMA)
        | st.just({"type": "object", "properties": {"größe": {"enum": [1, "\u2028", None]}}, "$defs": {}})
    )
    description = draw(st.none() | texts())
    return Tool(draw(NAMES), description, parameters, draw(st.none() | st.booleans()), draw(CACHES), draw(EXTRAS))


@st.composite
def _tool_rounds(draw: st.DrawFn, number: int, names: tuple[str, ...]) -> list[Message]:
    """A turn of the model with calls, and a result for each of them, in order."""
    before = _some(draw, request_texts() | REASONINGS, 2)
    count = draw(st.integers(1, 3))
    calls = tuple(
        ToolCall(f"call_{number:04d}{index:012d}", draw(st.sampled_from(names)), draw(ALL_ARGUMENTS))
        for index in range(count)
    )
    results = [
        Message(Role.TOOL, (ToolResult(call.id, draw(_result_parts()), draw(st.none() | st.booleans())),))
        for call in calls
    ]
    return [Message(Role.ASSISTANT, (*before, *calls)), *results]


@st.composite
def _result_parts(draw: st.DrawFn) -> tuple:
    several = _some(draw, request_texts() | medias(), 2, 1)
    return draw(st.just((Text("24 degrees"),)) | st.just((Text(""),)) | st.just(several))


@st.composite
def histories(draw: st.DrawFn, names: tuple[str, ...]) -> tuple[Message, ...]:
    """Messages that make sense: results follow their calls, the last turn is the user's or a result."""
    messages = [Message(Role.SYSTEM, _some(draw, request_texts(), 2, 1)) for _ in range(draw(st.integers(0, 2)))]
    for number in range(draw(st.integers(1, 3))):
        parts = _some(draw, request_texts() | request_texts() | medias() | OPAQUES, 3, 1)
        messages.append(Message(Role.USER, parts, draw(st.none() | st.none() | NAMES), draw(EXTRAS)))
        turn = draw(st.sampled_from(("answer", "refusal", "tools", "again", "system")))
        if turn == "answer":
            answer = (*_some(draw, REASONINGS, 1), *_some(draw, request_texts(), 2, 1))
            messages.append(Message(Role.ASSISTANT, answer))
        elif turn == "refusal":
            messages.append(Message(Role.ASSISTANT, (draw(REFUSALS),)))
        elif turn == "tools" and names:
            messages += draw(_tool_rounds(number, names))
        elif turn == "system":
            messages.append(Message(Role.SYSTEM, (draw(request_texts()),)))
    different: dict[str, Message] = {}
    for message in messages:
        different.setdefault(repr((message.role, [_substance(part) for part in message.parts])), message)
    messages = list(different.values())
    if messages[-1].role not in (Role.USER, Role.TOOL):
        messages.append(Message(Role.USER, (Text("Go on."),)))
    return tuple(_alone(messages, number) for number in range(len(messages)))


def _alone(messages: list[Message], number: int) -> Message:
    """The message, of one text only if a neighbour has its role: whoever joins two must be seen to have joined them."""
    message = messages[number]
    around = messages[max(number - 1, 0) : number] + messages[number + 1 : number + 2]
    calls = any(isinstance(part, ToolCall | ToolResult) for part in message.parts)
    if calls or all(neighbour.role is not message.role for neighbour in around):
        return message
    written = (part for part in message.parts if isinstance(part, Text) and part.text.strip())
    text = next(written, Text(f"turn {number}"))
    return replace(message, parts=(text,))


_FRACTIONS = st.sampled_from((0, 0.0, 0.1, 0.5, 1, 1.0))
_PENALTIES = st.sampled_from((-2, -0.5, 0, 0.0, 1.25, 2.0))


def _maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


@st.composite
def samplings(draw: st.DrawFn) -> Sampling:
    """Settings within the ranges that vendors have in common, and a little beyond."""
    logprobs = draw(_maybe(st.booleans()))
    stops = st.lists(st.sampled_from(("END", "\n\n", "\u2028", "###", "6")), max_size=5, unique=True)
    return Sampling(
        max_tokens=draw(_maybe(st.sampled_from((1, 1024, 8192, 200_000)))),
        temperature=draw(_maybe(_FRACTIONS | st.sampled_from((1.5, 2)))),
        top_p=draw(_maybe(_FRACTIONS)),
        top_k=draw(_maybe(st.sampled_from((1, 40)))),
        stop_sequences=tuple(draw(st.just([]) | stops)),
        presence_penalty=draw(_maybe(_PENALTIES)),
        frequency_penalty=draw(_maybe(_PENALTIES)),
        seed=draw(_maybe(st.sampled_from((0, 7, 2**62)))),
        logit_bias=draw(_maybe(st.sampled_from(({"1734": -100}, {"1": 0.5, "2": 100}, {})))),
        logprobs=logprobs,
        top_logprobs=draw(_maybe(st.integers(0, 5))) if logprobs else None,
    )


@st.composite
def _tool_choices(draw: st.DrawFn, names: tuple[str, ...]) -> ToolChoice:
    mode = draw(st.sampled_from(ToolChoiceMode))
    if mode is ToolChoiceMode.TOOL:
        return ToolChoice(mode, name=draw(st.sampled_from(names)))
    if mode is not ToolChoiceMode.NONE and draw(st.integers(0, 3)) == 0:
        return ToolChoice(mode, allowed=names[:1])
    return ToolChoice(mode)


OUTPUTS = st.sampled_from(
    (
        OutputFormat(OutputKind.TEXT),
        OutputFormat(OutputKind.JSON_OBJECT),
        OutputFormat(OutputKind.JSON_SCHEMA, CITY_SCHEMA, name="city"),
        OutputFormat(OutputKind.JSON_SCHEMA, CITY_SCHEMA, name="city", description="A city", strict=False),
        OutputFormat(OutputKind.JSON_SCHEMA, CITY_SCHEMA),
    )
)
REASONING_OPTIONS = st.builds(
    ReasoningOptions,
    effort=_maybe(st.sampled_from(("none", "minimal", "low", "high", "max"))),
    budget_tokens=_maybe(st.sampled_from((0, 2048))),
    summary=_maybe(st.just("auto")),
)
CONVERSATIONS = st.builds(
    Conversation,
    id=_maybe(st.just("conv_1")),
    previous_response_id=_maybe(st.just("resp_1")),
    store=_maybe(st.booleans()),
)
PAIRS = st.dictionaries(st.sampled_from(("A", "TONE", "größe")), texts(), max_size=2)


def requests() -> st.SearchStrategy[Request]:
    """Legal requests that use any mix of features."""
    return _simplified(_requests())


@st.composite
def _requests(draw: st.DrawFn) -> Request:
    functions = tuple({tool.name: tool for tool in draw(st.lists(tools(), max_size=3))}.values())
    names = tuple(tool.name for tool in functions)
    rarely = st.integers(0, 2).map(lambda number: number == 0)
    return Request(
        model=draw(MODELS),
        messages=draw(histories(names)),
        tools=functions + (draw(st.just(()) | OPAQUES.map(lambda tool: (tool,))) if functions else ()),
        tool_choice=draw(_maybe(_tool_choices(names))) if names else None,
        parallel_tool_calls=draw(_maybe(st.booleans())) if names else None,
        sampling=draw(st.just(Sampling()) | samplings()),
        output=draw(_maybe(OUTPUTS)),
        reasoning=draw(REASONING_OPTIONS) if draw(rarely) else None,
        choice_count=draw(_maybe(st.sampled_from((1, 1, 2)))),
        stream=draw(st.booleans()),
        user=draw(_maybe(st.sampled_from(("user-1", "größe")))),
        metadata=draw(_maybe(PAIRS)) if draw(rarely) else None,
        conversation=draw(CONVERSATIONS) if draw(rarely) else None,
        variables=draw(_maybe(PAIRS)) if draw(rarely) else None,
        extra=draw(EXTRAS),
    )


@st.composite
def _simplified(draw: st.DrawFn, strategy: st.SearchStrategy) -> Request | Response:
    """What the strategy draws, with one sort of oddity at a time.

    If a part loses its hints while an empty neighbour vanishes, nobody can tell from the outside which became which.
    """
    kept = draw(st.sampled_from(("extra", "hints", "empty", "none")))
    count = iter(range(1000))

    def simple(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(simple(item) for item in value)
        if not is_dataclass(value):
            return value
        changes = {field.name: simple(getattr(value, field.name)) for field in fields(value)}
        if kept != "extra" and "extra" in changes:
            changes["extra"] = None
        if kept != "hints":
            changes |= {name: none for name, none in (("cache", None), ("citations", ())) if name in changes}
        if kept != "empty" and isinstance(value, Text) and not value.text.strip():
            changes["text"] = f"text {next(count)}"
        return replace(value, **changes)

    return simple(draw(strategy))


# --- answers ----------------------------------------------------------------------------------------------------

ANSWER_TEXTS = st.builds(
    Text, texts(1), citations=st.just(()) | st.just(()) | CITATIONS, extra=st.none() | st.none() | EXTRAS
)
ANSWER_PARTS = (
    ANSWER_TEXTS
    | ANSWER_TEXTS
    | REASONINGS
    | REFUSALS
    | st.just(Media(MediaKind.IMAGE, Inline(PNG), "image/png"))
    | OPAQUES
)
LOGPROB = st.sampled_from(
    (
        {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []},
        {
            "token": "\u2028",
            "logprob": -9999.0,
            "bytes": None,
            "top_logprobs": [{"token": "b", "logprob": -1.5, "bytes": [98]}],
        },
    )
)
LOGPROBS = st.lists(LOGPROB, min_size=1, max_size=3).map(lambda entries: {"content": entries})
COUNTS = st.sampled_from((0, 1, 12, 4096, 2**40))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Token counts that add up, of which any may be unknown."""
    fresh, read, written, said, thought = (draw(COUNTS) for _ in range(5))
    known = {
        "input_tokens": fresh + read + written,
        "output_tokens": said + thought,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "reasoning_tokens": thought,
    }
    kept = draw(
        st.just(set(known)) | st.just({"input_tokens", "output_tokens"}) | st.sets(st.sampled_from(list(known)))
    )
    return Usage(**{name: count for name, count in known.items() if name in kept}, extra=draw(EXTRAS))


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    """One answer whose finish reason goes with its parts."""
    parts = list(_some(draw, ANSWER_PARTS, 3))
    calls = [
        ToolCall(f"call_{index:04d}{number:012d}", draw(NAMES), draw(ALL_ARGUMENTS), extra=draw(EXTRAS))
        for number in range(draw(st.sampled_from((0, 0, 1, 2))))
    ]
    parts = [*parts, *calls]
    if calls and draw(st.integers(0, 3)) == 0:
        parts = draw(st.permutations(parts))
    reason = FinishReason.TOOL_CALL
    if not calls or draw(st.integers(0, 4)) == 0:
        reason = draw(st.sampled_from([item for item in FinishReason if item is not FinishReason.TOOL_CALL]))
    stop = draw(_maybe(st.sampled_from(("END", "\u2028")))) if reason is FinishReason.STOP else None
    return Choice(index, tuple(parts), reason, stop, draw(_maybe(LOGPROBS)), draw(EXTRAS))


def responses() -> st.SearchStrategy[Response]:
    """Complete answers with one or more choices."""
    return _simplified(_responses())


@st.composite
def _responses(draw: st.DrawFn) -> Response:
    count = draw(st.sampled_from((1, 1, 1, 2, 3)))
    return Response(
        tuple(draw(choices(index)) for index in range(count)),
        id="elsewhere-1",
        model=draw(MODELS),
        created=1700000000,
        usage=draw(_maybe(usages())),
        extra=draw(EXTRAS),
    )


# --- streams ----------------------------------------------------------------------------------------------------


@st.composite
def event_streams(draw: st.DrawFn) -> list[Event]:
    """A legal, finished stream: parts of several choices overlap, and usage and foreign events stand anywhere."""
    response = draw(responses())
    size = draw(st.integers(1, 5))
    body = in_pieces(replace(response, usage=None), size)[1:-1]
    if draw(st.booleans()):
        body = _shuffled(draw, body)
    if response.usage is not None:
        for usage in _running(response.usage, draw(st.integers(1, 3))):
            body.insert(draw(st.integers(_after_usage(body), len(body))), UsageReported(usage))
    if draw(st.integers(0, 3)) == 0:
        body.insert(draw(st.integers(0, len(body))), ForeignEvent(ELSEWHERE, {"type": "ping"}))
    return [StreamStarted(response.id, response.model, response.created, response.extra), *body, StreamEnded()]


def _running(usage: Usage, reports: int) -> list[Usage]:
    """Running totals that end with ``usage``: the same counts are known in each, and none falls."""
    said = usage.output_tokens
    if said is None or usage.reasoning_tokens is not None:
        return [usage] * reports
    return [replace(usage, output_tokens=said * step // reports) for step in range(1, reports + 1)]


def _after_usage(body: list[Event]) -> int:
    return max((index + 1 for index, event in enumerate(body) if isinstance(event, UsageReported)), default=0)


def _shuffled(draw: st.DrawFn, body: list[Event]) -> list[Event]:
    """The events so that those of each part keep their order, and each choice ends after all that belongs to it."""
    choice_of = {event.index: event.choice for event in body if isinstance(event, PartStarted)}
    lanes: dict[object, list[Event]] = {}
    ends: dict[int, Event] = {}
    for event in body:
        if isinstance(event, ChoiceFinished):
            ends[event.choice] = event
        else:
            name = ("logprobs", event.choice) if isinstance(event, LogprobsReported) else event.index
            lanes.setdefault(name, []).append(event)
    left = {number: sum(_owner(lane[0], choice_of) == number for lane in lanes.values()) for number in ends}
    order = [name for name, lane in lanes.items() for _ in lane]
    out: list[Event] = [ends.pop(number) for number in list(left) if not left[number]]
    for name in draw(st.permutations(order)):
        event = lanes[name].pop(0)
        out.append(event)
        if not lanes[name]:
            number = _owner(event, choice_of)
            left[number] -= 1
            if not left[number]:
                out.append(ends.pop(number))
    return out


def _owner(event: Event, choice_of: dict[int, int]) -> int:
    return event.choice if isinstance(event, LogprobsReported | PartStarted) else choice_of[event.index]


@st.composite
def failing_streams(draw: st.DrawFn) -> list[Event]:
    """A legal stream that fails at any moment, even before it started."""
    events = draw(event_streams())
    moment = draw(st.integers(0, len(events) - 1))
    kind = draw(st.sampled_from(ErrorKind))
    return [*events[:moment], StreamFailed(ApiError(kind, draw(texts(1)), draw(st.sampled_from(Fault))))]


def splits(raw: bytes) -> st.SearchStrategy[list[int]]:
    """Lists of places at which to cut these bytes."""
    return st.lists(st.integers(0, len(raw)), max_size=6)


__all__ = [
    "ELSEWHERE",
    "event_streams",
    "failing_streams",
    "requests",
    "responses",
    "splits",
    "texts",
    "usages",
]
