"""Finds where a JSON object, array or string that arrives in pieces is complete. Pure; it does not validate.

Why: a grammar lets white space follow the value, and a small model may go on with it up to its token limit.
"""

from __future__ import annotations


class JsonEnd:
    """Feed it the text as it comes. A number, true, false or null has no end of its own and is never reported."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._scalar = False

    def feed(self, text: str) -> int | None:
        """How many characters of this piece belong to the value, once it is complete; else None."""
        for position, character in enumerate(text):
            if self._in_string:
                self._inside_string(character)
            elif character == '"':
                self._in_string = True
            elif character in "[{":
                self._depth += 1
            elif character in "]}":
                self._depth -= 1
            elif self._depth == 0 and not character.isspace():
                self._scalar = True
            ended = character in '"]}' and self._depth == 0 and not self._in_string
            if ended and not self._scalar:
                return position + 1
        return None

    def _inside_string(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == '"':
            self._in_string = False
