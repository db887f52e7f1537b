"""What can be configured about the controller: every setting with its default, bounds and meaning.

Where values come from, and what is said when one is wrong, is `config`'s work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

HOST = r"^[A-Za-z0-9.:_-]{1,253}$"


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("not absolute")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class _Section(BaseModel):
    """One table of the file: unknown keys are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PathSettings(_Section):
    """Where the controller keeps things."""

    folder: AbsolutePath = Field(
        default=Path("/etc/homebred-fleet"), description="Folder that `homebred-fleet init` made: keys and settings."
    )
    state_dir: AbsolutePath = Field(
        default_factory=lambda values: values["folder"] / "state", description="Folder of database and documents."
    )


class DatabaseSettings(_Section):
    """Where the controller's database is."""

    url: str = Field(
        default="",
        max_length=1000,
        description="Such as postgresql://user@host/name; empty: SQLite in paths.state_dir.",
    )


class HttpSettings(_Section):
    """The HTTPS server: enrolment, devices' documents, admins."""

    listen: str = Field(default="127.0.0.1", pattern=HOST, description="Address it binds; 0.0.0.0: every one.")
    port: int = Field(default=8443, ge=1, le=65_535, description="Port of the HTTPS server.")
    max_body_bytes: int = Field(
        default=67_108_864, ge=65_536, le=1_073_741_824, description="Longest document that an admin sends, bytes."
    )
    max_connections: int = Field(
        default=1000, ge=10, le=15_000, description="Connections at the same time, over all callers."
    )


class BrokerSettings(_Section):
    """The MQTT broker."""

    host: str = Field(default="127.0.0.1", pattern=HOST, description="Where the controller finds it.")
    port: int = Field(default=8883, ge=1, le=65_535, description="Its TLS port.")
    public_host: str = Field(
        default="", pattern=r"^$|" + HOST, description="Where devices find it; empty: as the controller does."
    )
    public_port: int = Field(default=0, ge=0, le=65_535, description="Its port for devices; 0: the same.")
    listen: str = Field(
        default="127.0.0.1", pattern=HOST, description="Address it binds, for the configuration made for it."
    )
    user: str = Field(default="mosquitto", pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,31}$", description="User it becomes.")
    reload_command: tuple[str, ...] = Field(
        default=(),
        max_length=32,
        description="What has it read its files again, word by word; empty: SIGHUP to the process of its pid file.",
    )


class IdentitySettings(_Section):
    """Tokens and certificates."""

    names: tuple[Annotated[str, Field(pattern=HOST)], ...] = Field(
        default=("localhost", "127.0.0.1", "::1"),
        max_length=32,
        description="Names and addresses that the servers' certificates hold for.",
    )
    token_hours: int = Field(default=24, ge=1, le=720, description="Life of a token that names none, hours.")
    refused_per_minute: int = Field(
        default=60,
        ge=1,
        le=100_000,
        description="Enrolments that may be refused from one address in a minute, before it is told to wait.",
    )


class ReleaseSettings(_Section):
    """What may run on devices, signed; docs/signing.md says how these come about."""

    image: AbsolutePath = Field(
        default=Path("/var/lib/homebred-fleet/image"), description="Folder of the image repository."
    )
    director: AbsolutePath = Field(
        default=Path("/var/lib/homebred-fleet/director"), description="Folder with the director's root."
    )
    online_key: AbsolutePath = Field(
        default=Path("/etc/homebred-fleet/online.key"),
        description="The controller's key, which the director's root names.",
    )
    max_lease_days: int = Field(
        default=90, ge=1, le=366, description="Longest life of what is carried to devices, days: no stop reaches it."
    )
    disk_reserve_mb: int = Field(
        default=1024, ge=0, le=10_000_000, description="Stays free where releases' files are uploaded to, megabytes."
    )


class StoreSettings(_Section):
    """An S3-compatible store that has releases' files which the controller does not."""

    url: str = Field(
        default="",
        max_length=512,
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~-]+)*/?)?$",
        description="Bucket, and what comes before sha256/DIGEST in it; devices are sent there. Empty: no store.",
    )
    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9-]{1,64}$", description="What it is signed for.")
    key_id: str = Field(
        default="",
        pattern=r"^[!-~]{0,128}$",
        description="Access key that may read its objects; empty: anybody may, and nothing is signed.",
    )
    secret_file: AbsolutePath = Field(
        default=Path("/etc/homebred-fleet/store.secret"), description="File with the secret of that key."
    )
    link_s: int = Field(
        default=900, ge=60, le=604_800, description="Life of an address that a device is sent to, seconds."
    )


class TelemetrySettings(_Section):
    """How much of what devices tell is kept, and how long; what goes is counted."""

    event_days: int = Field(default=90, ge=1, le=3_650, description="Life of an event, days since it came.")
    max_events: int = Field(
        default=20_000_000,
        ge=10_000,
        le=10_000_000_000,
        description="Events of all devices together, about 250 bytes each; then those go of whom there are most.",
    )
    hour_days: int = Field(default=400, ge=1, le=36_500, description="Life of an hour's sums, days.")
    max_hours: int = Field(
        default=10_000_000,
        ge=10_000,
        le=10_000_000_000,
        description="Hours' sums of all devices together, about 100 bytes each; then likewise.",
    )


class LogSettings(_Section):
    """What the controller writes about itself."""

    format: Literal["json", "console"] = Field(default="json", description="One object a line, or text for people.")
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe kind that is written."
    )


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="HOMEBRED_FLEET_")

    paths: PathSettings = Field(default_factory=PathSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    releases: ReleaseSettings = Field(default_factory=ReleaseSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return self.database.url or f"sqlite:///{self.paths.state_dir / 'fleet.db'}"

    @property
    def broker_for_devices(self) -> tuple[str, int]:
        """Host and port that devices are told."""
        broker = self.broker
        return broker.public_host or broker.host, broker.public_port or broker.port
