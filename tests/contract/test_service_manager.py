"""Every way to tell a service manager, held to what sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3) say.

Each is spoken by a process of its own, as it would be; where systemd-python is missing, its half says so.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.booted_machine import TREE
from tests.support.recorded_manager import RecordedManager

from homebred_daemon.adapters import systemd
from homebred_daemon.errors import ConfigurationError, StateError
from homebred_daemon.ports.service_manager import ServiceManager

DEBIANS = (Path("/usr/lib/python3/dist-packages"), TREE / "usr/lib/python3/dist-packages")
"""Where Debian's python3-systemd may be, here or in the tree that tests boot; Pythons of that version can load it."""
SPEAK = """
import json, os, sys
if sys.argv[1] == "datagrams":
    sys.modules["systemd"] = None
from homebred_daemon.adapters.systemd import service_manager
manager = service_manager(os.environ, os.getpid())
try:
    for name, arguments in json.loads(sys.argv[2]):
        getattr(manager, name)(**arguments)
    error = ""
except Exception as failure:
    error = type(failure).__name__
left = [name for name in ("WATCHDOG_USEC", "WATCHDOG_PID") if name in os.environ]
print(json.dumps([manager.name, manager.is_there, manager.watchdog_s, left, error]))
"""


def systemd_python() -> list[str]:
    """What must be on the path so that systemd-python can be imported."""
    look = "import systemd.daemon"
    for folders in ([], *([str(folder)] for folder in DEBIANS)):
        environment = os.environ | {"PYTHONPATH": ":".join(folders)}
        if not subprocess.run(
            [sys.executable, "-c", look], env=environment, capture_output=True, check=False
        ).returncode:
            return folders
    pytest.skip("SYSTEMD-PYTHON IS NOT TESTED HERE: apt install python3-systemd, or pip install homebred[systemd]")


class Speaker:
    """A process that speaks to a service manager which this test plays."""

    def __init__(self, how: str, folder: Path) -> None:
        self.how = how
        self.folders = systemd_python() if how == "systemd-python" else []
        self.address = str(folder / "notify")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listener.bind(self.address)
        self.listener.settimeout(0)

    def says(self, *steps: tuple[str, Mapping[str, object]], **variables: str) -> list[Any]:
        """Its name, whether anybody is there, its watchdog, variables left for children, and what failed."""
        given = {"NOTIFY_SOCKET": self.address} if self.how != "none" else {}
        environment = os.environ | {"PYTHONPATH": ":".join(self.folders)} | given | variables
        command = [sys.executable, "-c", SPEAK, self.how, json.dumps(steps)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return list(json.loads(done.stdout))

    @property
    def heard(self) -> list[list[str]]:
        """The assignments of each datagram."""
        heard = []
        while True:
            try:
                heard.append(self.listener.recv(4096).decode().splitlines())
            except BlockingIOError:
                return heard


@pytest.fixture(params=["datagrams", "systemd-python"])
def speaker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Speaker]:
    speaker = Speaker(request.param, tmp_path)
    yield speaker
    speaker.listener.close()


def test_the_life_of_a_service_is_told(speaker: Speaker) -> None:
    """sd_notify(3): READY=1, STATUS=, WATCHDOG=1, STOPPING=1 and EXTEND_TIMEOUT_USEC=, each on a line of its own."""
    told = speaker.says(
        ("ready", {"status": "answering 0"}),
        ("beat", {}),
        ("status", {"text": "answering 3"}),
        ("stopping", {"within_s": 36.5}),
    )
    assert (told[0], told[1], told[4]) == (speaker.how, True, "")
    assert speaker.heard == [
        ["READY=1", "STATUS=answering 0"],
        ["WATCHDOG=1"],
        ["STATUS=answering 3"],
        ["STOPPING=1", "EXTEND_TIMEOUT_USEC=36500000"],
    ]


def test_no_status_can_pretend_to_be_another_assignment(speaker: Speaker) -> None:
    """sd_notify(3): a newline-separated list of variable assignments."""
    assert speaker.says(("status", {"text": "fine\nMAINPID=1"}))[4] == "ValueError"
    assert speaker.heard == []


def test_an_abstract_address_is_reached(speaker: Speaker) -> None:
    """sd_notify(3): if the first character of $NOTIFY_SOCKET is "@", the string is an abstract socket's name."""
    name = f"homebred-test-{os.getpid()}-{speaker.how}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind("\0" + name)
        abstract.settimeout(5)
        assert speaker.says(("beat", {}), NOTIFY_SOCKET="@" + name)[4] == ""
        assert abstract.recv(100) == b"WATCHDOG=1\n"


def test_a_manager_that_is_gone_is_an_error_of_state(speaker: Speaker) -> None:
    assert speaker.says(("beat", {}), NOTIFY_SOCKET="/nowhere/notify")[4] == "StateError"


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog_is_this_processs_alone(
    speaker: Speaker, variables: dict[str, str], watchdog_s: float | None
) -> None:
    """sd_watchdog_enabled(3): $WATCHDOG_PID that is set and is not the own process's means another one."""
    told = speaker.says(**variables)
    assert told[2:4] == [watchdog_s, []]


