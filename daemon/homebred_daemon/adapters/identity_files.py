"""The device's identity as files: generations that never change, and one pointer to the one that holds.

    identity/current                      the name of the generation that holds
    identity/generations/000007/          key.pem  certificate.pem  authorities.pem  identity.json
    identity/pending-enrolment.pem        a key whose certificate is on its way

A generation is written aside, flushed and renamed before the pointer moves, so that a kill or a power cut leaves the
old or the new one, and key and certificate always match. The one before stays until the next, for connections that
still use it. The key is made here and never sent; systemd may pass another, as the credential `fleet-key`, which then
is the device's key for good. It asks nobody for a certificate.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from homebred_daemon.adapters.durable_files import (
    LEFTOVER_PREFIX,
    create_durably,
    flush_folder,
    make_folder,
    replace_alone,
    write_flushed,
    writers_lock,
)
from homebred_daemon.errors import StateError
from homebred_daemon.ports.identity import CertificateFacts, Identity, Issued, Membership, PendingKey
from homebred_protocol.digests import digest_of
from homebred_protocol.ids import is_device_id, is_site
from homebred_protocol.mqtt import Credentials

FOLDER: Final = "identity"
CREDENTIAL: Final = "fleet-key"
SCHEMA: Final = 1
ENROL_AGAIN: Final = "enrol it again with a new token: homebred enroll URL --replace"
_POINTER, _GENERATIONS, _LOCK = "current", "generations", "lock"
_KEY, _CERTIFICATE, _AUTHORITIES, _MEMBERSHIP = "key.pem", "certificate.pem", "authorities.pem", "identity.json"
_NAME = re.compile(r"[0-9]{6}")
_OTHERS = 0o077
_OTHERS_OF_A_CREDENTIAL = 0o007
"""systemd lets a service's user in by an access list, whose mask shows where the group's bits stand."""
_MAX_BYTES = 65_536
_LOCK_WAIT_S = 10.0


class IdentityFiles:
    """Fulfils `ports.identity.IdentityStore`."""

    def __init__(self, state_dir: Path, environ: Mapping[str, str]) -> None:
        self._folder = state_dir / FOLDER
        self._generations = self._folder / _GENERATIONS
        passed = environ.get("CREDENTIALS_DIRECTORY", "")
        credential = Path(passed) / CREDENTIAL if passed else None
        self._credential = credential if credential is not None and credential.exists() else None

    def current(self) -> Identity | None:
        """As the port says."""
        name = self._pointed()
        while name is not None:
            try:
                return self._read_generation(name)
            except StateError:
                before, name = name, self._pointed()
                if name == before:  # else another process took up a newer one, and this one is gone
                    raise
        return None

    def _read_generation(self, name: str) -> Identity:
        folder = self._generations / name
        membership, certificate = self._read_membership(folder / _MEMBERSHIP)
        credentials = Credentials(
            authorities=folder / _AUTHORITIES,
            certificate=folder / _CERTIFICATE,
            key=self._credential or folder / _KEY,
        )
        self._require_private(credentials.key)
        _require_match(credentials, certificate)
        return Identity(generation=name, membership=membership, certificate=certificate, credentials=credentials)

    def pending_key(self, purpose: str) -> PendingKey:
        """As the port says; a key that systemd passes is the device's for every purpose."""
        from homebred_daemon.adapters.device_certificates import new_key, request_for  # noqa: PLC0415  # some megabytes

        path = self._credential or self._folder / f"pending-{purpose}.pem"
        with self._in_our_words("written"):
            if self._credential is None and not path.exists():
                with self._writing():  # whoever takes one up removes what others left aside
                    create_durably(path, new_key())
                    self._hand_over(path)
            self._require_private(path)
            key_pem = path.read_bytes()
        return PendingKey(key_pem=key_pem, path=path, request_der=request_for(key_pem))

    def drop_pending(self, purpose: str) -> None:
        """The next certificate of this purpose is for another key."""
        (self._folder / f"pending-{purpose}.pem").unlink(missing_ok=True)

    def take_up(self, pending: PendingKey, issued: Issued, *, follows: Identity | None = None) -> Identity:
        """As the port says; two processes that do so at once queue."""
        with self._in_our_words("written"), self._writing():
            make_folder(self._generations)
            before = None
            with suppress(StateError):  # a damaged pointer is about to be replaced
                before = self._pointed()
            if follows is not None and before != follows.generation:
                raise StateError(
                    "this device's identity was replaced or forgotten while its certificate was renewed",
                    hint="restart the daemon, so that it takes up what holds now: systemctl restart homebred",
                )
            name = f"{max(map(int, self._names()), default=0) + 1:06d}"
            self._write_generation(name, pending, issued)
            replace_alone(self._folder / _POINTER, f"{name}\n".encode())
            self._hand_over(self._folder / _POINTER)
            if pending.path != self._credential:
                pending.path.unlink(missing_ok=True)
            self._remove_all_but({name, before})
            return self._read_generation(name)

    def forget(self) -> bool:
        """As the port says; the pointer goes first, so that a kill leaves no half identity in force."""
        with self._in_our_words("removed"), self._writing():
            was = (self._folder / _POINTER).exists()
            (self._folder / _POINTER).unlink(missing_ok=True)
            flush_folder(self._folder)
            for pending in self._folder.glob("pending-*.pem"):
                pending.unlink()
            self._remove_all_but(set())
        return was

    def _write_generation(self, name: str, pending: PendingKey, issued: Issued) -> None:
        """The whole generation aside, then under its name."""
        aside = Path(tempfile.mkdtemp(prefix=LEFTOVER_PREFIX, dir=self._generations))  # mode 0700
        files = {
            _CERTIFICATE: issued.certificates_pem,
            _AUTHORITIES: issued.authorities_pem,
            _MEMBERSHIP: _record(issued).encode(),
        }
        if pending.path != self._credential:
            files[_KEY] = pending.key_pem
        for file, body in files.items():
            (aside / file).touch(mode=0o600)
            write_flushed(aside / file, body)
            self._hand_over(aside / file)
        self._hand_over(aside)
        flush_folder(aside)
        aside.rename(self._generations / name)
        flush_folder(self._generations)

    def _pointed(self) -> str | None:
        """The name of the generation that holds. Raises StateError where the pointer is no name."""
        try:
            text = _read(self._folder / _POINTER)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure("read", error) from error
        except ValueError:
            text = b""
        name = text.decode("ascii", errors="replace").strip()
        if not _NAME.fullmatch(name):
            raise StateError(f"{self._folder / _POINTER} names no generation of the identity", hint=ENROL_AGAIN)
        return name

    def _names(self) -> list[str]:
        return [entry.name for entry in self._generations.iterdir() if _NAME.fullmatch(entry.name)]

    def _remove_all_but(self, kept: set[str | None]) -> None:
        if not self._generations.is_dir():
            return
        for entry in self._generations.iterdir():
            if entry.name not in kept:
                shutil.rmtree(entry)
        flush_folder(self._generations)

    def _read_membership(self, path: Path) -> tuple[Membership, CertificateFacts]:
        try:
            return _from_record(json.loads(_read(path)))
        except OSError as error:
            raise self._failure("read", error) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StateError(f"{path} is not what an enrolment writes", hint=ENROL_AGAIN) from error

    def _require_private(self, key: Path) -> None:
        """Raises StateError where others could have read the key, or it is no plain file."""
        is_credential = key == self._credential
        try:
            found = key.stat() if is_credential else key.lstat()
        except OSError as error:
            raise self._failure("read", error) from error
        if not stat.S_ISREG(found.st_mode):
            raise StateError(f"the device's key {key} is no file", hint=ENROL_AGAIN)
        if stat.S_IMODE(found.st_mode) & (_OTHERS_OF_A_CREDENTIAL if is_credential else _OTHERS):
            raise StateError(
                f"others than its owner may read {key}, the device's key (mode {stat.S_IMODE(found.st_mode):04o})",
                hint=f"chmod 0600 {key}; if somebody may have copied it, {ENROL_AGAIN}, and have the old one revoked",
            )

    def _hand_over(self, path: Path) -> None:
        """What root makes belongs to whoever owns the state folder: the daemon's own user must be able to use it."""
        if os.geteuid() != 0:
            return
        owner = self._folder.parent.stat()
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        finally:
            os.close(descriptor)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        make_folder(self._folder)
        lock = self._folder / _LOCK
        with writers_lock(lock, wait_s=_LOCK_WAIT_S) as is_mine:
            if not is_mine:
                raise StateError(
                    f"another program is changing the identity in {self._folder}", hint="wait for it, then try again"
                )
            self._hand_over(lock)
            yield

    @contextmanager
    def _in_our_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(what, error) from error

    def _failure(self, what: str, error: OSError) -> StateError:
        return StateError(
            f"the device's identity in {self._folder} could not be {what}: {error.strerror}",
            hint="run as root or as the daemon's user, with room on the disk; the identity is as it was",
        )


