"""What people on the site do about the fleet: look at a bundle of diagnostics, and let it go or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle of diagnostics that the controller asked for."""

    command_id: str
    issued_by: str
    """The administrator who asked for it."""
    made_at_s: int
    size_bytes: int
    """As it would leave, compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBundle:
    """One with what is in it."""

    bundle: Bundle
    document: bytes
    """JSON: exactly what would leave, byte for byte."""


class BundleDesk(Protocol):
    """Where bundles wait for the technician."""

    async def bundles(self) -> Sequence[Bundle]:
        """Those that wait, the oldest first. Raises StateError."""
        ...

    async def show(self, command_id: str) -> ShownBundle:
        """One of them. Raises NotFoundError, StateError."""
        ...

    async def decide(self, command_id: str, *, lets_go: bool, principal: str) -> Bundle:
        """Lets it leave, or not: for good.

        Raises:
            NotFoundError: none such waits: it may be decided already, or have expired.
            StateError: it could not be kept, and nothing was decided.
        """
        ...
