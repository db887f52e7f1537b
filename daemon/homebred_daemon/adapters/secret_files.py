"""Reads a secret from a file or a systemd credential that nobody else may read. It never tells what stands in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from homebred_daemon.errors import ConfigurationError

MAX_SECRET_BYTES = 4096
_OTHERS = 0o077
_OTHERS_OF_A_CREDENTIAL = 0o007
"""systemd lets a service's user in by an access list, whose mask shows where the group's bits stand."""


def read_secret(
    what: str, *, credential: str, file: Path | None, environ: Mapping[str, str], file_setting: str = "key_file"
) -> str:
    """The secret in the file, else in the systemd credential of that name; empty where neither is configured.

    Args:
        what: the secret in a sentence's words: `the key of cloud/default`.
        credential: its systemd credential's name; empty: none.
        file: wins over the credential; None: there is none.
        environ: tells where systemd has put credentials.
        file_setting: the setting that names such a file, for the hint.

    Raises:
        ConfigurationError: it is not there, cannot be read, or others can read it.
    """
    if file is not None:
        return _read(what, file, hidden_from=_OTHERS)
    if not credential:
        return ""
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise ConfigurationError(
            f"there is no credential {credential}, {what}: systemd passes none",
            hint=f"add LoadCredentialEncrypted={credential} to the service, or set {file_setting}",
        )
    return _read(what, Path(folder) / credential, hidden_from=_OTHERS_OF_A_CREDENTIAL)


def _read(what: str, path: Path, *, hidden_from: int) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            secret = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{what} cannot be read from {path}: {error.strerror}",
            hint="write it there, owned by the daemon's user, mode 0600",
        ) from None
    if mode & hidden_from:
        raise ConfigurationError(
            f"others than its owner may read {path}, {what} (mode {mode:04o})",
            hint=f"chmod 0600 {path}; if somebody may have copied it, replace it by a new one",
        )
    text = secret.decode("ascii", errors="replace").strip()
    if not text or len(secret) > MAX_SECRET_BYTES:
        raise ConfigurationError(f"{path} does not hold {what}", hint="write it alone into the file")
    return text
