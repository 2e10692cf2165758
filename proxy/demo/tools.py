"""The model that calls what it is offered and then reports what came back."""

import re
from itertools import takewhile

from adapters.model.message import Part, Role, ToolCall, ToolResult
from adapters.model.request import Request, Tool, ToolChoice, ToolChoiceMode
from adapters.model.response import Choice, FinishReason, Response
from proxy.demo.call import DemoCall, invalid
from proxy.demo.echo import describe, said_in, user_text
from proxy.demo.schema import fill, json_text
from proxy.demo.writing import choice_count, respond, text_answer

HOW_TO = (
    "Offer me tools and I call one; name several of them, or say all, and I call them in one turn. "
    "Send me their results and I tell you what they said."
)

_ALL = re.compile(r"\b(?:all|both|parallel)\b", re.IGNORECASE)


def answer_with_tools(request: Request, call: DemoCall) -> Response:
    """Calls, if tools are offered and may be called; else text about the results just received, or about itself.

    Results always get a text answer, also when a call is demanded: a client that repeats its ``tool_choice`` on every
    turn would otherwise never come to an end.
    """
    results = _results_at_end(request)
    if results:
        names = {part.id: part.name for part in _all_parts(request) if isinstance(part, ToolCall)}
        return text_answer(request, call, "\n".join(_report(result, names) for result in results))
    choice = request.tool_choice or ToolChoice(ToolChoiceMode.AUTO)
    offered = _offered(request, choice)
    if not offered and choice.mode is not ToolChoiceMode.TOOL:
        return text_answer(request, call, HOW_TO)
    if choice.mode is ToolChoiceMode.NONE:
        names_offered = ", ".join(tool.name for tool in offered)
        return text_answer(request, call, f"I was told to call no tool, so I leave these alone: {names_offered}")
    wanted = _wanted(request, choice, offered)
    arguments = [(tool.name, arguments_for(tool)) for tool in wanted]
    choices = (
        Choice(
            index,
            tuple(ToolCall(call.new_id("call_"), name, text) for name, text in arguments),
            FinishReason.TOOL_CALL,
        )
        for index in range(choice_count(request))
    )
    return respond(request, call, choices)


def arguments_for(tool: Tool) -> str:
    """Arguments that fit the tool's parameters, as JSON text; ``{}`` where it has none."""
    filled = fill(tool.parameters) if tool.parameters else {}
    return json_text(filled) if isinstance(filled, dict) else "{}"


def _results_at_end(request: Request) -> list[ToolResult]:
    run = list(takewhile(lambda message: message.role is Role.TOOL, reversed(request.messages)))
    return [part for message in reversed(run) for part in message.parts if isinstance(part, ToolResult)]


def _all_parts(request: Request) -> list[Part]:
    return [part for message in request.messages for part in message.parts]


def _report(result: ToolResult, names: dict[str, str]) -> str:
    name = names.get(result.call_id, result.call_id)
    received = [said_in(result.parts), *map(describe, result.parts)]
    what = ", ".join(text for text in received if text) or "nothing"
    return f"{name} reported an error: {what}" if result.is_error else f"{name} said: {what}"


def _offered(request: Request, choice: ToolChoice) -> list[Tool]:
    ours = [tool for tool in request.tools if isinstance(tool, Tool)]
    return [tool for tool in ours if not choice.allowed or tool.name in choice.allowed]


def _wanted(request: Request, choice: ToolChoice, offered: list[Tool]) -> list[Tool]:
    if choice.mode is ToolChoiceMode.TOOL:
        chosen = [tool for tool in offered if tool.name == choice.name][:1]
        if not chosen:
            raise invalid("the tool that must be called is not among the tools offered", "tool_not_found")
        return chosen
    text = user_text(request)
    named = [tool for tool in offered if _names(text, tool.name)]
    if len(named) > 1:
        chosen = named
    elif _ALL.search(text):
        chosen = offered
    else:
        chosen = named or offered[:1]
    return chosen[:1] if request.parallel_tool_calls is False else chosen


def _names(text: str, name: str) -> bool:
    # Hyphens belong to tool names, so \b would find "get" in "get-weather".
    return bool(name) and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE) is not None
