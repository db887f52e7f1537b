"""Knowledge of JSON Schema, and of the regular expressions in it."""

from __future__ import annotations

from typing import Protocol


class SchemaChecker(Protocol):
    """Knows JSON Schema."""

    def check_schema(self, schema: str, *, name: str = "response_schema") -> None:
        """Refuses what is not a JSON Schema.

        Raises:
            RequestError: with the schema's name, the place and the rule broken.
        """
        ...

    def fits(self, text: str, schema: str) -> bool:
        """Whether a text is JSON that fits the schema."""
        ...

    def problem(self, text: str, schema: str) -> str:
        """Why a text is not JSON that fits the schema, in words for a model; empty: it is."""
        ...

    def check_pattern(self, pattern: str, *, name: str) -> None:
        """Refuses what is no regular expression, or none that runs in bounded time and space.

        Raises:
            RequestError: with the pattern's name.
        """
        ...

    def matches(self, text: str, pattern: str) -> bool:
        """Whether a text holds what the pattern describes; one that takes too many steps to look through does not."""
        ...
