"""What can be configured of a device's part in a fleet: its outbox, how releases come, how long one is on probation.

Beside it the form that every section of settings has. Where values come from is `config`'s work.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from homebred_daemon.core.transfer_pace import read_windows


class Section(BaseModel):
    """One table of the file: unknown keys and wrong types are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FleetSettings(Section):
    """What an enrolled device keeps for its fleet."""

    max_outbox_events: int = Field(
        default=200_000,
        ge=1_000,
        le=10_000_000,
        description="Events that wait for the controller; at more, the least important and oldest are counted as lost.",
    )
    max_outbox_mb: int = Field(default=256, ge=1, le=65_536, description="The same in megabytes of the disk.")


def _windows(text: str) -> str:
    read_windows(text)
    return text


class TransferSettings(Section):
    """How the files of releases come to this device."""

    max_kilobytes_per_s: int = Field(default=0, ge=0, le=10_000_000, description="How fast; 0: as fast as they come.")
    windows: Annotated[str, AfterValidator(_windows)] = Field(
        default="",
        description='When, by the local clock, such as "22:00-05:00, 12:00-13:00"; empty: at any time.',
    )
    reserve_mb: int = Field(
        default=512, ge=0, le=1_048_576, description="Megabytes of the disk that stay free whatever is fetched."
    )
    mirror: str = Field(
        default="",
        max_length=512,
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="Static server with the files as ADDRESS/sha256/DIGEST, asked before the controller; empty: none.",
    )
    store: str = Field(
        default="",
        max_length=512,
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="S3-compatible store that the controller may send this device to for a file: how every such "
        "address begins, bucket and all; empty: nowhere.",
    )
    authorities: str = Field(
        default="",
        max_length=4096,
        pattern=r"^(/.*)?$",
        description="File (PEM) with authorities of mirror and store, beside the machine's own; empty: none.",
    )
    broker_mb: int = Field(
        default=50,
        ge=0,
        le=1_048_576,
        description="Largest file that is fetched over the broker where neither the mirror nor the controller answers; "
        "0: none.",
    )


class BuildSettings(Section):
    """How long this device may build what a release's recipe asks for."""

    longest_min: int = Field(default=240, ge=1, le=10_080, description="One build, in minutes; then it is refused.")


class ProbationSettings(Section):
    """How long a release that serves is held against what served before."""

    soak_h: int = Field(default=24, ge=0, le=720, description="It settles no sooner, in hours.")
    least_outcomes: int = Field(
        default=200, ge=5, le=100_000, description="Outcomes that must be seen before it settles after that."
    )
    longest_h: int = Field(default=168, ge=1, le=8_760, description="It settles after so long, however few were seen.")
