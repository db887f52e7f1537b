"""Where everything lies in a controller's folder: names alone. `init` makes the files, nothing here does.

- fleet.toml: settings; admin.toml: the first admin's profile, for the commands that speak to the controller
- authority/: keys and certificates of the fleet's own authority; root-N.key belongs offline
- controller/: the HTTPS server's key and certificate, and the controller's own as a client of the broker
- broker/: all that mosquitto reads: configuration, access, keys, authorities, revocation list
- admins/: an admin's key and certificate, to be handed over and removed
- state/: database and documents, where the settings name no other place
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key and its certificate, in two files."""

    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class FleetFolder:
    """One controller's folder."""

    path: Path

    @property
    def settings(self) -> Path:
        """The controller's settings."""
        return self.path / "fleet.toml"

    @property
    def profile(self) -> Path:
        """The first admin's profile."""
        return self.path / "admin.toml"

    @property
    def authority(self) -> Path:
        """The certificate authority."""
        return self.path / "authority"

    @property
    def authorities(self) -> Path:
        """Whom the whole fleet trusts: public."""
        return self.authority / "authorities.pem"

    @property
    def broker(self) -> Path:
        """All that the broker reads."""
        return self.path / "broker"

    @property
    def https_server(self) -> KeyPair:
        """Of the HTTPS server; the certificate's file has the chain."""
        return _pair(self.path / "controller", "server")

    @property
    def controller(self) -> KeyPair:
        """The controller's own, as a client of the broker."""
        return _pair(self.path / "controller", "client")

    @property
    def broker_server(self) -> KeyPair:
        """Of the broker."""
        return _pair(self.broker, "server")

    @property
    def broker_authorities(self) -> Path:
        """Whom the broker trusts."""
        return self.broker / "authorities.pem"

    @property
    def revocation_list(self) -> Path:
        """What the broker refuses."""
        return self.broker / "revoked.pem"

    @property
    def broker_settings(self) -> Path:
        """The broker's configuration."""
        return self.broker / "mosquitto.conf"

    @property
    def broker_access(self) -> Path:
        """Who may read and write what."""
        return self.broker / "access.acl"

    @property
    def broker_data(self) -> Path:
        """Where the broker keeps sessions and retained messages."""
        return self.broker / "data"

    @property
    def broker_pid(self) -> Path:
        """The broker's process id."""
        return self.broker_data / "mosquitto.pid"

    @property
    def admins(self) -> Path:
        """Where admins' keys lie until they are handed over."""
        return self.path / "admins"

    def admin(self, name: str) -> KeyPair:
        """An admin's."""
        return _pair(self.admins, name)

    def root(self, number: int) -> KeyPair:
        """A root of the authority."""
        return _pair(self.authority, f"root-{number}")

    def issuing(self, number: int) -> KeyPair:
        """An issuer of the authority."""
        return _pair(self.authority, f"issuing-{number}")

    def issuing_numbers(self) -> tuple[int, ...]:
        """Of all issuers there are, rising: the last one issues."""
        return _numbers(self.authority, "issuing")

    def root_numbers(self) -> tuple[int, ...]:
        """Of all roots there are, rising."""
        return _numbers(self.authority, "root")


def _pair(folder: Path, name: str) -> KeyPair:
    return KeyPair(folder / f"{name}.key", folder / f"{name}.pem")


def _numbers(folder: Path, name: str) -> tuple[int, ...]:
    words = (path.stem.removeprefix(f"{name}-") for path in folder.glob(f"{name}-*.pem"))
    return tuple(sorted(int(word) for word in words if word.isdecimal()))
