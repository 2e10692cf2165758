"""Plain UTF-8 text as a stream: no frames, no end mark."""

import codecs

from adapters.model.error import DecodeError


class TextDecoder:
    """Turns reads into text; a character cut by a read comes out whole with the next one."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to a character that is not complete yet."""
        return len(self._decoder.getstate()[0])

    def feed(self, data: bytes) -> str:
        """The text completed by these bytes. Raises ``DecodeError`` for bytes that are not UTF-8."""
        try:
            return self._decoder.decode(data)
        except UnicodeDecodeError:
            raise DecodeError("the text is not valid UTF-8", code="bad_encoding") from None

    def finish(self) -> None:
        """At end of input. Raises ``DecodeError`` if a character is incomplete."""
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise DecodeError("the text ends inside a character", code="bad_encoding") from None
