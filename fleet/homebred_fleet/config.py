"""Loads the controller's settings: one frozen object, checked whole before anything starts.

Precedence: flags, then `HOMEBRED_FLEET_SECTION__KEY` variables, then the TOML file, then the defaults. Every problem
is reported at once, by the key, variable or flag. Nothing here looks at whether a folder exists.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import PydanticBaseSettingsSource
from typing_extensions import override

from homebred_fleet.errors import ConfigurationError
from homebred_fleet.settings import Settings

FILE_VARIABLE = "HOMEBRED_FLEET_CONFIG"
PREFIX = "HOMEBRED_FLEET_"
NO_SETTINGS = frozenset({FILE_VARIABLE, "HOMEBRED_FLEET_PROFILE"})
"""Variables of the same prefix that set nothing of the controller: its file, an admin's profile."""
DEVICE_PREFIX = "HOMEBRED_FLEET__"
"""Of what a daemon on the same machine has in its section [fleet]."""
DEFAULT_FILES = (Path("fleet.toml"), Path("/etc/homebred-fleet/fleet.toml"))
MAX_SHOWN = 60

Values = dict[str, Any]


def load(config_file: Path | None, flags: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """The settings that hold.

    Args:
        config_file: what `--config` names; None: HOMEBRED_FLEET_CONFIG, else `fleet.toml` here, else the system's.
        flags: dotted name of a setting by the text that a flag gave.
        environ: the process's environment.

    Raises:
        ConfigurationError: with every problem found.
    """
    path = found_file(config_file, environ)
    filed = _filed(path) if path is not None else {}
    if path is not None and isinstance(filed.get("paths", {}), dict):
        filed.setdefault("paths", {}).setdefault("folder", str(path.resolve().parent))
    layers: list[tuple[str, Values]] = [
        ("the flag of {key}", _nested((tuple(name.split(".")), text) for name, text in flags.items())),
        ("{variable}", _nested(_variables(environ))),
        (f"{path}: {{key}}", filed),
    ]
    sources = tuple(_Layer(values) for _, values in layers)
    try:
        return Settings(_build_sources=(sources, {}))  # type: ignore[call-arg]  # hidden by pydantic's __init__
    except ValidationError as error:
        problems = [_problem(detail, layers) for detail in error.errors(include_url=False)]
        raise ConfigurationError("\n       ".join(problems), hint=ConfigurationError.hint) from error


def found_file(config_file: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file that holds; None: there is none, and the defaults do."""
    named = config_file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    return named or next((path for path in DEFAULT_FILES if path.exists()), None)


class _Layer(PydanticBaseSettingsSource):
    """One source's values, which pydantic-settings merges with the others' by precedence."""

    def __init__(self, values: Values) -> None:
        super().__init__(Settings)
        self._values = values

    @override
    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        return self._values


def _filed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", hint="make it with `homebred-fleet init`, or correct --config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8", hint="save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is no TOMLDecodeError
        raise ConfigurationError(f"{path} is not valid TOML: {error}", hint="correct the file at that line") from error


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What variables give; an empty one gives nothing, and a list is written as JSON."""
    for name in sorted(environ):
        is_ours = name.startswith(PREFIX) and not name.startswith(DEVICE_PREFIX) and name not in NO_SETTINGS
        if is_ours and environ[name]:
            text = environ[name]
            try:
                value = json.loads(text) if text.startswith("[") else text
            except ValueError:
                value = text
            yield tuple(name.removeprefix(PREFIX).lower().split("__")), value


def _nested(given: Iterator[tuple[tuple[str, ...], Any]]) -> Values:
    values: Values = {}
    for key, value in given:
        values.setdefault(key[0], {})[".".join(key[1:])] = value
    return values


def _problem(detail: Any, layers: list[tuple[str, Values]]) -> str:
    """What is wrong, named by who said it."""
    place = [str(part) for part in detail["loc"]]
    key = ".".join(place[:2])
    variable = PREFIX + "__".join(place[:2]).upper()
    for words, values in layers:
        section = values.get(place[0])
        if section is not None and (len(place) == 1 or place[1] in section):
            where = words.format(key=key, variable=variable)
            break
    else:
        where = key
    if detail["type"] == "extra_forbidden":
        return f"{where} is no setting"
    shown = json.dumps(detail["input"], ensure_ascii=False, default=str)[:MAX_SHOWN]
    return f"{where} is {shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
