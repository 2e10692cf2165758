"""Calls and their results: Converse refuses one without the other (TRES-15, hard-cases.md)."""

from typing import Any

from adapters.bedrock_converse.blocks import SERVER_RUN
from adapters.contract import DecodeError
from adapters.model.message import Message, Role, ToolCall, ToolResult


class Pairing:
    """Refuses results without a call, and calls whose results do not come with the next message (TRES-15)."""

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}  # a call's id -> its path
        self._last_role = ""

    def check(self, blocks: list[Any], path: str, role: str) -> None:
        """Take the next message, whose blocks were read already."""
        if role == "user":
            self._check_results(blocks, path)
        elif role == "assistant":
            if self._last_role != role:
                self._waiting = {}
            for index, block in enumerate(blocks):
                call = block.get("toolUse")
                if isinstance(call, dict) and call.get("type") != SERVER_RUN:
                    self._waiting[call["toolUseId"]] = f"{path}[{index}].toolUse.toolUseId"
        self._last_role = role

    def _check_results(self, blocks: list[Any], path: str) -> None:
        for index, block in enumerate(blocks):
            result = block.get("toolResult")
            if result is not None and self._waiting.pop(result["toolUseId"], None) is None:
                param = f"{path}[{index}].toolResult.toolUseId"
                problem = f"{param} names no toolUse block of the message before"
                raise DecodeError(problem, param=param, code="unknown_tool_use")
        for param in self._waiting.values():
            raise DecodeError(f"{param} has no toolResult in the next message", param=param, code="missing_tool_result")


def unpaired(messages: tuple[Message, ...], *, prompted: bool) -> frozenset[str]:
    """The paths of the calls without a result and of the results without a call.

    The calls of the last message may wait for theirs; those of a stored prompt (``prompted``) nobody knows.
    """
    lonely: set[str] = set()
    waiting: dict[str, str] = {}
    last_role = None
    for index, message in enumerate(messages):
        if message.role is Role.ASSISTANT and last_role is not Role.ASSISTANT:
            lonely |= set(waiting.values())
            waiting = {}
        last_role = message.role
        for place, part in enumerate(message.parts):
            path = f"messages[{index}].parts[{place}]"
            if isinstance(part, ToolCall) and message.role is Role.ASSISTANT:
                waiting[part.id] = path
            elif isinstance(part, ToolResult) and waiting.pop(part.call_id, None) is None and not prompted:
                lonely.add(path)
    if messages and messages[-1].role is not Role.ASSISTANT:
        lonely |= set(waiting.values())
    return frozenset(lonely)
