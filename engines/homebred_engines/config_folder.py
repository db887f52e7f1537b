"""Reads the JSON documents of a model's folder with distrust: sizes and figures bounded. It knows no model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from homebred_engines.api import ModelRefusedError

_MAX_FIGURE = 1 << 31


class ConfigFolder:
    """One look at one folder; what it holds is refused by its name."""

    refusal_hint: ClassVar[str] = ""
    """Of a refusal that has none of its own."""
    most_bytes: ClassVar[int] = 64 * 1024 * 1024
    """Of one document."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def refusal(self, why: str, hint: str = "") -> ModelRefusedError:
        """The folder's name, and why it is refused."""
        return ModelRefusedError(f"{self.folder.name} {why}.", hint=hint or self.refusal_hint)

    def document(self, name: str) -> Mapping[str, Any]:
        """A file that holds a JSON object. Raises ModelRefusedError, OSError."""
        path = self.folder / name
        if path.stat().st_size > self.most_bytes:
            raise self.refusal(f"holds a {name} of more than {self.most_bytes} bytes")
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise self.refusal(f"holds a {name} that is not JSON") from None
        if not isinstance(document, dict):
            raise self.refusal(f"holds a {name} that is no JSON object")
        return document

    def figure(self, config: Mapping[str, Any], key: str, *, least: int = 1, default: int | None = None) -> int:
        """A whole number of config.json; `default` where it is absent or null. Raises ModelRefusedError."""
        value = default if config.get(key) is None else config[key]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MAX_FIGURE:
            raise self.refusal(f"gives {value!r:.80} for {key} in config.json")
        return value
