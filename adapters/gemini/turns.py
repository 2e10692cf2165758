"""Messages, as the ``contents`` and the ``systemInstruction`` of a request."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.gemini.extras import encode_extra, own_extra
from adapters.gemini.fields import NAME
from adapters.gemini.names import generation, is_made_up
from adapters.gemini.parts import SIGNATURE, encode_part
from adapters.gemini.results import encode_result
from adapters.model.error import EncodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Message, Opaque, Part, Role, Text, ToolCall, ToolResult

SYSTEM_MARK = "[system] "
"""Stands before the text of a system message that is not at the beginning: contents have no such role."""

NO_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""``skip_thought_signature_validator`` in base64: for calls that the model did not make itself (ai.google.dev/gemini-
api/docs/thought-signatures, FAQ). Gemini 3 answers 400 to a history in which the first call of a turn has none."""

_SIGNING_GENERATION = 3
_MEDIA_IN_RESULTS_GENERATION = 3


def encode_messages(messages: Sequence[Message], model: str, losses: list[Loss]) -> Json:
    """The fields ``systemInstruction`` and ``contents``; what is lost joins ``losses``."""
    if not messages:
        raise EncodeError("there is no message to send", "messages", "missing_required_field")
    leading = next((index for index, message in enumerate(messages) if message.role is not Role.SYSTEM), None)
    if leading is None:
        leading = len(messages) - 1  # there must be contents, so the last one becomes a turn of the user
    turns = _Turns(model, losses)
    for index in range(leading, len(messages)):
        turns.add(messages[index], f"messages[{index}]")
    turns.end()
    if not turns.contents:
        raise EncodeError("nothing is left of the messages that could be sent", "messages", "missing_required_field")
    instruction = _encode_instruction(messages[:leading], losses)
    return ({"systemInstruction": instruction} if instruction else {}) | {"contents": turns.contents}


def _encode_instruction(messages: Sequence[Message], losses: list[Loss]) -> Json:
    parts: list[Json] = []
    extra = messages[0].extra if messages else None
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        _lose_name(message, path, losses)
        encoded = _encode_texts(message, path, losses)
        if parts and encoded:
            losses.append(Loss(path, LossReason.MOVED, "the system messages are joined into one instruction"))
        elif not encoded:
            losses.append(Loss(path, LossReason.APPROXIMATED, "nothing of it can be sent"))
        parts += encoded
    return encode_extra({"parts": parts}, extra) if parts else {}


def _encode_texts(message: Message, path: str, losses: list[Loss]) -> list[Json]:
    parts: list[Json] = []
    for index, part in enumerate(message.parts):
        part_path = f"{path}.parts[{index}]"
        if isinstance(part, Text):
            parts += filter(None, (encode_part(part, part_path, losses),))
        elif not _is_foreign(part):
            losses.append(Loss(part_path, LossReason.UNSUPPORTED, "a system instruction takes text only"))
    return parts


@dataclass(slots=True)
class _Call:
    """A call that waits for its result; ``path`` is where it was made."""

    id: str
    name: str
    path: str


