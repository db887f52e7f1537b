"""The policies of this site: the one in force, and those that an operator puts in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from homebred_daemon.document_files import SitePolicy

PolicyOrigin = Literal["default", "file", "set"]
"""The built-in policy, the configured file, or one that an operator set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    """A policy that may hold, and where it is from."""

    site: SitePolicy
    """Bounded by the site ceiling as it stands."""
    origin: PolicyOrigin


class PolicyStore(Protocol):
    """Where policies are."""

    def in_force(self) -> PolicyInForce:
        """The one that an operator set, else the configured one.

        Raises:
            ConfigurationError: it cannot be read, or is wrong.
        """
        ...

    def configured(self) -> PolicyInForce:
        """The one that holds where no operator set another; errors as `in_force`."""
        ...

    def offered(self, body: bytes) -> PolicyInForce:
        """What a policy's bytes would mean here; nothing is kept.

        Raises:
            ConfigurationError: with every complaint.
        """
        ...

    def keep(self, body: bytes) -> None:
        """Keeps what an operator set, so that it holds after a restart.

        Raises:
            StateError: it could not be stored; what was kept before still is.
        """
        ...

    def forget(self) -> None:
        """Forgets what an operator set; harmless where nobody did. Raises StateError."""
        ...
