"""One cloud endpoint as this device is configured to reach it, and the key that it is reached with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homebred_daemon.adapters.cloud.registry import WIRE_FORMATS
from homebred_daemon.adapters.cloud.tls import PIN
from homebred_daemon.adapters.secret_files import read_secret
from homebred_daemon.core.endpoint_urls import checked_base_url
from homebred_daemon.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one model is. Raises ConfigurationError for what cannot be used."""

    alias: str
    """As policies name it: `cloud/default`."""
    base_url: str
    """Up to and with the API's version: `https://api.example.com/v1`."""
    wire_format: str
    """A name of the registry's."""
    model: str
    """The provider's name for it."""
    key: str = field(default="", repr=False)
    """Empty: none is sent."""
    pin: str = ""
    """`sha256:` of its public key; empty: any that an authority vouches for."""
    ca_file: Path | None = None
    """Authorities that count; None: the system's."""
    price_per_1k_tokens: float = 0.0
    """Of input and output alike, in the site's currency."""

    def __post_init__(self) -> None:
        try:
            checked_base_url(self.base_url)
        except ValueError as error:
            raise ConfigurationError(
                f"the base_url of {self.alias} is {error}", hint="write https://HOST/v1; http only for this device"
            ) from None
        if self.wire_format not in WIRE_FORMATS:
            raise ConfigurationError(
                f"{self.alias} has an unknown wire_format", hint=f"write one of: {', '.join(WIRE_FORMATS)}"
            )
        if self.pin and not re.fullmatch(PIN, self.pin):
            raise ConfigurationError(f"the pin of {self.alias} is none", hint="write sha256: and 64 hexadecimal digits")
        if not re.fullmatch("[!-~]*", self.key):  # anything else would be told in the error of whoever sends it
            raise ConfigurationError(
                f"the key of {self.alias} is not one line of ASCII", hint="write the key alone into its file"
            )

    @property
    def url(self) -> str:
        """Where requests go."""
        return checked_base_url(self.base_url) + WIRE_FORMATS[self.wire_format].path


def endpoint_key(alias: str, *, credential: str, file: Path | None, environ: Mapping[str, str]) -> str:
    """The key in the file, else in the systemd credential of that name; empty where neither is configured.

    Raises:
        ConfigurationError: it is not there, cannot be read, or others can read it.
    """
    return read_secret(f"the key of {alias}", credential=credential, file=file, environ=environ)
