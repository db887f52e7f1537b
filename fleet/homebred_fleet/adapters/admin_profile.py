"""How an admin reaches a controller: `admin.toml`, which `homebred-fleet init` writes beside the first admin's key.

    url = "https://fleet.example:8443"
    authorities = "authorities.pem"
    certificate = "admin.pem"
    key = "admin-key.pem"

Paths are relative to the file. It reads no key: that is the connection's work.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from homebred_fleet.errors import ConfigurationError

VARIABLE: Final = "HOMEBRED_FLEET_PROFILE"
NAME: Final = "admin.toml"
PLACES: Final = (Path(NAME), Path("/etc/homebred-fleet") / NAME)
"""Where it is looked for, unless it is named."""
MAX_BYTES: Final = 65_536
_FILES: Final = ("authorities", "certificate", "key")
_MADE_BY: Final = "`homebred-fleet init` writes one; name it with --profile or HOMEBRED_FLEET_PROFILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A controller, and who one is to it."""

    url: str
    """`https://host:port`"""
    authorities: Path
    """Whom the controller's certificate must come from."""
    certificate: Path
    key: Path

    @property
    def host(self) -> str:
        """Whom to call."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """On which port."""
        return urlsplit(self.url).port or 443


def find_profile(named: Path | None, environment: Mapping[str, str]) -> Profile:
    """The profile of a flag, else of the variable, else of the first place that has one.

    Raises:
        ConfigurationError: there is none, or it is wrong.
    """
    if named is not None:
        return read_profile(named)
    if environment.get(VARIABLE):
        return read_profile(Path(environment[VARIABLE]))
    for place in PLACES:
        if place.exists():
            return read_profile(place)
    places = " and ".join(str(place) for place in PLACES)
    raise ConfigurationError(f"there is no admin's profile: looked at {places}", hint=_MADE_BY)


def read_profile(path: Path) -> Profile:
    """The profile in a file.

    Raises:
        ConfigurationError: it cannot be read, or is wrong; with every complaint.
    """
    document = _document(path)
    problems = [f"{key} is not a known key" for key in document if key not in {"url", *_FILES}]
    texts = {key: document.get(key) for key in ("url", *_FILES)}
    problems += [f"{key} is missing or no text" for key, value in texts.items() if not isinstance(value, str)]
    url = str(texts["url"])
    if isinstance(texts["url"], str) and not _is_address(url):
        problems.append(f"url is {url!r}, not https://HOST:PORT")
    if problems:
        raise ConfigurationError(f"{path}: {'; '.join(problems)}", hint=_MADE_BY)
    files = {key: path.parent / os.fspath(str(texts[key])) for key in _FILES}
    return Profile(url=url, **files)


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8")
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", hint=_MADE_BY) from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}", hint=_MADE_BY) from error


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    return parts.scheme == "https" and bool(parts.hostname) and is_plain and port != 0
