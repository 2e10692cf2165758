"""One choice of a streamed answer, put together from its deltas."""

import base64
from collections.abc import Callable
from typing import Any

from adapters.contract import Context
from adapters.model.error import DecodeError
from adapters.model.event import (
    ChoiceFinished,
    CitationAdded,
    Event,
    ForeignEvent,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    TextDelta,
)
from adapters.model.message import Json, Part, Reasoning, Refusal, Text
from adapters.model.response import FinishReason
from adapters.openai_chat.answer import decode_annotations, decode_audio, split_content
from adapters.openai_chat.fields import DELTA_FIELDS, NAME
from adapters.openai_chat.finish import decode_finish_reason
from adapters.openai_chat.tool_deltas import ToolDeltas
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.inline_data import clean_base64, decode_base64

_PATH = "choices[].delta"


class ChoiceDeltas:
    """Turns the deltas of one choice into events. ``text_index`` is the open text part, -1 if there is none.

    One part of text, reasoning or refusal is open at a time: the next kind, or a tool call, ends it.
    """

    __slots__ = ("_audio", "_context", "_next_index", "_open", "_refused", "_tools", "finished", "number", "text_index")

    def __init__(self, number: int, context: Context, next_index: Callable[[], int]) -> None:
        self.number = number
        self.finished = False
        self.text_index = -1
        self._context = context
        self._next_index = next_index
        self._open: tuple[int, type[Part]] | None = None
        self._tools = ToolDeltas(number, context, next_index, self._close)
        self._audio: dict[str, Any] = {}
        self._refused = False

    @property
    def begun(self) -> bool:
        """Whether there is any content."""
        return self._open is not None or bool(self._tools or self._audio)

    def add(self, delta: Json, events: list[Event]) -> Json:
        """Take a delta; gives back the fields of it that nobody knows."""
        if self.finished:
            self._add_late(delta, events)
        else:
            self._add(delta, events)
        if delta.keys() <= DELTA_FIELDS and type(delta.get("reasoning")) in (str, type(None)):
            return {}
        return {name: value for name, value in delta.items() if _is_unread(name, value)}

    def add_calls(self, entries: list[Any], events: list[Event]) -> None:
        """Take the fragments of tool calls, before the finish."""
        for entry in entries:
            self._tools.add(entry, events)

    def finish(self, word: str | None, extra: Json, events: list[Event]) -> None:
        """End the choice and all its parts."""
        self._close(events)
        if self._audio:
            index = self._next_index()
            audio = decode_audio(Fields(_joined_audio(self._audio), f"{_PATH}.audio"), self._context.request)
            events += (PartStarted(index, audio, self.number), PartEnded(index))
        self._tools.finish(events)
        reason = decode_finish_reason(word, called=bool(self._tools), refused=self._refused)
        if reason is FinishReason.OTHER and word is not None:
            extra = {**extra, "finish_reason": word}
        events.append(ChoiceFinished(self.number, reason, None, {NAME: extra} if extra else None))
        self.finished = True

    def _add(self, delta: Json, events: list[Event]) -> None:
        thought, text = split_content(delta.get("content"), f"{_PATH}.content")
        thought = _reasoning(delta) + thought
        if thought:
            events.append(ReasoningDelta(self._part(Reasoning, events), thought))
        if text:
            events.append(TextDelta(self._part(Text, events), text))
        refusal = _string(delta, "refusal")
        if refusal:
            self._refused = True
            events.append(TextDelta(self._part(Refusal, events), refusal))
        annotations = delta.get("annotations")
        if annotations:
            index = self._part(Text, events)
            events += [CitationAdded(index, item) for item in decode_annotations(annotations, f"{_PATH}.annotations")]
        audio = delta.get("audio")
        if audio is not None:
            self._add_audio(audio)
        self.add_calls(_array(delta, "tool_calls"), events)
        function = delta.get("function_call")
        if function is not None:
            self._tools.add({"index": -1, "function": function}, events)

    def _add_late(self, delta: Json, events: list[Event]) -> None:
        """After the finish there may be empty deltas, and the time until which audio is kept."""
        said = {name for name, value in delta.items() if name in DELTA_FIELDS and name != "role" and value}
        if not said:
            return
        audio = delta.get("audio")
        if said != {"audio"} or type(audio) is not dict or "data" in audio:
            raise DecodeError("a choice goes on after its finish_reason", _PATH, "content_after_finish")
        chunk = {"choices": [{"index": self.number, "delta": {"audio": audio}}]}
        events.append(ForeignEvent(NAME, chunk))

    def _part(self, kind: type[Text] | type[Reasoning] | type[Refusal], events: list[Event]) -> int:
        """The open part of this kind, a new one if need be."""
        if self._open is not None and self._open[1] is kind:
            return self._open[0]
        self._close(events)
        index = self._next_index()
        self._open = (index, kind)
        if kind is Text:
            self.text_index = index
        part = Reasoning("", origin=NAME) if kind is Reasoning else kind("")
        events.append(PartStarted(index, part, self.number))
        return index

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(PartEnded(self._open[0]))
            self._open = None
            self.text_index = -1

    def _add_audio(self, audio: Any) -> None:
        if type(audio) is not dict:
            raise wrong_type(f"{_PATH}.audio", "an object", audio)
        for name, value in audio.items():
            if name in ("data", "transcript"):
                self._audio.setdefault(name, []).append(_string(audio, name))
            elif value is not None:
                self._audio.setdefault(name, value)


def _string(values: Json, name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if type(value) is str:
        return value
    raise wrong_type(f"{_PATH}.{name}", "a string", value)


def _array(values: Json, name: str) -> list[Any]:
    value = values.get(name)
    if value is None:
        return []
    if type(value) is list:
        return value
    raise wrong_type(f"{_PATH}.{name}", "an array", value)


def _reasoning(delta: Json) -> str:
    """As ``decode_reasoning``: two spellings of one field, of which some servers send both."""
    reasoning = _string(delta, "reasoning_content")
    other = delta.get("reasoning")
    return other if not reasoning and type(other) is str else reasoning


def _is_unread(name: str, value: Any) -> bool:
    return value is not None and (name not in DELTA_FIELDS or (name == "reasoning" and type(value) is not str))


def _joined_audio(audio: dict[str, Any]) -> Json:
    """The pieces of audio as one; each piece is base64 for itself, so that padding may stand in the middle."""
    path = f"{_PATH}.audio.data"
    joined = {**audio, "transcript": "".join(audio["transcript"])} if "transcript" in audio else dict(audio)
    pieces = [clean_base64(piece, path) for piece in audio.get("data", ()) if piece]
    whole = pieces[0] if len(pieces) == 1 else _joined_base64(pieces, path)
    return joined | {"data": whole}


def _joined_base64(pieces: list[str], path: str) -> str:
    return base64.b64encode(b"".join(decode_base64(piece, path) for piece in pieces)).decode()
