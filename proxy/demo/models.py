"""The demo models by name, and the two ways to ask one."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from adapters.model.catalog import ModelInfo
from adapters.model.error import ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.event import Event, StreamFailed
from adapters.model.message import Text
from adapters.model.plain import to_plain
from adapters.model.request import OutputKind, Request
from adapters.model.response import Choice, FinishReason, Response
from proxy.demo.batches import batches
from proxy.demo.call import DemoCall, DemoFailure, invalid
from proxy.demo.echo import echo_text, user_text
from proxy.demo.schema import fill, json_text
from proxy.demo.tools import answer_with_tools
from proxy.demo.words import pieces
from proxy.demo.writing import choice_count, respond, text_answer, write_choice

SLOW_SECONDS = 0.05
"""The time between two batches of the model ``slow``."""

INTERRUPTED = ApiError(
    ErrorKind.BAD_UPSTREAM,
    "the demo model cut breaks off halfway, always",
    Fault.UPSTREAM,
    status=502,
    code="stream_interrupted",
)


@dataclass(frozen=True, slots=True)
class DemoModel:
    """``pace`` is the wait before each batch in seconds; ``cut``: the stream breaks off halfway."""

    respond: Callable[[Request, DemoCall], Response]
    description: str
    features: frozenset[str] = frozenset({"text", "streaming"})
    pace: float = 0.0
    cut: bool = False


def answer(request: Request, call: DemoCall) -> Response:
    """The whole answer, at once also from ``slow``: only streams are paced. Raises ``DemoFailure``."""
    model = _find(request.model)
    response = model.respond(request, call)
    if model.cut:
        raise DemoFailure(INTERRUPTED)
    return response


async def stream(request: Request, call: DemoCall) -> AsyncIterator[list[Event]]:
    """The same answer in batches of events, a word each, ending with ``StreamEnded`` or ``StreamFailed``.

    Raises ``DemoFailure`` before the first batch, never later. Only ``slow`` waits: ``SLOW_SECONDS`` before each word.
    """
    model = _find(request.model)
    response = model.respond(request, call)
    for number, batch in enumerate(_broken_off(response) if model.cut else batches(response)):
        if model.pace and number:
            await asyncio.sleep(model.pace)
        yield batch


def _find(name: str) -> DemoModel:
    if name in _MODELS:
        return _MODELS[name]
    failing = re.fullmatch(r"fail-([45][0-9][0-9])", name)
    raise DemoFailure(_failure(int(failing[1])) if failing else _not_found())


def _failure(status: int) -> ApiError:
    return ApiError(
        kind_of_status(status),
        f"the demo model fail-{status} fails with status {status}, always",
        Fault.UPSTREAM,
        status=status,
        code="demo_failure",
        retry_after=1 if status in (429, 503) else None,
    )


def _not_found() -> ApiError:
    names = ", ".join([*_MODELS, "fail-<status>"])
    message = f"the demo upstream has no such model; it has {names}"
    return ApiError(ErrorKind.NOT_FOUND, message, status=404, code="model_not_found")


def _broken_off(response: Response) -> list[list[Event]]:
    whole = list(batches(response))
    # Half of the batches never reaches the last two, which finish the choice and the stream.
    return [*whole[: len(whole) // 2], [StreamFailed(INTERRUPTED)]]


def _echo(request: Request, call: DemoCall) -> Response:
    return text_answer(request, call, echo_text(request))


def _think(request: Request, call: DemoCall) -> Response:
    thought = f"The question is: {user_text(request) or 'none'}\nI can only repeat what I receive, so I do that."
    options = request.reasoning
    if options is not None and options.effort == "none":
        thought = ""
    elif options is not None and options.budget_tokens is not None:
        thought = "".join(pieces(thought)[: max(options.budget_tokens, 0)])
    return text_answer(request, call, echo_text(request), thought)


def _json(request: Request, call: DemoCall) -> Response:
    output = request.output
    if output is None or output.kind is OutputKind.TEXT:
        return text_answer(request, call, "You asked for no JSON, so this is plain text.")
    schema = output.schema if output.kind is OutputKind.JSON_SCHEMA else None
    text = json_text({"answer": echo_text(request)} if schema is None else fill(schema))
    # Every choice says the same: a number before it would not be JSON.
    return respond(request, call, (write_choice(request, index, text) for index in range(choice_count(request))))


def _mirror(request: Request, call: DemoCall) -> Response:
    try:
        text = json_text(to_plain(request))
    except RecursionError:
        raise invalid("the request is nested too deeply to be mirrored", "too_deep") from None
    # Limits, stop sequences and choice_count are shown, not obeyed: half a mirror is of no use.
    return respond(request, call, [Choice(0, (Text(text),), FinishReason.STOP)])


_MODELS = {
    "echo": DemoModel(
        _echo,
        "Says what you said and what media came with it.",
        frozenset({"text", "multimodal", "vision", "streaming"}),
    ),
    "tools": DemoModel(
        answer_with_tools,
        "Calls the tools it is offered, then says what they answered.",
        frozenset({"text", "streaming", "tools"}),
    ),
    "json": DemoModel(
        _json, "Fills in the JSON schema it is given.", frozenset({"text", "streaming", "structured_output"})
    ),
    "slow": DemoModel(_echo, "The echo, streamed with a pause before each word.", pace=SLOW_SECONDS),
    "think": DemoModel(_think, "Thinks before it echoes."),
    "mirror": DemoModel(_mirror, "Shows the whole request as it arrived, as JSON."),
    "cut": DemoModel(_echo, "Breaks off in the middle of the echo.", cut=True),
}

MODELS = (
    *(
        ModelInfo(name, "dragoman", description=model.description, features=model.features)
        for name, model in _MODELS.items()
    ),
    ModelInfo(
        "fail-503",
        "dragoman",
        description="Fails with the status in its name; any from fail-400 to fail-599 will do.",
        features=frozenset({"text", "streaming"}),
    ),
)
