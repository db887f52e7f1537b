"""Ranges of a release's files over HTTP(S): from the fleet's controller, an S3-compatible store, or any static server.

Whoever answers is believed nothing: a range that was not asked for, another length, a coding or a redirect end the
stream, and what comes is verified frame by frame by who reads it. One redirect alone is followed: the controller's to
a store that the device's administrator has named. It works on threads of its own, and reads straight into the frame:
constant memory, no copy. It knows no task, keeps no connection, and heeds no proxy of the environment.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, InvalidURL
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from homebred_daemon.adapters import fleet_tls
from homebred_daemon.core.transfer import WantedFile
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError
from homebred_daemon.ports.identity import Identity
from homebred_daemon.ports.transfer import ByteStream

HEAD_WITHIN_S: Final = 30.0
"""From the first packet to the end of the answer's head."""
SILENCE_S: Final = 20.0
"""Longest time without a byte."""
READ_BYTES: Final = 65_536
MAX_SKIPPED_BYTES: Final = 64 * 1024 * 1024
"""Of what is here already, from a server without ranges; past the cap on the rate, and again after each break."""
_OK, _PARTIAL, _RANGE_NOT_SATISFIABLE, _TEMPORARY_REDIRECT, _TOO_MANY = 200, 206, 416, 307, 429
_REDIRECTS: Final = range(300, 400)
_SERVERS_OWN: Final = 500
_AWAY: Final = frozenset({408, 425, _TOO_MANY})
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A store that the controller may send devices to: it is their administrator who says which."""

    base: str
    """What an address must begin with; nobody is followed anywhere else."""
    context: Callable[[], ssl.SSLContext]
    name: str = "the object store"

    def has(self, address: str) -> bool:
        """Whether an address is below it: the same scheme, host and port, and no way up its path."""
        base, asked = urlsplit(self.base), urlsplit(address)
        is_below = asked.path.startswith(base.path.rstrip("/") + "/") and ".." not in unquote(asked.path)
        return (asked.scheme, asked.netloc) == (base.scheme, base.netloc) and is_below and not asked.fragment


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where files are, and how they are asked for."""

    name: str
    """For people: an address may hold a secret, such as a pre-signed one."""
    url_of: Callable[[str], str]
    """The address of a file by its digest; it may raise SourceRefusesError."""
    context: Callable[[], ssl.SSLContext]
    """Made for each connection: a renewed certificate holds at once. It may raise StateError."""
    leads_to: Elsewhere | None = None
    """Where it may send whoever asks, by one redirect for each request."""
    tags_are_digests: bool = False
    """Whether its ETag is the file's digest, as the controller's is. A store's own is not, and is not asked for."""


def below(base: str) -> Callable[[str], str]:
    """Addresses of files under a static server's: `<base>/sha256/<hex>`, as the controller names them."""
    return lambda digest: f"{base.rstrip('/')}/{digest.replace(':', '/')}"


def trusting(authorities: Path | None) -> Callable[[], ssl.SSLContext]:
    """TLS to servers that are nobody's in the fleet: this machine's authorities, and those of a file beside them."""

    def context() -> ssl.SSLContext:
        made = ssl.create_default_context()
        try:
            if authorities is not None:
                made.load_verify_locations(authorities)
        except OSError as error:
            raise SourceRefusesError(
                f"transfer.authorities: no certificates can be read from {authorities}: {error.strerror or error}",
                hint="put the authority's certificate there as PEM, or leave the setting empty",
            ) from None
        return made

    return context


def at_controller(identity: Callable[[], Identity], leads_to: Elsewhere | None = None) -> Place:
    """The fleet's controller, asked with the device's certificate as it is then."""

    def url_of(digest: str) -> str:
        return below(f"{identity().membership.controller_url}/device/v1/blobs")(digest)

    return Place(
        name="the fleet's controller",
        url_of=url_of,
        context=lambda: fleet_tls.of_identity(identity()),
        leads_to=leads_to,
        tags_are_digests=True,
    )


def at_static_server(base: str, *, context: Callable[[], ssl.SSLContext], name: str = "the static server") -> Place:
    """Any server that has the files as `<base>/sha256/<hex>`."""
    return Place(name=name, url_of=below(base), context=context)


