"""Loads the daemon's settings: one frozen object, checked whole before anything starts.

Precedence: flags, then `HOMEBRED_SECTION__KEY` variables, then the TOML file, then the defaults. Every problem is
reported at once, with the file and line, variable or flag it came from. Nothing here reads a process's globals, and
nothing here looks at whether a folder exists: that is `homebred doctor`'s work.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource
from typing_extensions import override

from homebred_daemon import config_sources
from homebred_daemon.config_sources import DEFAULT_FILE, FLAGS, ConfigFile, Given, Key, variable_of
from homebred_daemon.errors import ConfigurationError
from homebred_daemon.settings import GatewaySettings, Settings, expected, field_within, known_keys

__all__ = ["Loaded", "Origin", "Settings", "load", "load_with_origins"]

MAX_SOCKET_PATH_BYTES = 107  # sun_path of unix(7), less its closing zero
MAX_SHOWN_CHARACTERS = 60
TOKEN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an effective value came from."""

    kind: str
    """`default`, `file`, `variable` or `flag`."""
    place: str = ""
    """`file:line`, the variable or the flag; empty: a default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings with where each came from."""

    settings: Settings
    origins: Mapping[str, Origin]
    """By dotted name, such as `engine.threads`; every setting is there."""
    file: Path | None
    """The configuration file that was read; None: there is none."""


def load(
    config_file: Path | None, flags: Mapping[str, str], environ: Mapping[str, str], default_file: Path = DEFAULT_FILE
) -> Settings:
    """The settings that hold; arguments and errors as `load_with_origins`."""
    return load_with_origins(config_file, flags, environ, default_file).settings


def load_with_origins(
    config_file: Path | None, flags: Mapping[str, str], environ: Mapping[str, str], default_file: Path = DEFAULT_FILE
) -> Loaded:
    """The settings that hold, and where each came from.

    Args:
        config_file: what `--config` names; None: HOMEBRED_CONFIG, else the default file where it exists.
        flags: the flags given, each a key of `config_sources.FLAGS`, with their text.
        environ: the process's environment.
        default_file: stands for /etc/homebred/homebred.toml.

    Raises:
        ConfigurationError: with every problem found.
    """
    return _Loading(config_file, flags, environ, default_file).loaded()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """One thing that is wrong: where, what, and what to write instead."""

    place: str
    what: str
    hint: str


class _Layer(PydanticBaseSettingsSource):
    """One source's values, which pydantic-settings merges with the others' by precedence."""

    def __init__(self, given: Mapping[Key, Given]) -> None:
        super().__init__(Settings)
        self._sections: dict[str, dict[str, Any]] = {}
        for (section, name), one in given.items():
            self._sections.setdefault(section, {})[name] = one.value

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One section's values."""
        del field
        return self._sections.get(field_name), field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        """All sections' values."""
        return self._sections


