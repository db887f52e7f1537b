"""Writes a settings file: every setting with its meaning, and the values that somebody gives or the defaults."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from homebred_fleet.settings import Settings

HEAD = """\
# Settings of the homebred fleet controller. What stands behind a # is the default.
#
# A variable (HOMEBRED_FLEET_SECTION__KEY, such as HOMEBRED_FLEET_HTTP__PORT=9443) wins over this file.
"""
WIDTH = 118


def settings_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a file that sets some values, by section and name, and names every other."""
    lines = [HEAD]
    for section, outer in Settings.model_fields.items():
        model = outer.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            lines += [f"[{section}]", *_section(model, values.get(section, {})), ""]
    return "\n".join(lines).rstrip() + "\n"


def _section(model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield from textwrap.wrap(field.description or "", WIDTH, initial_indent="# ", subsequent_indent="# ")
        if name in values:
            yield f"{name} = {_toml(values[name])}"
        else:
            yield f"# {name} = {_default(field)}".rstrip()


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return '"…"'
    return _toml(field.default)


def _toml(value: Any) -> str:
    """Text, numbers and lists of text are written alike in TOML and JSON."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False, default=str)
