"""The store of the specialists on this device."""

from __future__ import annotations

from typing import Protocol

from homebred_daemon.core.shelf import Shelf


class SpecialistStore(Protocol):
    """The specialists on this device."""

    def contents(self) -> Shelf:
        """All of them, with what was measured; their files are looked at by size, so that a start need not wait long.

        Raises:
            StateError: the store cannot be read.
        """
        ...