class _Loading:
    """One reading of all sources."""

    def __init__(
        self, config_file: Path | None, flags: Mapping[str, str], environ: Mapping[str, str], default_file: Path
    ) -> None:
        self._known = known_keys()
        self._problems: list[_Problem] = []
        self._file = config_sources.config_file(config_file, environ, default_file)
        flagged = (Given(key=FLAGS[name], value=text, kind="flag", place=name) for name, text in flags.items())
        self._layers = (
            self._typed(flagged),
            self._typed(config_sources.variables(environ)),
            {one.key: one for one in self._filed()},
        )
        self._given = ChainMap(*self._layers)

    def loaded(self) -> Loaded:
        """All of it, or every problem."""
        settings = self._validated()
        if settings is None or self._problems:
            raise _error(self._problems)
        return Loaded(
            settings=settings,
            origins={".".join(key): self._origin(key) for key in self._known},
            file=self._file.path if self._file is not None else None,
        )

    def _typed(self, given: Iterable[Given]) -> dict[Key, Given]:
        """Text read as the setting's type, so that the strict check of the whole accepts it."""
        typed = {}
        for one in given:
            field = self._known.get(one.key)
            if field is None:
                self._problems.append(_unknown(one.place, one.place, map(variable_of, self._known), "variable"))
                continue
            try:
                value = TypeAdapter(field.rebuild_annotation()).validate_strings(one.value)
            except ValidationError:
                self._problems.append(_wrong(one, field))
            else:
                typed[one.key] = replace(one, value=value)
        return typed

    def _filed(self) -> Iterator[Given]:
        """The file's values for known settings, still unchecked; what is not one is a problem."""
        if self._file is None:
            return
        sections = dict.fromkeys(section for section, _ in self._known)
        for section, table in self._file.values.items():
            place = self._file.place((section,))
            if section not in sections:
                self._problems.append(_unknown(place, section, sections, "key"))
            elif not isinstance(table, dict):
                self._problems.append(_Problem(place=place, what=f"{section} is no table", hint=f"write [{section}]"))
            else:
                yield from self._filed_section(self._file, section, table)

    def _filed_section(self, file: ConfigFile, section: str, table: Mapping[str, Any]) -> Iterator[Given]:
        names = [name for known_section, name in self._known if known_section == section]
        for name, value in table.items():
            place = file.place((section, name))
            if name in names:
                yield Given(key=(section, name), value=value, kind="file", place=place)
            else:
                self._problems.append(_unknown(place, name, names, f"key of [{section}]"))

    def _validated(self) -> Settings | None:
        sources: tuple[tuple[_Layer, ...], dict[str, Any]] = (tuple(map(_Layer, self._layers)), {})
        try:
            settings = Settings(_build_sources=sources)  # type: ignore[call-arg]  # hidden by pydantic's plugin-free __init__
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=False):
                key, path = tuple(map(str, detail["loc"][:2])), tuple(map(str, detail["loc"][2:]))
                if path and self._file is not None:
                    self._problems.append(_wrong_within(self._file, key, path, detail, self._known[key]))
                elif key in self._given:  # else it is a default that hangs on a value complained of anyway
                    self._problems.append(_wrong(self._given[key], self._known[key]))
            return None
        self._problems += _contradictions(settings, self._origin)
        return settings

    def _origin(self, key: Key) -> Origin:
        given = self._given.get(key)
        return Origin(kind="default") if given is None else Origin(kind=given.kind, place=given.place)


def _wrong(given: Given, field: FieldInfo) -> _Problem:
    """A value that is not what its setting takes."""
    shown = "secret" if field.annotation is SecretStr else _shown(given.value)
    name = f"{given.key[1]} " if given.kind == "file" else ""
    return _Problem(place=given.place, what=f"{name}is {shown}", hint=f"write {expected(field)}")


def _wrong_within(
    file: ConfigFile, key: Key, path: tuple[str, ...], detail: Mapping[str, object], outer: FieldInfo
) -> _Problem:
    """The same in one of a setting's own tables."""
    place, name, field = file.place((*key, *path)), path[-1], field_within(outer, path)
    match detail["type"]:
        case "missing" if field is not None:
            return _Problem(place=place, what=f"{name} is not there", hint=f"write {expected(field)}")
        case "extra_forbidden":
            table = ".".join((*key, *path[:-1]))
            return _Problem(place=place, what=f"{name} is not a known key of [{table}]", hint="remove it")
    hint = f"write {expected(field)}" if field is not None else "write a table"
    return _Problem(place=place, what=f"{name} is {_shown(detail['input'])}", hint=hint)


