"""The controller's own certificates: HTTPS server, broker, and itself as a client."""

from __future__ import annotations

from typing import Protocol


class OwnCertificates(Protocol):
    """Renews what is due."""

    def renew_due(self, *, now_s: int) -> tuple[str, ...]:
        """The names of what was renewed; nothing was due: empty. Raises StateError."""
        ...
