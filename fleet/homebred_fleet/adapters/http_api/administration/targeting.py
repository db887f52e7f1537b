"""Whom a change concerns, as admins say it in a body."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from homebred_fleet.adapters.store.administering import Target


class Targeted(BaseModel):
    """Whom it concerns: one of the three."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    device: str = Field(default="", max_length=63)
    filter: str = Field(default="", max_length=500)
    cohort: str = Field(default="", max_length=63)

    def target(self) -> Target:
        """As the store takes it."""
        return Target(device=self.device, filter=self.filter, cohort=self.cohort)
