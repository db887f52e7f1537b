"""Where settings come from: flags over `HOMEBRED_…` variables over one TOML file, each value with its origin.

It checks no value and knows no setting but the socket's path, so that a client command can find the daemon without
loading pydantic; `config` does the checking, on these very sources.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homebred_daemon.errors import ConfigurationError
from homebred_daemon.toml_lines import key_lines, line_of

DEFAULT_FILE = Path("/etc/homebred/homebred.toml")
FILE_VARIABLE = "HOMEBRED_CONFIG"
PREFIX = "HOMEBRED_"
SOCKET_VARIABLE = "HOMEBRED_SOCKET"
NO_SETTINGS = frozenset({FILE_VARIABLE, SOCKET_VARIABLE, "HOMEBRED_DEMO_MODEL"})
"""Variables of the same prefix that set nothing of the daemon: its file, its callers' socket, the demo's model."""
DELIMITER = "__"
CONTROLLER_PREFIX = "HOMEBRED_FLEET_"
"""Of the controller's variables, and its admins'; with the delimiter behind FLEET it is the daemon's own section."""
SOCKET_NAME = "homebred.sock"
DEFAULT_RUNTIME_DIR = Path("/run/homebred")

Key = tuple[str, ...]
"""A setting's place, `("engine", "threads")`; an unknown variable may name any depth."""

FLAGS: Mapping[str, Key] = {
    "--state-dir": ("paths", "state_dir"),
    "--runtime-dir": ("paths", "runtime_dir"),
    "--socket": ("paths", "socket"),
    "--policy": ("policy", "file"),
    "--link": ("link", "state"),
    "--log-level": ("log", "level"),
}
"""The flags that set a setting, wherever a command offers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One value that somebody gave, as text where it came from a variable or a flag."""

    key: Key
    value: Any
    kind: str
    """`flag`, `variable` or `file`."""
    place: str
    """The flag, the variable, or `file:line`: what an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A configuration file as parsed."""

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]

    def place(self, key: tuple[str, ...]) -> str:
        """`file:line` of a key."""
        line = line_of(self.lines, key)
        return f"{self.path}:{line}" if line is not None else str(self.path)


def config_file(flag: Path | None, environ: Mapping[str, str], default: Path = DEFAULT_FILE) -> ConfigFile | None:
    """The configuration file that holds: `--config`, else HOMEBRED_CONFIG, else the default where it exists.

    Raises:
        ConfigurationError: it cannot be read, or is not TOML.
    """
    named = flag or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    if named is None and not default.exists():
        return None
    path = named or default
    text = read_text(path, hint="correct the path, or leave out --config and HOMEBRED_CONFIG to run on the defaults")
    return ConfigFile(path=path, values=parse_toml(path, text), lines=key_lines(text))


def read_text(path: Path, *, hint: str) -> str:
    """A UTF-8 file's text.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error.reason}", hint="save the file as UTF-8") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", hint=hint) from error


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """A TOML file's values.

    Raises:
        ConfigurationError: it is not TOML; tomllib's message names line and column.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is no TOMLDecodeError
        raise ConfigurationError(f"{path} is not valid TOML: {error}", hint="correct the file at that line") from error


def variables(environ: Mapping[str, str]) -> Iterator[Given]:
    """What `HOMEBRED_SECTION__KEY` variables give; an empty variable gives nothing."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in NO_SETTINGS and not _is_controllers(name) and environ[name]:
            key = tuple(name.removeprefix(PREFIX).lower().split(DELIMITER))
            yield Given(key=key, value=environ[name], kind="variable", place=name)


def _is_controllers(name: str) -> bool:
    """Whether a variable is for `homebred-fleet`, on a machine that has both."""
    return name.startswith(CONTROLLER_PREFIX) and not name.startswith(f"{PREFIX}FLEET{DELIMITER}")


def variable_of(key: Key) -> str:
    """The variable that sets a key."""
    return PREFIX + DELIMITER.join(key).upper()


def client_socket(
    socket_flag: Path | None, config_flag: Path | None, environ: Mapping[str, str], default: Path = DEFAULT_FILE
) -> Path:
    """Where the daemon listens: --socket, else HOMEBRED_SOCKET as for every client, else as the daemon itself finds it.

    Raises:
        ConfigurationError: the configuration file is needed for it and cannot be read.
    """
    given = socket_flag or environ.get(SOCKET_VARIABLE) or environ.get(variable_of(("paths", "socket")))
    if given:
        return Path(given)
    file = config_file(config_flag, environ, default)
    section = file.values.get("paths") if file is not None else None
    paths = section if isinstance(section, dict) else {}
    if "socket" in paths:
        return Path(str(paths["socket"]))
    runtime_dir = environ.get(variable_of(("paths", "runtime_dir"))) or paths.get("runtime_dir") or DEFAULT_RUNTIME_DIR
    return Path(str(runtime_dir)) / SOCKET_NAME
