"""The ``contents`` and the ``systemInstruction`` of a request, as messages."""

from adapters.gemini.calls import OpenCalls
from adapters.gemini.extras import decode_extra
from adapters.gemini.fields import ROLES
from adapters.gemini.parts import data_of, decode_part
from adapters.gemini.spelling import WireFields
from adapters.model.error import DecodeError
from adapters.model.message import Extra, Json, Message, Part, Role, ToolResult
from adapters.wire.fields import wrong_type


def decode_messages(body: WireFields) -> tuple[Message, ...]:
    """The system instruction, then the contents, with every result as a message of its own."""
    contents = body.repeated("contents")
    if contents is None:
        raise body.error("contents", "is required", code="missing_required_field")
    if not contents:
        raise body.error("contents", "must not be empty")
    messages = _decode_instruction(body)
    calls = OpenCalls()
    for path, value in contents:
        messages += _decode_content(WireFields(value, path), calls)
    calls.end()
    return tuple(messages)


def _decode_instruction(body: WireFields) -> list[Message]:
    instruction = body.wire_fields("systemInstruction")
    if instruction is None:
        return []
    instruction.string("role")  # says nothing here: SDKs send "user", the documentation "system" or none
    texts: list[Part] = []
    for path, value in _parts(instruction):
        part = WireFields(value, path)
        if data_of(part) != "text":
            raise DecodeError(f"{path} must hold text: a system instruction takes nothing else", path, "invalid_value")
        texts.append(decode_part(part, "text", value))
    return [Message(Role.SYSTEM, tuple(texts), extra=decode_extra(instruction))]


def _decode_content(content: WireFields, calls: OpenCalls) -> list[Message]:
    """The messages in one content: the model's turn, or the user's words and each result for themselves."""
    word = content.choice("role", ROLES)
    role = Role.USER if word is None else ROLES[word]
    values = _parts(content)
    if role is Role.ASSISTANT:
        calls.begin_turn(content.path)
        parts = tuple(_decode_model_part(path, value, calls) for path, value in values)
        return [Message(role, parts, extra=decode_extra(content))]
    parts = tuple(_decode_user_part(path, value, calls) for path, value in values)
    if not any(isinstance(part, ToolResult) for part in parts):
        calls.demand_results(content.path)
    return _split(parts, decode_extra(content))


def _parts(content: WireFields) -> list[tuple[str, Json]]:
    values = content.repeated("parts")
    if values is None:
        raise content.error("parts", "is required", code="missing_required_field")
    if not values:
        raise content.error("parts", "must not be empty")
    for path, value in values:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
    return values


def _decode_model_part(path: str, value: Json, calls: OpenCalls) -> Part:
    part = WireFields(value, path)
    data = data_of(part)
    if data == "functionCall":
        return calls.decode_call(part)
    if data == "functionResponse":
        raise part.error(data, 'must stand in a content with role "user"')
    return decode_part(part, data, value)


def _decode_user_part(path: str, value: Json, calls: OpenCalls) -> Part:
    part = WireFields(value, path)
    data = data_of(part)
    if data == "functionResponse":
        return calls.decode_result(part)
    if data == "functionCall":
        raise part.error(data, 'must stand in a content with role "model"')
    return decode_part(part, data, value)


def _split(parts: tuple[Part, ...], extra: Extra | None) -> list[Message]:
    """Each result alone, and what stands between them together; fields of the content stay with the first."""
    groups: list[tuple[Role, list[Part]]] = []
    for part in parts:
        if isinstance(part, ToolResult):
            groups.append((Role.TOOL, [part]))
        elif groups and groups[-1][0] is Role.USER:
            groups[-1][1].append(part)
        else:
            groups.append((Role.USER, [part]))
    return [
        Message(role, tuple(group), extra=extra if index == 0 else None) for index, (role, group) in enumerate(groups)
    ]
