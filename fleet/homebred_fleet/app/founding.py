"""`homebred-fleet init`: makes the folder of a new controller, or completes one. It never overwrites anything.

Each thing is made once, in an order in which a kill leaves something that the next run completes: settings first, so
that the next run goes by them; a key before its certificate. What cannot be completed (a certificate whose key is gone)
is refused by name.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.certificate_authority import (
    CertificateAuthority,
    fingerprint_of_file,
    make_issuing,
    make_root,
    read_issuer,
    read_key,
)
from homebred_fleet.adapters.durable_files import PUBLIC, SECRET, create, make_folder, replace
from homebred_fleet.adapters.fleet_folder import FleetFolder, KeyPair
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.identities import add_admin, has_admins
from homebred_fleet.config import load
from homebred_fleet.core.admins import ROLES, Admin
from homebred_fleet.core.broker_access import access_file
from homebred_fleet.core.broker_settings import BrokerFiles, configuration
from homebred_fleet.errors import ConfigurationError, StateError
from homebred_fleet.ports.authority import Issued
from homebred_fleet.settings import Settings
from homebred_fleet.settings_file import settings_text
from homebred_protocol.ids import is_device_id

BROKER_USER = "mosquitto"
"""Debian's."""
ENTERED_BY_ALL = 0o711
"""The broker's user goes through the folder to its own, and sees nothing on its way."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What somebody who founds a fleet says; a folder that has settings keeps its own."""

    hosts: tuple[str, ...] = ()
    """Names and addresses by which devices reach controller and broker; empty: this machine alone."""
    http_port: int = 8443
    broker_port: int = 8883
    admin: str = "admin"
    """Name of the first admin."""
    broker_user: str = ""
    """User that mosquitto becomes; empty: as `broker_user` finds."""

    def values(self) -> dict[str, dict[str, Any]]:
        """As settings, by section and name."""
        listen = "0.0.0.0" if self.hosts else "127.0.0.1"  # noqa: S104  # devices come from elsewhere
        broker = {"port": self.broker_port, "listen": listen, "user": broker_user(self.broker_user)}
        return {
            "http": {"listen": listen, "port": self.http_port},
            "broker": broker | {"public_host": self.hosts[0] if self.hosts else "localhost"},
            "identity": {"names": tuple(dict.fromkeys((*self.hosts, *LOOPBACK)))},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """What there is now."""

    root_fingerprint: str
    settings: Settings
    made: tuple[Path, ...]
    """Files that were not there before; empty: all was."""


def found(folder: FleetFolder, plan: Plan, now_s: int) -> Founded:
    """Makes what is missing.

    Raises:
        ConfigurationError: what is asked for, or the settings that are there, cannot be used.
        StateError: what is there does not fit together, or the folder cannot be written.
        StoreError: the database cannot be used.
    """
    if not is_admin_name(plan.admin):
        raise ConfigurationError(
            f"{plan.admin!r} is no admin's name", hint="use lower-case letters, digits and dashes, at most 63"
        )
    try:
        make_folder(folder.path, mode=ENTERED_BY_ALL)
        made = []
        if create(folder.settings, settings_text(plan.values()).encode(), mode=PUBLIC):
            made.append(folder.settings)
        settings = load(folder.settings, {}, {})
        founding = _Founding(folder, settings, plan.admin, now_s)
        fingerprint = founding.run()
    except OSError as error:
        raise StateError(f"{error.filename or folder.path} cannot be written: {error.strerror}") from error
    return Founded(root_fingerprint=fingerprint, settings=settings, made=(*made, *founding.made))


def is_admin_name(name: str) -> bool:
    """Whether an admin may be called so: as a device may, so that a file and a common name can be called after it."""
    return is_device_id(name)


class _Founding:
    """One run of `init`, once there are settings."""

    def __init__(self, folder: FleetFolder, settings: Settings, admin: str, now_s: int) -> None:
        self._folder = folder
        self._settings = settings
        self._admin = admin
        self._now_s = now_s
        self.made: list[Path] = []

    def run(self) -> str:
        """Makes what is missing; the root's fingerprint."""
        self._folders()
        self._authority()
        authority = CertificateAuthority.opened(self._folder)
        self._leaves(authority)
        self._broker(authority)
        self._first_admin()
        return authority.root_fingerprint

    def _folders(self) -> None:
        folder = self._folder
        for one in (folder.authority, self._settings.paths.state_dir, folder.controller.key.parent, folder.admins):
            make_folder(one)
        for one in (folder.broker, folder.broker_data):
            make_folder(one)

    def _authority(self) -> None:
        if self._folder.issuing_numbers() and not self._folder.root_numbers():
            raise StateError(
                f"{self._folder.authority} has an issuer and no root: devices know the fleet by its root",
                hint=f"bring {self._folder.root(1).certificate} back; its key may stay offline",
            )
        if not self._folder.root_numbers():
            self._new_pair(self._folder.root(1), lambda: make_root(self._now_s))
        if not self._folder.issuing_numbers():
            root = read_issuer(self._folder.root(self._folder.root_numbers()[-1]))
            self._new_pair(self._folder.issuing(1), lambda: make_issuing(root, 1, self._now_s))

    def _new_pair(self, pair: KeyPair, make: Callable[[], tuple[making.Key, x509.Certificate]]) -> None:
        """An authority's: a key without its certificate has signed nothing yet, and is made anew."""
        key, certificate = make()
        pair.key.unlink(missing_ok=True)
        self._create(pair.key, making.key_pem(key), SECRET)
        self._create(pair.certificate, making.pem_of(certificate), PUBLIC)

    def _leaves(self, authority: CertificateAuthority) -> None:
        folder, names, now_s = self._folder, self._settings.identity.names, self._now_s

        def server(key: ec.EllipticCurvePublicKey) -> Issued:
            return authority.issue_to_server(names, key, now_s=now_s)

        self._leaf(folder.https_server, server, authority)
        self._leaf(folder.broker_server, server, authority)
        self._leaf(folder.controller, lambda key: authority.issue_to_controller(key, now_s=now_s), authority)
        name = self._admin
        self._leaf(folder.admin(name), lambda key: authority.issue_to_admin(name, key, now_s=now_s), authority)

    def _leaf(
        self, pair: KeyPair, issue: Callable[[ec.EllipticCurvePublicKey], Issued], authority: CertificateAuthority
    ) -> None:
        if pair.certificate.exists() and not pair.key.exists():
            raise StateError(
                f"{pair.certificate} is there, and its key {pair.key} is not",
                hint=f"bring the key back, or remove {pair.certificate} to have a new pair made",
            )
        self._create(pair.key, making.key_pem(making.new_key()), SECRET)
        if not pair.certificate.exists():
            issued = issue(read_key(pair.key).public_key())
            self._create(pair.certificate, authority.with_chain(issued.pem), PUBLIC)

    def _broker(self, authority: CertificateAuthority) -> None:
        folder = self._folder
        self._create(folder.authorities, authority.trusted_pem(), PUBLIC)
        self._create(folder.broker_authorities, authority.trusted_pem(), PUBLIC)
        if not folder.revocation_list.exists():
            authority.write_revocations((), now_s=self._now_s)
            self.made.append(folder.revocation_list)
        self._create(folder.broker_access, access_file().encode(), SECRET)
        self._create(folder.broker_settings, broker_configuration(folder, self._settings).encode(), SECRET)
        give_to_broker(folder, self._settings.broker.user)

    def _first_admin(self) -> None:
        """In the database last: whoever stands there has a certificate. Further ones are added by `admins add`."""
        database = Database(self._settings.database_url)
        try:
            database.upgrade()
            pair = self._folder.admin(self._admin)
            fingerprint = fingerprint_of_file(pair.certificate)
            with database.writing() as connection:
                if not has_admins(connection):
                    admin = Admin(name=self._admin, role=ROLES[-1])
                    add_admin(connection, admin, fingerprint=fingerprint, by="init", now_s=self._now_s)
        finally:
            database.close()
        self._create(self._folder.profile, profile_text(self._folder, self._settings, self._admin).encode(), PUBLIC)

    def _create(self, path: Path, body: bytes, mode: int) -> None:
        if not path.exists() and create(path, body, mode=mode):
            self.made.append(path)


def broker_configuration(folder: FleetFolder, settings: Settings) -> str:
    """The broker's configuration for a folder."""
    files = BrokerFiles(
        access=str(folder.broker_access),
        authorities=str(folder.broker_authorities),
        certificate=str(folder.broker_server.certificate),
        key=str(folder.broker_server.key),
        revocation_list=str(folder.revocation_list),
        data=str(folder.broker_data),
        pid=str(folder.broker_pid),
    )
    broker = settings.broker
    listen = "" if broker.listen == "0.0.0.0" else broker.listen  # noqa: S104  # mosquitto's every address
    return configuration(files, port=broker.port, listen=listen, user=broker.user)


def profile_text(folder: FleetFolder, settings: Settings, admin: str) -> str:
    """An admin's profile: where the controller is, and who asks; paths are taken from the file's own folder."""
    host, pair = settings.broker_for_devices[0], folder.admin(admin)
    lines = {
        "url": f"https://{f'[{host}]' if ':' in host else host}:{settings.http.port}",
        "authorities": str(folder.authorities.relative_to(folder.path)),
        "certificate": str(pair.certificate.relative_to(folder.path)),
        "key": str(pair.key.relative_to(folder.path)),
    }
    return "".join(f'{name} = "{value}"\n' for name, value in lines.items())


def broker_user(asked: str) -> str:
    """Whom mosquitto becomes: whoever was asked for, else Debian's user where root founds, else the founder.

    Raises:
        ConfigurationError: there is no such user.
    """
    own = pwd.getpwuid(os.geteuid()).pw_name
    if not asked and os.geteuid() != 0:
        return own
    for name in (asked or BROKER_USER, *(() if asked else (own,))):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise ConfigurationError(f"there is no user {asked!r} on this machine", hint="name another with --broker-user")


def give_to_broker(folder: FleetFolder, user: str) -> None:
    """Lets the broker's user read its folder, and nothing beside it; only root can give files away."""
    if os.geteuid() != 0:
        return
    account = pwd.getpwnam(user)
    for path in (folder.broker, *folder.broker.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def renew_broker_files(folder: FleetFolder, settings: Settings) -> None:
    """Writes configuration and access of the broker anew, as these settings and this version have them.

    Raises:
        StateError: they cannot be written.
    """
    try:
        replace(folder.broker_access, access_file().encode(), mode=SECRET)
        replace(folder.broker_settings, broker_configuration(folder, settings).encode(), mode=SECRET)
        give_to_broker(folder, settings.broker.user)
    except OSError as error:
        raise StateError(f"{folder.broker} cannot be written: {error.strerror}") from error
