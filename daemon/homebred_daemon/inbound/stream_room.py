"""How many answers may be streamed at once, over all callers and all ways in. It queues nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from homebred_daemon.errors import OverloadedError

RETRY_AFTER_S: Final = 1.0


class StreamRoom:
    """The places for answers under way."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._streams = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """A place, for as long as the context lasts.

        Raises:
            OverloadedError: all are taken.
        """
        if self._streams >= self._max_streams:
            raise OverloadedError(f"{self._max_streams} answers are being streamed", retry_after_s=RETRY_AFTER_S)
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1
