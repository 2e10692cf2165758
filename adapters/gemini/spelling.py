"""Objects whose fields may be spelled in camelCase or in snake_case, as the API's own JSON reader takes them."""

import re
from typing import Any

from adapters.gemini.fields import NAMES
from adapters.model.error import DecodeError
from adapters.model.message import Json
from adapters.wire.fields import Fields

_CAPITAL = re.compile("[A-Z]")
_CAMEL = {_CAPITAL.sub(lambda found: "_" + found[0].lower(), name): name for name in NAMES}


class WireFields(Fields):
    """The fields of one object under their camelCase names; errors name them as they were sent.

    Names that the tables do not list stay as they are.
    """

    __slots__ = ("_sent",)

    def __init__(self, value: object, path: str = "") -> None:
        super().__init__(value, path)
        self._sent: dict[str, str] = {}
        if _CAMEL.keys() & self._left.keys():
            self._left = self._respelled(self._left)

    def path_of(self, name: str) -> str:
        return super().path_of(self._sent.get(name, name))

    def wire_fields(self, name: str) -> "WireFields | None":
        """The object in this field, itself with both spellings."""
        value = self.object(name)
        return None if value is None else WireFields(value, self.path_of(name))

    def repeated(self, name: str) -> list[tuple[str, Any]] | None:
        """The values of an array with their paths; ``None`` if it is absent.

        A single object counts as an array of one: the API's documentation writes ``"parts": {"text": ...}``.
        """
        if isinstance(self._left.get(name), dict):
            return [(self.path_of(name), self.any(name))]
        values = self.array(name)
        path = self.path_of(name)
        return None if values is None else [(f"{path}[{index}]", value) for index, value in enumerate(values)]

    def _respelled(self, value: Json) -> Json:
        respelled: Json = {}
        for name, item in value.items():
            camel = _CAMEL.get(name, name)
            if camel is not name:
                if camel in value:
                    path = super().path_of(name)
                    raise DecodeError(f"{path} is given in two spellings", param=path, code="duplicate_key")
                self._sent[camel] = name
            respelled[camel] = item
        return respelled
