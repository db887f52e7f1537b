"""systemd's side of a service: telling it how the daemon stands, and taking the sockets that it bound.

systemd-python speaks where it can be imported; else datagrams of our own do, after sd_notify(3). It starts nothing and
knows nothing of what is served.
"""

from __future__ import annotations

import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping

from typing_extensions import override

from homebred_daemon.errors import ConfigurationError, StateError
from homebred_daemon.ports.service_manager import ServiceManager

LOOPBACK = ("127.0.0.1", "::1")
FIRST_FD = 3  # sd_listen_fds(3): SD_LISTEN_FDS_START
UNNAMED = "unknown"  # sd_listen_fds(3): the name of a descriptor where $LISTEN_FDNAMES is not set
MICROSECONDS = 1_000_000
Notify = Callable[[str], object]
"""libsystemd's sd_notify, as systemd-python offers it."""


def service_manager(environ: MutableMapping[str, str], pid: int, notify: Notify | None = None) -> ServiceManager:
    """Whoever the environment names; its variables are taken out, so that no child speaks for the daemon.

    Args:
        environ: the process's environment.
        pid: this process.
        notify: stands for systemd-python's; None: that, where it can be imported.

    Raises:
        ConfigurationError: a variable cannot be understood.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return NoServiceManager()
    watchdog_s = _watchdog_s(environ, pid)
    libsystemd = notify or _libsystemd()
    manager = DatagramManager(address, watchdog_s) if libsystemd is None else LibsystemdManager(libsystemd, watchdog_s)
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID", *(["NOTIFY_SOCKET"] if libsystemd is None else [])):
        environ.pop(name, None)  # libsystemd looks its socket up again at every call
    return manager


class NoServiceManager:
    """Nobody listens."""

    name = "none"
    is_there = False
    watchdog_s: float | None = None

    def ready(self, status: str) -> None:
        """Nobody hears."""

    def status(self, text: str) -> None:
        """Nobody hears."""

    def beat(self) -> None:
        """Nobody hears."""

    def stopping(self, within_s: float) -> None:
        """Nobody hears."""


class _Manager(ABC):
    """What is said, whoever carries it."""

    name: str
    is_there = True

    def __init__(self, watchdog_s: float | None) -> None:
        self.watchdog_s = watchdog_s

    def ready(self, status: str) -> None:
        """The daemon serves from now on."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """How the daemon stands."""
        self._tell(f"STATUS={text}")

    def beat(self) -> None:
        """The daemon lives."""
        self._tell("WATCHDOG=1")

    def stopping(self, within_s: float) -> None:
        """The daemon is on its way out."""
        # sd_notify(3): the time counts from this message, and only lengthens what TimeoutStopSec= allows.
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(within_s * MICROSECONDS)}")

    def _tell(self, *assignments: str) -> None:
        if any("\n" in assignment for assignment in assignments):
            raise ValueError("a line break would begin another assignment")  # sd_notify(3): newline-separated list
        try:
            self._send("\n".join(assignments) + "\n")
        except OSError as error:
            raise StateError(
                f"the service manager cannot be told how the daemon stands: {error.strerror}",
                hint="see `systemctl status homebred` and the journal of systemd itself",
            ) from error

    @abstractmethod
    def _send(self, message: str) -> None:
        """Carries one message; raises OSError where it cannot."""


class LibsystemdManager(_Manager):
    """systemd, through systemd-python."""

    name = "systemd-python"

    def __init__(self, notify: Notify, watchdog_s: float | None) -> None:
        super().__init__(watchdog_s)
        self._notify = notify

    @override
    def _send(self, message: str) -> None:
        self._notify(message)


class DatagramManager(_Manager):
    """systemd, through datagrams of our own."""

    name = "datagrams"

    def __init__(self, address: str, watchdog_s: float | None) -> None:
        """Raises ConfigurationError where the address is of no kind that this can send to."""
        # sd_notify(3): an absolute path, or "@" for the abstract namespace. vsock is for virtual machines' own systemd.
        if address[0] not in "/@":
            raise ConfigurationError(
                f"NOTIFY_SOCKET is {address!r}, neither an absolute path nor an abstract name",
                hint="start the daemon from systemd, or without NOTIFY_SOCKET",
            )
        super().__init__(watchdog_s)
        self._address = "\0" + address[1:] if address[0] == "@" else address

    @override
    def _send(self, message: str) -> None:
        # A socket for each message, close-on-exec: a restarted manager has another one behind the same path.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(0)  # a manager that does not read must not stop the loop
            channel.connect(self._address)
            channel.send(message.encode())


def inherited_sockets(
    environ: MutableMapping[str, str],
    pid: int,
    first_fd: int = FIRST_FD,
    *,
    at_loopback: frozenset[str] = frozenset(),
) -> Mapping[str, socket.socket]:
    """The listening sockets that systemd passed to this process, by FileDescriptorName=; usually none.

    They are Unix sockets; those of the names `at_loopback` may also listen at an address of this device's loopback.

    The variables are taken out: sockets are taken once, and no child mistakes them for its own.

    Raises:
        ConfigurationError: what was passed is not what the daemon can serve on.
    """
    given = {name: environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")}
    if given["LISTEN_PID"] != str(pid):  # sd_listen_fds(3): otherwise they were meant for another process
        return {}
    count = _number("LISTEN_FDS", given["LISTEN_FDS"])
    names = given["LISTEN_FDNAMES"].split(":") if given["LISTEN_FDNAMES"] else [UNNAMED] * count
    if len(names) != count or len(set(names)) != count:
        raise ConfigurationError(
            f"systemd passed {count} sockets under the names {', '.join(names)}",
            hint="give each socket unit of the daemon one ListenStream= and a FileDescriptorName= of its own",
        )
    return {
        name: _listening(first_fd + offset, name, may_be_tcp=name in at_loopback) for offset, name in enumerate(names)
    }


def _listening(descriptor: int, name: str, *, may_be_tcp: bool) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # sd_listen_fds(3) sets FD_CLOEXEC on every one
        inherited = socket.socket(fileno=descriptor)
        is_served = (
            (inherited.family == socket.AF_UNIX or (may_be_tcp and inherited.getsockname()[0] in LOOPBACK))
            and inherited.type == socket.SOCK_STREAM
            and inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        )
    except OSError as error:
        raise ConfigurationError(
            f"descriptor {descriptor}, passed as the socket {name!r}, is none: {error.strerror}",
            hint="start the daemon from its socket unit, or without LISTEN_FDS",
        ) from error
    if not is_served:
        inherited.close()
        raise ConfigurationError(
            f"the socket {name!r} that systemd passed is no listening Unix stream socket"
            + (", nor one at 127.0.0.1 or ::1" if may_be_tcp else ""),
            hint=f"write an absolute path for ListenStream= of {name}.socket, and Accept=no",
        )
    return inherited


def _libsystemd() -> Notify | None:
    """systemd-python's notify, where it can be imported; 0.8 MB that only a supervised daemon pays."""
    try:
        from systemd import daemon  # noqa: PLC0415
    except ImportError:
        return None
    notify: Notify = daemon.notify
    return notify


def _watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    if not environ.get("WATCHDOG_USEC") or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None  # sd_watchdog_enabled(3): of another process
    return _number("WATCHDOG_USEC", environ["WATCHDOG_USEC"]) / MICROSECONDS


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ConfigurationError(f"{name} is {text!r}, no whole number over 0", hint="start the daemon from systemd")
    return int(text)
