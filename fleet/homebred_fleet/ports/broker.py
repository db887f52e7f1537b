"""The broker, as who takes certificates back sees it: it reads files that were written, and lets clients in or not."""

from __future__ import annotations

from typing import Protocol

from homebred_fleet.ports.authority import Probe


class BrokerControl(Protocol):
    """What can be asked of a broker beside MQTT."""

    async def reload(self) -> None:
        """Has it read its files again; it does so when it comes to it.

        Raises:
            BrokerError: it could not be told.
        """
        ...

    async def refuses(self, probe: Probe) -> bool:
        """Whether it turns somebody away who shows these credentials.

        Raises:
            BrokerError: it does not listen.
        """
        ...

    async def throw_out(self, device: str, takeover: Probe) -> None:
        """Ends a device's session, and its connection where there is one, by taking its place for a moment.

        Raises:
            BrokerError: it could not be done.
        """
        ...
