"""`homebred-fleet admins`: makes somebody an admin, or no longer, on the controller's own machine, its keys at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.certificate_authority import CertificateAuthority
from homebred_fleet.adapters.durable_files import PUBLIC, SECRET, create
from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.identities import add_admin, list_admins, remove_admin
from homebred_fleet.app.founding import is_admin_name, profile_text
from homebred_fleet.core.admins import ROLES, Admin
from homebred_fleet.errors import ConfigurationError, ConflictError, StateError
from homebred_fleet.settings import Settings

CONSOLE = "console"
"""Who acts in the audit's eyes: whoever may use the controller's own files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointed:
    """What somebody is given."""

    admin: Admin
    profile: Path
    """Names the key and the certificate beside it."""


def appoint(settings: Settings, admin: Admin, now_s: int) -> Appointed:
    """Makes key, certificate and profile of a new admin, and has the database know them.

    Raises:
        ConfigurationError: name or role cannot be.
        ConflictError: there is an admin of this name.
        FleetError: folder or database cannot be used.
    """
    if admin.role not in ROLES or not is_admin_name(admin.name):
        raise ConfigurationError(
            f"{admin.name!r} with the role {admin.role!r} cannot be an admin",
            hint=f"roles are {', '.join(ROLES)}; names have lower-case letters, digits and dashes",
        )
    folder = FleetFolder(settings.paths.folder)
    authority, pair = CertificateAuthority.opened(folder), folder.admin(admin.name)
    key = making.new_key()
    issued = authority.issue_to_admin(admin.name, key.public_key(), now_s=now_s)
    profile = folder.path / f"admin-{admin.name}.toml"
    try:
        if not create(pair.key, making.key_pem(key), mode=SECRET):
            raise ConflictError(
                f"{pair.key} is there: {admin.name} is an admin, or was", hint="choose another name, or remove the file"
            )
        create(pair.certificate, authority.with_chain(issued.pem), mode=PUBLIC)
        create(profile, profile_text(folder, settings, admin.name).encode(), mode=PUBLIC)
    except OSError as error:
        raise StateError(f"{error.filename or folder.admins} cannot be written: {error.strerror}") from error
    with _database(settings) as database, database.writing() as connection:
        add_admin(connection, admin, fingerprint=issued.fingerprint, by=CONSOLE, now_s=now_s)
    return Appointed(admin=admin, profile=profile)


def dismiss(settings: Settings, name: str, now_s: int) -> bool:
    """Has the database know an admin no longer: a running controller refuses the next request. False: it did already.

    Raises:
        NotFoundError: there never was one of this name.
        FleetError: the database cannot be used.
    """
    with _database(settings) as database, database.writing() as connection:
        return remove_admin(connection, name, by=CONSOLE, now_s=now_s)


def appointed(settings: Settings) -> tuple[Admin, ...]:
    """Who is an admin now. Raises FleetError."""
    with _database(settings) as database, database.reading() as connection:
        return list_admins(connection)


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        database.close()
