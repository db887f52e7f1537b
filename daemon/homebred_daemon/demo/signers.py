"""The demo's people who sign: a key ceremony, two repositories, and what is signed and published from day to day.

One person holds all keys here, which is less than a fleet should do (docs/signing.md); the commands are the same. It
assigns nothing, and shows nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

FAMILY = "kiosk"
Ask = Callable[..., Any]
"""What a command of `homebred-fleet` answers. Raises HomebredError."""


class Signers:
    """Two repositories in a folder, signed and published."""

    def __init__(self, folder: Path, ask: Ask) -> None:
        """Makes keys and repositories. Raises HomebredError."""
        folder.mkdir()
        self._ask = ask
        self._folder = folder
        self._passphrase = folder / "passphrase"
        self._passphrase.write_text(secrets.token_urlsafe(24), encoding="ascii")
        self._passphrase.chmod(0o600)
        self.image, self.director, self.online_key = folder / "image", folder / "director", folder / "online.key"
        self._begin()

    @property
    def settings(self) -> dict[str, str]:
        """What the controller is told of them, as variables."""
        return {
            "HOMEBRED_FLEET_RELEASES__IMAGE": str(self.image),
            "HOMEBRED_FLEET_RELEASES__DIRECTOR": str(self.director),
            "HOMEBRED_FLEET_RELEASES__ONLINE_KEY": str(self.online_key),
        }

    def publish(self, path: str, file: Path) -> None:
        """Has a target signed and published. Raises HomebredError."""
        self._ask("repository", "add", str(self.image), str(file), "--path", path)
        self._sign(self.image, "anna")

    def _begin(self) -> None:
        anna, director = self._key("anna", "image"), self._key("anna-director", "director")
        self._ask("keys", "make", "controller", "--for", "online", "--unlocked", "-o", str(self.online_key))
        whole = ("--root", anna, "--threshold", "1", "--targets", anna, "--snapshot", anna, "--timestamp", anna)
        self._ask("repository", "init", str(self.image), *whole)
        self._ask("repository", "delegate", str(self.image), "--family", FAMILY, "--key", anna)
        self._ask("repository", "delegate", str(self.image), "--policies", "--key", anna)
        self._sign(self.image, "anna")
        online = ("--online", f"{self.online_key}.pub")
        self._ask("director", "init", str(self.director), "--root", director, "--threshold", "1", *online)
        self._sign(self.director, "anna-director")

    def _key(self, name: str, purpose: str) -> str:
        """Makes a key; the file of its public half."""
        place = self._folder / f"{name}.key"
        words = ("-o", str(place), "--passphrase-file", str(self._passphrase))
        self._ask("keys", "make", name, "--for", purpose, *words)
        return f"{place}.pub"

    def _sign(self, repository: Path, name: str) -> None:
        key = ("--key", str(self._folder / f"{name}.key"), "--passphrase-file", str(self._passphrase))
        self._ask("repository", "sign", str(repository), *key)
        self._ask("repository", "publish", str(repository))
