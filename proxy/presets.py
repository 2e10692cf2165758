"""Presets: a named, prepared request that a client addresses like a model. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace

from adapters.model.message import Message, Role, Text
from adapters.model.request import Request
from proxy.settings import Preset

_SLOT = re.compile(r"\{\{([A-Z0-9_]{1,64})\}\}")


def fill_slots(template: str, variables: Mapping[str, str]) -> str:
    """``template`` with every ``{{NAME}}`` replaced by its variable; a slot without one is left blank.

    One pass: what a value brings in is never looked at again, so ``{{OTHER}}`` inside a value stays literal
    (``dialects/amarsia.md`` A17, ``reliability.md`` T12). There is no template language here.
    """
    return _SLOT.sub(lambda slot: variables.get(slot[1], ""), template)


def apply_preset(preset: Preset, request: Request) -> Request:
    """The request as the preset prepares it: its instructions first, its settings where the client said none.

    The variables are used up here; names that no slot asks for are ignored, as the Amarsia API does.
    """
    messages = request.messages
    if preset.instructions is not None:
        instructions = fill_slots(preset.instructions, request.variables or {})
        messages = (Message(Role.SYSTEM, (Text(instructions),)), *messages)
    sampling = request.sampling
    if sampling.temperature is None and preset.temperature is not None:
        sampling = replace(sampling, temperature=preset.temperature)
    if sampling.max_tokens is None and preset.max_tokens is not None:
        sampling = replace(sampling, max_tokens=preset.max_tokens)
    return replace(request, messages=messages, sampling=sampling, variables=None)
