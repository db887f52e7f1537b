"""What devices ask for over the broker: pages of signed metadata and targets, blocks of releases' files."""

from __future__ import annotations

from typing import Protocol


class Library(Protocol):
    """Answers one request of one device; blocking, called on several threads at once."""

    def answer(self, device: str, operation: str, body: bytes) -> bytes | None:
        """What the operation says; None: it is no request of an enrolled device that means anything.

        What is not there is an answer too. It is at most `requests.MAX_ANSWERED_BYTES` long.

        Raises:
            FleetError, OSError: it cannot be told at present.
        """
        ...