class _Turns:
    """Puts messages into contents one after the other.

    The results of a turn's calls must follow it at once and stand in one content, as many as there were calls
    (TRES-02, hard-cases.md); what comes between them waits.
    """

    def __init__(self, model: str, losses: list[Loss]) -> None:
        self.contents: list[Json] = []
        self._losses = losses
        self._model_generation = generation(model)
        self._waiting: list[_Call] = []  # calls of the last turn, in their order
        self._results: dict[str, tuple[Json, str]] = {}  # by the id of the call: the part, and its message's path
        self._attachments: list[Json] = []
        self._delayed: list[Json] = []

    def add(self, message: Message, path: str) -> None:
        _lose_name(message, path, self._losses)
        if message.role is Role.TOOL:
            self._add_results(message, path)
            return
        if message.role is Role.ASSISTANT:
            self._add_model_turn(message, path)
            return
        if len(self._results) == len(self._waiting):
            self._end_results()
        content = self._encode_system(message, path) if message.role is Role.SYSTEM else self._encode(message, path)
        if not content:
            return
        if self._waiting:
            self._losses.append(Loss(path, LossReason.MOVED, "it stands after the results of the calls before it"))
            self._delayed.append(content)
        else:
            self.contents.append(content)

    def end(self) -> None:
        """After the last message. A history may end with calls, but not go on without their results (TRES-15)."""
        self._end_results()
        if self._delayed:
            self._refuse()

    def _add_model_turn(self, message: Message, path: str) -> None:
        self._end_results()
        if self._delayed:
            self._refuse()
        content = self._encode(message, path)
        self.contents.append(content)
        calls = [(index, part) for index, part in enumerate(message.parts) if isinstance(part, ToolCall)]
        self._waiting += [_Call(call.id, call.name, f"{path}.parts[{index}]") for index, call in calls]
        if calls and (self._model_generation or 0) >= _SIGNING_GENERATION:
            first = next(part for part in content["parts"] if "functionCall" in part)
            first.setdefault(SIGNATURE, NO_SIGNATURE)

    def _encode(self, message: Message, path: str) -> Json:
        parts: list[Json] = []
        for index, part in enumerate(message.parts):
            part_path = f"{path}.parts[{index}]"
            if isinstance(part, ToolCall) and message.role is not Role.ASSISTANT:
                self._losses.append(Loss(part_path, LossReason.UNSUPPORTED, "only the model's turns have calls"))
                continue
            parts += filter(None, (encode_part(part, part_path, self._losses),))
        if not parts:
            self._losses.append(Loss(f"{path}.parts", LossReason.APPROXIMATED, "an empty text stands in for nothing"))
            parts = [{"text": ""}]
        role = "model" if message.role is Role.ASSISTANT else "user"
        return encode_extra({"role": role, "parts": parts}, message.extra)

    def _encode_system(self, message: Message, path: str) -> Json:
        parts = _encode_texts(message, path, self._losses)
        if not parts:
            self._losses.append(Loss(path, LossReason.APPROXIMATED, "nothing of it can be sent, so it is left out"))
            return {}
        parts[0]["text"] = SYSTEM_MARK + parts[0]["text"]
        detail = f'it stands in a turn of the user that begins with "{SYSTEM_MARK.strip()}"'
        self._losses.append(Loss(path, LossReason.MOVED, detail))
        return encode_extra({"role": "user", "parts": parts}, message.extra)

    def _add_results(self, message: Message, path: str) -> None:
        results = 0
        for name in own_extra(message.extra):
            self._losses.append(Loss(f"{path}.extra.{NAME}.{name}", LossReason.UNSUPPORTED, "results share a content"))
        for index, part in enumerate(message.parts):
            part_path = f"{path}.parts[{index}]"
            if not isinstance(part, ToolResult):
                if not _is_foreign(part):
                    self._losses.append(Loss(part_path, LossReason.UNSUPPORTED, "a tool's message holds results only"))
                continue
            call = next((call for call in self._waiting if call.id == part.call_id), None)
            if call is None or call.id in self._results:
                self._losses.append(Loss(part_path, LossReason.UNSUPPORTED, "it answers no call of the turn before it"))
                continue
            results += 1
            if results > 1:
                self._losses.append(Loss(part_path, LossReason.MOVED, "each result is a message of its own"))
            self._results[call.id] = (self._encode_result(part, call.name, part_path), path)
        if not results:
            self._losses.append(Loss(path, LossReason.APPROXIMATED, "nothing of it can be sent, so it is left out"))
        elif self._delayed:
            self._losses.append(Loss(path, LossReason.MOVED, "it stands right after the calls"))

    def _encode_result(self, result: ToolResult, name: str, path: str) -> Json:
        before = len(self._losses)
        wire, media = encode_result(result, name, path, self._losses)
        if media and (self._model_generation or _MEDIA_IN_RESULTS_GENERATION) >= _MEDIA_IN_RESULTS_GENERATION:
            wire["functionResponse"]["parts"] = media
        elif media:
            # TRES-09: earlier models count the parts, so the media waits for a content of its own.
            lost = {loss.field for loss in self._losses[before:]}
            for index, part in enumerate(result.parts):
                part_path = f"{path}.parts[{index}]"
                if not isinstance(part, Text) and part_path not in lost:
                    self._losses.append(Loss(part_path, LossReason.MOVED, "it stands after the results"))
            self._attachments += [{"text": f"[attachment of the result of {name}]"}, *media]
        return wire

    def _end_results(self) -> None:
        """Write the results so far, if any: then all calls must have one."""
        if not self._results:
            return
        if len(self._results) < len(self._waiting):
            self._refuse()
        order = list(self._results)
        if not self._is_clear(order):
            order = [call.id for call in self._waiting]
        for was, now in zip(self._results, order, strict=True):
            if was != now:
                path = self._results[now][1]
                self._losses.append(Loss(path, LossReason.MOVED, "results stand in the order of their calls"))
        self.contents.append({"role": "user", "parts": [self._results[call_id][0] for call_id in order]})
        if self._attachments:
            self.contents.append({"role": "user", "parts": self._attachments})
        self.contents += self._delayed
        self._waiting, self._results, self._attachments, self._delayed = [], {}, [], []

    def _is_clear(self, order: Sequence[str]) -> bool:
        """Whether results in this order can be told apart: without ids the first of a name is taken for the answer."""
        waiting = list(self._waiting)
        for call_id in order:
            call = next(call for call in waiting if call.id == call_id)
            if is_made_up(call_id) and call is not next(other for other in waiting if other.name == call.name):
                return False
            waiting.remove(call)
        return True

    def _refuse(self) -> None:
        call = next(call for call in self._waiting if call.id not in self._results)
        raise EncodeError(f"{call.path} is a tool call without a result", call.path, "tool_result_missing")


def _is_foreign(part: Part) -> bool:
    """Whether the part is among the foreign losses already."""
    return isinstance(part, Opaque) and part.dialect != NAME


def _lose_name(message: Message, path: str, losses: list[Loss]) -> None:
    if message.name is not None:
        losses.append(Loss(f"{path}.name", LossReason.UNSUPPORTED, "participants have no names"))