def _require_match(credentials: Credentials, certificate: CertificateFacts) -> None:
    """Raises StateError where the files of a generation do not belong together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(credentials.authorities)
        context.load_cert_chain(credentials.certificate, credentials.key, password=lambda: b"")
        first = _read(credentials.certificate).decode("ascii").partition("-----END CERTIFICATE-----")
        der = ssl.PEM_cert_to_DER_cert(first[0] + first[1])
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = "key and certificate do not belong together" if "MISMATCH" in str(error) else str(error)
        what = f"the identity in {credentials.certificate.parent} cannot be used: {reason}"
        raise StateError(what, hint=ENROL_AGAIN) from error
    if digest_of(der) != certificate.digest:
        raise StateError(f"{credentials.certificate} is not the certificate that was taken up", hint=ENROL_AGAIN)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        body = file.read(_MAX_BYTES + 1)
    if len(body) > _MAX_BYTES:
        raise ValueError(f"{path} is larger than {_MAX_BYTES} bytes")
    return body


def _record(issued: Issued) -> str:
    membership = asdict(issued.membership) | {"labels": dict(issued.membership.labels)}
    return json.dumps({"schema": SCHEMA, **membership, "certificate": asdict(issued.facts)}, indent=1) + "\n"


def _from_record(record: dict[str, Any]) -> tuple[Membership, CertificateFacts]:
    """Raises ValueError, KeyError, TypeError where it is none."""
    if record.pop("schema") != SCHEMA:
        raise ValueError("another schema")
    certificate = CertificateFacts(**record.pop("certificate"))
    membership = Membership(**record)
    if not is_device_id(membership.device_id) or not is_site(membership.site):
        raise ValueError("no device's")
    return membership, certificate