class HttpsBlobs:
    """Fulfils `ports.transfer.ByteSource`; `close` ends its threads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="blobs")

    @property
    def name(self) -> str:
        """As the port says."""
        return self._place.name

    def close(self) -> None:
        """Nothing may be opened afterwards."""
        self._threads.shutdown(wait=False)

    @asynccontextmanager
    async def open(self, file: WantedFile, begin: int, end: int) -> AsyncIterator[ByteStream]:
        """As the port says."""
        asking = _Asking(self._place, file, begin, end)
        try:
            await self._ask(asking)
            yield _Stream(asking, self._threads)
        finally:
            asking.abandon()
            asking.close()

    async def _ask(self, asking: _Asking) -> None:
        try:
            async with asyncio.timeout(HEAD_WITHIN_S):
                await asyncio.get_running_loop().run_in_executor(self._threads, asking.ask)
        except TimeoutError:
            raise SourceAwayError(f"{self.name} did not answer within {HEAD_WITHIN_S:.0f} s") from None


class _Stream:
    """Fulfils `ports.transfer.ByteStream`."""

    def __init__(self, asking: _Asking, threads: ThreadPoolExecutor) -> None:
        self._asking = asking
        self._threads = threads

    async def read_into(self, room: memoryview) -> int:
        """As the port says: a cancelled call first sees that the thread lets go of the room."""
        reading = asyncio.get_running_loop().run_in_executor(self._threads, self._asking.fill, room)
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            self._asking.abandon()
            while not reading.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([reading])
            reading.exception()
            raise


class _Asking:
    """One request and its answer, on a thread; `abandon` may be called from another at any time."""

    def __init__(self, place: Place, file: WantedFile, begin: int, end: int) -> None:
        self._place = place
        self._name = place.name
        self._file = file
        self._begin = begin
        self._end = end
        self._connection: HTTPConnection | None = None
        self._answer: HTTPResponse | None = None
        self._abandoned = False
        self._skipped = 0
        """Bytes before the first wanted one that a server without ranges still has to give."""

    def ask(self) -> None:
        """Sends the request, follows the one redirect that is allowed, and judges the head of the answer."""
        place = self._place
        led_to = self._asked(
            place.url_of(self._file.digest), place.context, has_tag=place.tags_are_digests, leads_to=place.leads_to
        )
        if led_to and place.leads_to is not None:
            self._name = place.leads_to.name
            self._asked(led_to, place.leads_to.context, has_tag=False, leads_to=None)

    def _asked(
        self, address: str, context: Callable[[], ssl.SSLContext], *, has_tag: bool, leads_to: Elsewhere | None
    ) -> str:
        """The address that the answer leads to; empty: it is the answer itself."""
        answer = None
        try:
            url = urlsplit(address)
            connection = self._connected(url.scheme, url.netloc, context)
            target = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
            connection.request("GET", target, headers=self._headers(has_tag=has_tag))
            answer = connection.getresponse()
            if leads_to is not None and answer.status == _TEMPORARY_REDIRECT:
                return self._led_to(answer, leads_to)
            self._judge(answer)
            self._answer = answer
        except (InvalidURL, UnicodeError):
            raise self._refused("has an address that cannot be asked") from None
        except (OSError, HTTPException, ValueError) as error:
            raise self._away(f"cannot be asked: {_words(error)}") from None
        finally:
            if self._answer is None and self._connection is not None:  # nobody else will close it
                self._connection.close()
        return ""

    def _led_to(self, answer: HTTPResponse, leads_to: Elsewhere) -> str:
        """Where a redirect leads. An address that is pre-signed is a secret: it is never told."""
        address = answer.headers.get("Location", "")
        if not leads_to.has(address):
            raise self._refused("leads to an address that transfer.store does not allow")
        return address

    def fill(self, room: memoryview) -> int:
        """Fills the room as far as bytes come."""
        answer, filled = self._answer, 0
        if answer is None:
            raise self._away("was never asked")
        try:
            self._skip(answer, room)
            while filled < len(room) and not self._abandoned:
                read = answer.readinto(room[filled : filled + READ_BYTES])
                if not read:
                    break
                filled += read
        except (OSError, HTTPException, ValueError, AttributeError) as error:  # the last of a closed answer
            if not filled:
                raise self._away(f"broke off: {_words(error)}") from None
        return filled

    def abandon(self) -> None:
        """Has a thread that waits for bytes hear that there will be none."""
        self._abandoned = True
        sock = self._connection.sock if self._connection is not None else None
        if isinstance(sock, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # that of TLS would have the thread read what is sealed

    def close(self) -> None:
        """Closes the connection of an answered request; no thread may be in `fill`."""
        if self._answer is not None and self._connection is not None:
            self._answer.close()
            self._connection.close()

    def _connected(self, scheme: str, netloc: str, context: Callable[[], ssl.SSLContext]) -> HTTPConnection:
        if scheme == "https":
            made: HTTPConnection = HTTPSConnection(netloc, timeout=SILENCE_S, context=context())
        elif scheme == "http":
            made = HTTPConnection(netloc, timeout=SILENCE_S)
        else:
            raise SourceRefusesError(f"{self._name} is no address that bytes are fetched from")
        self._connection = made
        made.connect()
        if self._abandoned:
            made.close()
            raise self._away("was not waited for")
        return made

    def _headers(self, *, has_tag: bool) -> dict[str, str]:
        headers = {
            "Accept-Encoding": "identity",
            "User-Agent": "homebred",
            "Range": f"bytes={self._begin}-{self._end - 1}",
        }
        if has_tag:
            headers["If-Range"] = f'"{self._file.digest}"'
        return headers

    def _judge(self, answer: HTTPResponse) -> None:
        """What the head of an answer means (RFC 9110 §14, §15)."""
        if answer.status in {_OK, _PARTIAL} and answer.length != 0 and not answer.fp.peek(1):
            raise self._away("ended within the head of its answer")  # http.client takes such a head for a whole one
        if answer.status == _PARTIAL:
            self._judge_coding(answer)
            self._judge_range(answer)
        elif answer.status == _OK:
            self._judge_coding(answer)
            self._judge_length(answer, self._file.length)
            if self._begin > MAX_SKIPPED_BYTES:
                raise self._refused("knows no ranges, and would send again what is here: serve the files with them")
            self._skipped = self._begin
        else:
            raise self._failure(answer)

    def _judge_coding(self, answer: HTTPResponse) -> None:
        coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in {"", "identity"}:
            raise self._wrong(f"sends {_printable(coding)} where bytes as they are were asked for")

    def _judge_range(self, answer: HTTPResponse) -> None:
        told = answer.headers.get("Content-Range", "")
        found = _CONTENT_RANGE.fullmatch(told.strip())
        if found is None:
            raise self._wrong(f"says of no range which one it is ({_printable(told) or 'nothing'})")
        first, last, total = int(found[1]), int(found[2]), found[3]
        if total != "*" and int(total) != self._file.length:
            raise self._wrong(f"has {total} bytes where the release says {self._file.length}")
        if first != self._begin or not first <= last < self._end:
            raise self._wrong(f"sends the bytes {first} to {last} for {self._begin} to {self._end - 1}")
        self._judge_length(answer, last - first + 1)

    def _judge_length(self, answer: HTTPResponse, length: int) -> None:
        told = answer.headers.get("Content-Length")
        if told is not None and (not _NUMBER.fullmatch(told.strip()) or int(told) != length):
            raise self._wrong(f"announces {_printable(told)} bytes where {length} are")

    def _failure(self, answer: HTTPResponse) -> SourceAwayError | SourceRefusesError | SourceWrongError:
        status = answer.status
        if status in _REDIRECTS:
            return self._refused("answers with a redirect, which is not followed: name the address that it leads to")
        if status == _RANGE_NOT_SATISFIABLE:
            return self._wrong("has less of the file than the release says")
        if status >= _SERVERS_OWN or status in _AWAY:
            asked_for = answer.headers.get("Retry-After", "").strip()
            retry_after_s = float(asked_for) if _NUMBER.fullmatch(asked_for) else 0.0
            return SourceAwayError(f"{self._name} cannot answer now ({status})", retry_after_s=retry_after_s)
        return self._refused(f"does not give the file ({status})")

    def _skip(self, answer: HTTPResponse, room: memoryview) -> None:
        """Reads past what was not asked for, where a server knows no ranges."""
        while self._skipped:
            read = answer.readinto(room[: min(READ_BYTES, len(room), self._skipped)])
            if not read:
                raise HTTPException("it ended before the place that was asked for")
            self._skipped -= read

    def _away(self, what: str) -> SourceAwayError:
        return SourceAwayError(f"{self._name} {what}")

    def _refused(self, what: str) -> SourceRefusesError:
        return SourceRefusesError(f"{self._name} {what}")

    def _wrong(self, what: str) -> SourceWrongError:
        return SourceWrongError(f"{self._name} {what}")


def _words(error: BaseException) -> str:
    """The kernel's words or a certificate's; a library's own may quote an address, with what is secret in it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, TimeoutError):
        return f"nothing came for {SILENCE_S:g} s"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:100]
