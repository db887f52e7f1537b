"""Seals what waits for a person: AES-256-GCM under a key of the item's own, itself sealed under the device's key.

`cryptography` is loaded at the first use: an idle daemon does without it. What a sealed body says nobody can tell
without the device's key; overwriting an item's sealed key shreds the item for whoever has that key too. It keeps
nothing itself, and cannot tell an altered body from one that was sealed under another key: both are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from homebred_daemon.adapters.durable_files import create_durably
from homebred_daemon.errors import ConfigurationError, StateError

KEY_BYTES = 32
NONCE_BYTES = 12
"""Random for each body (NIST SP 800-38D 8.2.2): good for 2^32 items under one device's key."""
CREDENTIAL = "review-key"
OWN_KEY = "review.key"
_OTHERS = 0o077
_OTHERS_OF_A_CREDENTIAL = 0o007
"""systemd lets a service's user in by an access list, whose mask shows where the group's bits stand."""


class AesGcmSealer:
    """Fulfils `ports.review.Sealer` with one device's key of 32 bytes."""

    def __init__(self, device_key: bytes) -> None:
        self._device_key = device_key

    def new_key(self, route_id: str) -> bytes:
        """A key for one item, sealed."""
        return _encrypt(self._device_key, _bound(route_id, "key"), os.urandom(KEY_BYTES))

    def seal(self, data_key: bytes, route_id: str, part: str, body: bytes) -> bytes:
        """The body as it may be stored. Raises StateError where the key cannot be opened."""
        return _encrypt(self._opened_key(data_key, route_id), _bound(route_id, part), body)

    def open(self, data_key: bytes, route_id: str, part: str, sealed: bytes) -> bytes:
        """The body again. Raises StateError where it was altered, moved, or sealed under another key."""
        return _decrypt(self._opened_key(data_key, route_id), _bound(route_id, part), sealed, route_id)

    def mark(self, data_key: bytes, route_id: str, body: bytes) -> str:
        """HMAC-SHA-256 of the body under a key derived from the item's own. Raises StateError as `seal`."""
        mark_key = hmac.digest(self._opened_key(data_key, route_id), _bound(route_id, "mark"), hashlib.sha256)
        return hmac.digest(mark_key, body, hashlib.sha256).hex()

    def _opened_key(self, data_key: bytes, route_id: str) -> bytes:
        return _decrypt(self._device_key, _bound(route_id, "key"), data_key, route_id)


def device_key(configured: Path | None, state_dir: Path, environ: Mapping[str, str]) -> bytes:
    """The key of this device: the configured file's, else the systemd credential's, else one made once in state_dir.

    Raises:
        ConfigurationError: the configured file is not there.
        StateError: a key cannot be read, others can read it, or it is none.
    """
    if configured is not None:
        return _read(configured, hidden_from=_OTHERS)
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", "")) / CREDENTIAL
    if credential.is_absolute() and credential.exists():
        return _read(credential, hidden_from=_OTHERS_OF_A_CREDENTIAL)
    own = state_dir / OWN_KEY
    if not own.exists():
        try:
            create_durably(own, os.urandom(KEY_BYTES))
        except OSError as error:
            raise StateError(f"the key {own} cannot be made: {error.strerror}") from error
    return _read(own, hidden_from=_OTHERS)


def _read(path: Path, *, hidden_from: int) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read(KEY_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no key at {path}",
            hint=f"make one: (umask 077; head -c {KEY_BYTES} /dev/urandom > {path}), or unset review.key_file",
        ) from None
    except OSError as error:
        raise StateError(
            f"the key {path} cannot be read: {error.strerror}", hint="make the daemon's own user its owner, mode 0600"
        ) from error
    if mode & hidden_from:
        raise StateError(
            f"others than its owner may use the key {path} (mode {mode:04o})",
            hint=f"chmod 0600 {path}; if somebody may have copied it, let the queue run empty and then replace it",
        )
    if len(key) != KEY_BYTES:
        raise StateError(
            f"the key {path} is not {KEY_BYTES} bytes long",
            hint="restore it from a copy; with another key nothing that waits for a person can be opened",
        )
    return key


def _bound(route_id: str, part: str) -> bytes:
    """What a sealed body is bound to: it opens in no other item's place, and in no other place of its own item."""
    return f"homebred review 1\0{part}\0{route_id}".encode()


def _encrypt(key: bytes, bound: bytes, body: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # some megabytes

    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, body, bound)


def _decrypt(key: bytes, bound: bytes, sealed: bytes, route_id: str) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise StateError(
            f"the content of review {route_id} cannot be opened: it was altered, or sealed under another key",
            hint="restore the key that the daemon had when it was filed; else it ends when its retention is over",
        ) from None
