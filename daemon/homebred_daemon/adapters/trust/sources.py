"""Where files of the signed repositories come from: the controller's HTTPS, its broker, or a folder that is carried.

One template: `fetch` owns every limit and every error's word, a source has one hook that yields pieces. A source is
trusted with nothing: it may send without end, slowly, the wrong length, or never; it then costs a bounded time and at
most one file's bytes of memory. Nothing here judges what came.
"""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import FleetError, NotFoundError, UntrustedError
from homebred_daemon.ports.identity import Identity
from homebred_daemon.ports.trust import FleetFiles, FleetRequests, TrustSource
from homebred_protocol.trusted_files import (
    MAX_FILE_BYTES,
    REQUEST,
    https_path,
    is_trusted_file,
    read_answer,
    request_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How slow a source may be."""

    total_s: float = 600.0
    """Of one file, all of it."""
    grace_s: float = 10.0
    """Before the rate is looked at, and the longest silence."""
    bytes_per_s: float = 2048.0
    """Least mean rate after that: a slow satellite link has twice as much."""


LIMITS: Final = Limits()


class BoundedSource(abc.ABC):
    """A source within limits; fulfils `ports.trust.TrustSource`."""

    def __init__(self, *, limits: Limits = LIMITS, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._monotonic_s = monotonic_s

    async def fetch(self, name: str, at_most: int) -> bytes:
        """As the port says."""
        if not is_trusted_file(name):
            raise _refused(Reason.MALFORMED, name[:100], "it is no name of a file of the repositories")
        at_most = min(at_most, MAX_FILE_BYTES)
        try:
            async with asyncio.timeout(self._limits.total_s):
                return await self._whole(name, at_most)
        except TimeoutError:
            raise _refused(Reason.TOO_SLOW, name, f"not whole after {self._limits.total_s:.0f} s") from None
        except NotFoundError:
            raise _refused(Reason.ABSENT, name) from None
        except FleetError as error:
            raise _refused(Reason.UNREACHABLE, name, error.message) from error
        except OSError as error:
            raise _refused(Reason.SOURCE_FAULT, name, error.strerror or type(error).__name__) from error

    async def _whole(self, name: str, at_most: int) -> bytes:
        limits, began_s = self._limits, self._monotonic_s()
        body = bytearray()
        async with aclosing(self._pieces(name, at_most)) as pieces:
            while True:
                try:
                    async with asyncio.timeout(limits.grace_s):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise _refused(Reason.TOO_SLOW, name, f"nothing came for {limits.grace_s:.0f} s") from None
                if piece is None:
                    return bytes(body)
                body += piece
                if len(body) > at_most:
                    raise _refused(Reason.TOO_LONG, name, f"more than {at_most} bytes")
                passed_s = self._monotonic_s() - began_s
                if passed_s > limits.grace_s and len(body) < passed_s * limits.bytes_per_s:
                    raise _refused(Reason.TOO_SLOW, name, f"{len(body)} bytes in {passed_s:.0f} s")

    @abc.abstractmethod
    def _pieces(self, name: str, at_most: int) -> AsyncGenerator[bytes]:
        """The file as it comes; after `at_most` bytes one more is enough.

        Raises:
            NotFoundError, FleetError, OSError, UntrustedError
        """


class HttpsSource(BoundedSource):
    """From the controller."""

    def __init__(self, files: FleetFiles, identity: Identity, *, limits: Limits = LIMITS) -> None:
        super().__init__(limits=limits)
        self._files = files
        self._identity = identity

    @override
    async def _pieces(self, name: str, at_most: int) -> AsyncGenerator[bytes]:
        async with aclosing(self._files.pieces(self._identity, https_path(name))) as pieces:
            async for piece in pieces:
                yield piece


class MqttSource(BoundedSource):
    """From the controller by requests over the broker, page by page: each answer is at most 512 KiB."""

    def __init__(self, requests: FleetRequests, *, limits: Limits = LIMITS) -> None:
        super().__init__(limits=limits)
        self._requests = requests

    @override
    async def _pieces(self, name: str, at_most: int) -> AsyncGenerator[bytes]:
        came, length = 0, None
        while length is None or came < length:
            answer = await self._requests.request(REQUEST, request_of(name, came))
            try:
                page = read_answer(answer)
            except ValueError as error:
                raise _refused(Reason.SOURCE_FAULT, name, f"an answer {error}") from None
            if page.length < 0:
                raise NotFoundError(f"the controller has no {name}")
            if page.length > at_most:
                raise _refused(Reason.TOO_LONG, name, f"{page.length} bytes, at most {at_most} are read")
            is_another = length not in {None, page.length}
            if is_another or came + len(page.body) > page.length or (page.length > came and not page.body):
                raise _refused(Reason.SOURCE_FAULT, name, "its pages do not belong together")
            came, length = came + len(page.body), page.length
            yield page.body


_NO_ANSWER: Final = frozenset({Reason.UNREACHABLE, Reason.TOO_SLOW})


class FirstReachable:
    """The first of several sources that answers at all; fulfils `ports.trust.TrustSource`, for one look and its files.

    Where one cannot be reached, or says too little for too long, as a closed port often does, the next is asked, for
    this file and all that follow: half of a look's files from one and half from the other would still be verified, and
    only take longer.
    """

    def __init__(self, sources: Sequence[TrustSource]) -> None:
        """At least one, the best first."""
        self._sources = list(sources)

    async def fetch(self, name: str, at_most: int) -> bytes:
        """As the port says."""
        while True:
            source = self._sources[0]
            try:
                return await source.fetch(name, at_most)
            except UntrustedError as error:
                if error.reason not in _NO_ANSWER or source is self._sources[-1]:
                    raise
                if source is self._sources[0]:  # else somebody who fetches at the same time has found that out already
                    del self._sources[0]


def _refused(reason: Reason, name: str, detail: str = "") -> UntrustedError:
    return Refusal(reason=reason, about=name, detail=detail).error()