def test_where_no_manager_is_nobody_hears(tmp_path: Path) -> None:
    """sd_notify(3): if $NOTIFY_SOCKET is not set, nothing is sent, and that is no error."""
    speaker = Speaker("none", tmp_path)
    told = speaker.says(
        ("ready", {"status": ""}), ("beat", {}), ("status", {"text": ""}), ("stopping", {"within_s": 1})
    )
    assert told == ["none", False, None, [], ""]
    assert speaker.heard == []
    speaker.listener.close()


def test_the_fake_is_told_the_same_and_fails_the_same() -> None:
    fake = RecordedManager(watchdog_s=3)
    manager: ServiceManager = fake
    manager.ready("answering 0")
    manager.beat()
    manager.stopping(36.5)
    assert fake.told == ["ready: answering 0", "beat", "stopping within 36.5 s"]
    fake.hears = False
    with pytest.raises(StateError):
        manager.beat()


@pytest.mark.parametrize("address", ["relative", "vsock:2:1234"])
def test_an_address_of_another_kind_is_refused_with_what_to_do(address: str) -> None:
    with pytest.raises(ConfigurationError, match="NOTIFY_SOCKET") as refused:
        systemd.DatagramManager(address, None)
    assert refused.value.hint


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    manager = systemd.DatagramManager(str(tmp_path / "full"), None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(str(tmp_path / "full"))
        with pytest.raises(StateError):  # noqa: PT012  # how many it takes is the kernel's affair
            for _ in range(100_000):
                manager.beat()


class TestInheritedSockets:
    """sd_listen_fds(3)."""

    FIRST_FD = 700

    @pytest.fixture
    def listener(self, tmp_path: Path) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "public"))
            listener.listen()
            yield listener

    def inherited(self, *sockets: socket.socket, **variables: str) -> Mapping[str, socket.socket]:
        for offset, one in enumerate(sockets):
            os.dup2(one.fileno(), self.FIRST_FD + offset)
        self.environ = {"LISTEN_PID": "77", "LISTEN_FDS": str(len(sockets)), "PATH": "/bin"} | variables
        return systemd.inherited_sockets(self.environ, 77, self.FIRST_FD)

    def test_come_by_name_and_are_inherited_no_further(self, listener: socket.socket) -> None:
        """$LISTEN_FDNAMES has their names; FD_CLOEXEC is set; the variables are unset so that no child takes them."""
        found = self.inherited(listener, LISTEN_FDNAMES="homebred")
        with found["homebred"] as inherited:
            assert inherited.getsockname() == listener.getsockname()
            assert not inherited.get_inheritable()
        assert list(found) == ["homebred"]
        assert self.environ == {"PATH": "/bin"}

    def test_of_another_process_are_left_alone(self, listener: socket.socket) -> None:
        """$LISTEN_PID must be the own process's."""
        assert self.inherited(listener, LISTEN_PID="78") == {}
        os.close(self.FIRST_FD)

    def test_without_a_name_are_called_unknown(self, listener: socket.socket) -> None:
        found = self.inherited(listener)
        assert list(found) == ["unknown"]
        found["unknown"].close()

    def test_are_none_where_nobody_passes_any(self) -> None:
        assert systemd.inherited_sockets({}, 77) == {}

    @pytest.mark.parametrize("count", ["0", "-1", "two", ""])
    def test_that_cannot_be_counted_are_refused(self, count: str) -> None:
        with pytest.raises(ConfigurationError, match="LISTEN_FDS"):
            self.inherited(LISTEN_FDS=count)

    @pytest.mark.parametrize("names", ["a:b", "a:b:c"])
    def test_that_are_named_otherwise_than_counted_are_refused(self, listener: socket.socket, names: str) -> None:
        with pytest.raises(ConfigurationError, match="under the names"):
            self.inherited(listener, LISTEN_FDNAMES=names)
        os.close(self.FIRST_FD)

    @pytest.mark.parametrize(
        ("family", "kind"),
        [
            (socket.AF_UNIX, socket.SOCK_DGRAM),
            (socket.AF_UNIX, socket.SOCK_STREAM),
            (socket.AF_INET, socket.SOCK_STREAM),
        ],
        ids=["datagrams", "nobody listens", "internet"],
    )
    def test_of_the_wrong_kind_are_refused_with_what_to_do(self, family: int, kind: int) -> None:
        with (
            socket.socket(family, kind) as wrong,
            pytest.raises(ConfigurationError, match="no listening Unix") as refused,
        ):
            self.inherited(wrong, LISTEN_FDNAMES="homebred")
        assert "ListenStream=" in refused.value.hint

    def web_socket(self, address: str) -> socket.socket:
        """What becomes of one that listens at an address over TCP, and may."""
        environ = {"LISTEN_PID": "77", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
        with socket.create_server((address, 0)) as listener:
            os.dup2(listener.fileno(), self.FIRST_FD)
            return systemd.inherited_sockets(environ, 77, self.FIRST_FD, at_loopback=frozenset({"web"}))["web"]

    def test_that_may_be_called_over_tcp_are_taken_at_loopback_alone(self) -> None:
        with self.web_socket("127.0.0.1") as found:
            assert found.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ConfigurationError, match="nor one at"):
            self.web_socket("")

    def test_that_are_no_sockets_are_refused(self, tmp_path: Path) -> None:
        with (tmp_path / "file").open("w") as file:
            os.dup2(file.fileno(), self.FIRST_FD)
        with pytest.raises(ConfigurationError, match="is none"):
            self.inherited(LISTEN_FDS="1", LISTEN_FDNAMES="homebred")
        os.close(self.FIRST_FD)
