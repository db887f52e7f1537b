"""Asks a broker to read its files again, sees whether it has, and throws a device out. It publishes nothing.

mosquitto 2.0 reads its revocation list again at SIGHUP (tests/contract/test_broker_revocation.py); its list of
authorities only at its start. Another broker is told by whatever command `broker.reload_command` names.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from homebred_fleet.errors import BrokerError
from homebred_fleet.ports.authority import Probe
from homebred_protocol.mqtt import (
    Connected,
    Credentials,
    Ended,
    Endpoint,
    HandOver,
    Happening,
    MqttConnection,
    SessionTerms,
)

PROGRAM = "mosquitto"
ANSWER_S = 0.5
"""A broker that lets somebody in waits for them to speak; one that does not says so at once."""
CONNECT_S = 5.0
COMMAND_S = 30.0
_OTHER_REASONS = ("EXPIRED", "UNKNOWN_CA", "BAD_CERTIFICATE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the broker is, and who it must be."""

    host: str
    port: int
    authorities: Path


class BrokerOnThisMachine:
    """Fulfils `ports.broker.BrokerControl`."""

    def __init__(
        self,
        address: Address,
        *,
        pid_file: Path,
        reload_command: tuple[str, ...],
        connect: Callable[[Endpoint, HandOver], MqttConnection],
    ) -> None:
        """`reload_command` wins over the pid file."""
        self._address = address
        self._pid_file = pid_file
        self._reload_command = reload_command
        self._connect = connect

    async def reload(self) -> None:
        """See the port."""
        if self._reload_command:
            await _run(self._reload_command)
            return
        try:
            pid = int(self._pid_file.read_text())
            if not _is_program(pid, PROGRAM):  # after a crash the number may be another's, which SIGHUP would end
                raise ProcessLookupError(errno.ESRCH, f"process {pid} is no {PROGRAM}")
            os.kill(pid, signal.SIGHUP)
        except (ValueError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no number"
            raise BrokerError(
                f"the broker cannot be told to reload by {self._pid_file}: {why}",
                hint="start the broker, or set broker.reload_command",
                code="broker_not_told",
            ) from error

    async def refuses(self, probe: Probe) -> bool:
        """See the port."""
        with _as_files(probe, self._address.authorities) as credentials:
            context = ssl.create_default_context(cafile=str(credentials.authorities))
            context.load_cert_chain(str(credentials.certificate), str(credentials.key))
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(self._address.host, self._address.port, ssl=context)
        except ssl.SSLError as error:
            return _is_refusal(error)
        except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):  # it closed before its alert was read
            return True
        except (OSError, TimeoutError) as error:
            raise BrokerError(
                f"the broker does not listen at {self._address.host}:{self._address.port}", code="broker_unreachable"
            ) from error
        try:
            async with asyncio.timeout(ANSWER_S):
                return not await reader.read(1)
        except TimeoutError:
            return False
        except ssl.SSLError as error:
            return _is_refusal(error)
        except OSError:
            return True
        finally:
            writer.transport.abort()

    async def throw_out(self, device: str, takeover: Probe) -> None:
        """See the port."""
        loop, happened = asyncio.get_running_loop(), asyncio.Queue[Happening]()

        def hand_over(happening: Happening) -> None:
            loop.call_soon_threadsafe(happened.put_nowait, happening)

        with _as_files(takeover, self._address.authorities) as credentials:
            try:
                connection = self._connect(Endpoint(self._address.host, self._address.port, credentials), hand_over)
            except OSError as error:  # no file can be opened any more
                raise BrokerError(f"no connection can be made: {error.strerror}", code="broker_not_told") from error
            try:
                await _come_and_go(connection, device, happened)
            finally:
                connection.close()


async def _come_and_go(connection: MqttConnection, device: str, happened: asyncio.Queue[Happening]) -> None:
    """Takes a device's place for a moment, and leaves nothing of its session. Raises BrokerError."""
    terms = SessionTerms(client_id=device, clean_start=True, session_expiry_s=0, keepalive_s=30, receive_maximum=10)
    connection.connect(terms)
    try:
        async with asyncio.timeout(CONNECT_S):
            _must_be(Connected, await happened.get())
            connection.disconnect()
            while not isinstance(await happened.get(), Ended):
                pass
    except TimeoutError:
        raise BrokerError("the broker did not answer in time", code="broker_unreachable") from None


@contextmanager
def _as_files(probe: Probe, authorities: Path) -> Iterator[Credentials]:
    """For as long as somebody reads them; a kill leaves them in a folder of our own, and they hold for minutes."""
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homebred-fleet-")))
            key, certificate = folder / "key.pem", folder / "certificate.pem"
            key.touch(mode=0o600)
            key.write_bytes(probe.key_pem)
            certificate.write_bytes(probe.certificate_pem)
        except OSError as error:
            raise BrokerError(
                f"the broker cannot be tried: {tempfile.gettempdir()} cannot be written: {error.strerror}",
                hint="free space there, or set TMPDIR",
                code="broker_not_told",
            ) from error
        yield Credentials(authorities=authorities, certificate=certificate, key=key)


def _is_refusal(error: ssl.SSLError) -> bool:
    """The alert says why (RFC 8446 §6.2). Raises BrokerError: for another reason than being on the list."""
    reason = error.reason or ""
    if any(other in reason for other in _OTHER_REASONS) or isinstance(error, ssl.SSLCertVerificationError):
        raise BrokerError(
            f"the broker and this controller do not know each other: {reason or type(error).__name__}",
            hint="see that the broker runs with the files that `homebred-fleet init` made here",
            code="broker_not_trusted",
        ) from error
    return True


def _must_be(kind: type[Connected], happening: Happening) -> None:
    if not isinstance(happening, kind):
        why = happening.reason if isinstance(happening, Ended) else type(happening).__name__.lower()
        raise BrokerError(f"the broker did not let the controller take a device's place: {why}", code="broker_refused")


def _is_program(pid: int, program: str) -> bool:
    """Whether a process of this number runs it, as proc(5) names it."""
    return Path(f"/proc/{pid}/comm").read_text().strip() == program


async def _run(command: tuple[str, ...]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(COMMAND_S):
            status = await process.wait()
    except (OSError, TimeoutError) as error:
        raise BrokerError(f"{command[0]} could not be run to reload the broker", code="broker_not_told") from error
    if status:
        raise BrokerError(f"{command[0]} could not reload the broker: it ended with {status}", code="broker_not_told")
