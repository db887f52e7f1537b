"""A real dbus-daemon for a test alone, and a NetworkManager's stand-in on it.

The stand-in has the properties of the real one with their types; `tests/scenario/test_real_network_manager.py` holds it
to that. Like the real one it says what has changed, in one signal, and answers questions.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.threading import DBusConnection, ReceiveStopped, open_dbus_connection
from typing_extensions import override

NAME, PATH = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
PROPERTIES: dict[str, tuple[str, Any]] = {
    "ActivatingConnection": ("o", "/"),
    "ActiveConnections": ("ao", []),
    "AllDevices": ("ao", []),
    "Capabilities": ("au", [1]),
    "Checkpoints": ("ao", []),
    "Connectivity": ("u", 4),
    "ConnectivityCheckAvailable": ("b", False),
    "ConnectivityCheckEnabled": ("b", False),
    "ConnectivityCheckUri": ("s", ""),
    "Devices": ("ao", []),
    "GlobalDnsConfiguration": ("a{sv}", {}),
    "Metered": ("u", 0),
    "NetworkingEnabled": ("b", True),
    "PrimaryConnection": ("o", "/"),
    "PrimaryConnectionType": ("s", ""),
    "RadioFlags": ("u", 0),
    "Startup": ("b", False),
    "State": ("u", 70),
    "Version": ("s", "1.42.4"),
    "VersionInfo": ("au", [1, 76292]),
    "WimaxEnabled": ("b", False),
    "WimaxHardwareEnabled": ("b", False),
    "WirelessEnabled": ("b", True),
    "WirelessHardwareEnabled": ("b", True),
    "WwanEnabled": ("b", True),
    "WwanHardwareEnabled": ("b", True),
}
"""Type and value of each, as NetworkManager 1.42.4 has them."""
_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@contextmanager
def system_bus(folder: Path) -> Iterator[str]:
    """A bus, for as long as the context lasts; its address. The same folder gives the same address again."""
    folder.mkdir(exist_ok=True)
    socket, configuration = folder / "bus", folder / "bus.conf"
    configuration.write_text(_CONFIGURATION.format(socket=socket))
    command = ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--nopidfile", "--print-address"]
    bus = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert bus.stdout is not None
        assert bus.stdout.readline(), "dbus-daemon did not come up"
        yield f"unix:path={socket}"
    finally:
        bus.terminate()
        bus.communicate(timeout=10)
        socket.unlink(missing_ok=True)


class Caller:
    """Anybody on a bus."""

    def __init__(self, bus: str) -> None:
        self.connection: DBusConnection = open_dbus_connection(bus)

    def __enter__(self) -> Self:
        """Is there."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Is gone."""
        self.connection.close()

    def tell_changes(self, values: Mapping[str, object], *, to: str | None = None) -> None:
        """Says that properties of NetworkManager have changed; `to`: one connection alone."""
        changed = {name: (PROPERTIES[name][0], value) for name, value in values.items()}
        emitter = DBusAddress(PATH, interface="org.freedesktop.DBus.Properties")
        signal = new_signal(emitter, "PropertiesChanged", "sa{sv}as", (NAME, changed, []))
        if to is not None:
            signal.header.fields[HeaderFields.destination] = to
        self.connection.send(signal)


class StandInNetworkManager(Caller):
    """NetworkManager, for as long as the context lasts."""

    def __init__(self, bus: str, **values: object) -> None:
        super().__init__(bus)
        self.asked_by: list[str] = []
        """The connections that asked for its properties."""
        self._values = {name: value for name, (_, value) in PROPERTIES.items()} | values
        self._answering = threading.Thread(target=self._answer)
        self._answering.start()
        self.connection.send(message_bus.RequestName(NAME))

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Is gone."""
        self.connection.interrupt()
        self._answering.join()
        super().__exit__(kind, error, trace)

    def says(self, **values: object) -> None:
        """Changes properties, and says so."""
        self._values |= values
        self.tell_changes(values)

    def _answer(self) -> None:
        try:
            while True:
                message = self.connection.receive()
                if message.header.message_type is MessageType.method_call:
                    self.connection.send(self._answer_to(message))
        except (ReceiveStopped, ConnectionError):
            pass  # the end of the test, or of the bus

    def _answer_to(self, message: Message) -> Message:
        fields = message.header.fields
        match fields.get(HeaderFields.member), message.body:
            case "GetAll", (str(name),) if name == NAME:
                self.asked_by.append(fields[HeaderFields.sender])
                values = {name: (kind, self._values[name]) for name, (kind, _) in PROPERTIES.items()}
                return new_method_return(message, "a{sv}", (values,))
            case _:
                return new_error(message, "org.freedesktop.DBus.Error.UnknownMethod")