def _shown(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else shown[:MAX_SHOWN_CHARACTERS] + "…"


def _unknown(place: str, name: str, known: Iterable[str], kind: str) -> _Problem:
    """A key, section or variable that nobody reads."""
    names = list(known)
    meant = difflib.get_close_matches(name, names, n=1)
    hint = f"write {meant[0]} if that was meant, or remove it" if meant else f"remove it; known: {', '.join(names)}"
    subject = "" if name == place else f"{name} "
    return _Problem(place=place, what=f"{subject}is not a known {kind}", hint=hint)


def _contradictions(settings: Settings, origin: Callable[[Key], Origin]) -> Iterator[_Problem]:
    """Values that are each allowed and cannot hold together."""
    paths, policy = settings.paths, settings.policy

    def at(*keys: Key) -> str:
        named = (f"{'.'.join(key)} ({origin(key).place or 'by default'})" for key in keys)
        return " and ".join(named)

    sockets = {
        ("paths", "socket"): paths.socket,
        ("metrics", "socket"): settings.metrics.socket,
        ("tracing", "socket"): settings.tracing.socket,
    }
    for key, path in sockets.items():
        if path is not None and len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            yield _Problem(
                place=at(key),
                what=f"is {len(os.fsencode(path))} bytes long; Unix sockets allow {MAX_SOCKET_PATH_BYTES}",
                hint=f"write a shorter path for {'.'.join(key)} or paths.runtime_dir",
            )
    yield from _contradicting_places(settings, at)
    if paths.state_dir.is_relative_to(paths.runtime_dir):
        yield _Problem(
            place=at(("paths", "state_dir"), ("paths", "runtime_dir")),
            what=f"{paths.state_dir} lies in {paths.runtime_dir}, which every boot empties",
            hint="write a state_dir outside of runtime_dir, such as /var/lib/homebred",
        )
    if policy.file is not None and policy.file == policy.site_ceiling_file:
        yield _Problem(
            place=at(("policy", "file"), ("policy", "site_ceiling_file")),
            what="name the same file",
            hint="write the ceiling into a file of its own; it has other keys than a policy",
        )
    if settings.engine.slots > settings.requests.max_streams:
        yield _Problem(
            place=at(("engine", "slots"), ("requests", "max_streams")),
            what=f"{settings.engine.slots} slots can never be used by {settings.requests.max_streams} streams",
            hint="write slots no greater than max_streams",
        )
    yield from _gateway_contradictions(settings.gateway, at)


def _contradicting_places(settings: Settings, at: Callable[..., str]) -> Iterator[_Problem]:
    """The same of where figures and traces go."""
    if settings.metrics.socket == settings.paths.socket:
        yield _Problem(
            place=at(("paths", "socket"), ("metrics", "socket")),
            what="name the same socket",
            hint="write another path for metrics.socket",
        )
    if settings.metrics.socket is not None and settings.metrics.port:
        yield _Problem(
            place=at(("metrics", "socket"), ("metrics", "port")),
            what="are both set, and figures are shown at one place",
            hint="remove one of them; a socket can be kept from other users, a port cannot",
        )
    if settings.tracing.socket is not None and settings.tracing.port:
        yield _Problem(
            place=at(("tracing", "socket"), ("tracing", "port")),
            what="are both set, and traces go to one place",
            hint="remove one of them",
        )
    if settings.metrics.group and settings.metrics.socket is None:
        yield _Problem(
            place=at(("metrics", "group"), ("metrics", "socket")),
            what="name a group and no socket that it may read",
            hint="write a path for metrics.socket, or remove metrics.group",
        )


def _gateway_contradictions(gateway: GatewaySettings, at: Callable[..., str]) -> Iterator[_Problem]:
    if gateway.enabled and not gateway.tokens:
        yield _Problem(
            place=at(("gateway", "enabled")),
            what="opens a gateway that nobody may use",
            hint='write a table such as [gateway.tokens.desk] with file = "/etc/homebred/desk.token"',
        )
    for name in gateway.tokens:
        if not TOKEN_NAME.fullmatch(name):
            yield _Problem(
                place=at(("gateway", "tokens")),
                what=f"names a caller {_shown(name)}",
                hint="write 1 to 64 of A-Z a-z 0-9 _ . -",
            )


def _error(problems: list[_Problem]) -> ConfigurationError:
    if len(problems) == 1:
        (only,) = problems
        return ConfigurationError(f"{only.place}: {only.what}", hint=only.hint)
    lines = [f"{len(problems)} settings are wrong", *(f"{one.place}: {one.what}; {one.hint}" for one in problems)]
    return ConfigurationError("\n  ".join(lines), hint="correct each of them and start again")
