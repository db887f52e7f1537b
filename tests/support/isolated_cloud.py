"""A stand-in cloud in a network namespace of its own, where every packet is kept: `with IsolatedCloud(folder) as it:`.

The packets come from a packet(7) socket that sees what tshark would see; there is no other way out of the namespace
than its loopback. `python -m tests.support.isolated_cloud FOLDER` is the process inside.
"""

from __future__ import annotations

import ctypes
import fcntl
import shutil
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from homebred_daemon.demo.stand_in_cloud import Fault, StandInCloud

ISOLATED = ("unshare", "--net", "--map-root-user")
is_possible = (
    shutil.which("nsenter") is not None
    and subprocess.run([*ISOLATED, "true"], capture_output=True, check=False).returncode == 0
)

_ROOT = Path(__file__).resolve().parents[2]
_ENDED_WITHIN_S = 30.0
_EVERY_PROTOCOL = socket.htons(0x0003)  # ETH_P_ALL
_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # packet(7)
_BUFFER_BYTES = 1 << 24
"""The system's own limit is less; what did not fit is counted as lost."""
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER of socket(7)
_POLL_S = 0.2
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_ETHERNET_BYTES, _IPV6_BYTES = 14, 40
_IPV4, _TCP = b"\x08\x00", 6


@dataclass(slots=True)
class IsolatedCloud:
    """The namespace and what is in it."""

    folder: Path
    base_url: str = ""
    _process: subprocess.Popen[str] | None = field(default=None)

    def __enter__(self) -> Self:
        """Starts it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*ISOLATED, sys.executable, "-m", "tests.support.isolated_cloud", str(self.folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=_ROOT
        )
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        assert self.base_url, "the namespace did not come up"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it; what it kept can be read then."""
        assert self._process is not None
        try:
            self._process.communicate(timeout=_ENDED_WITHIN_S)
        finally:
            self._process.kill()
            self._process.wait()

    @property
    def way_in(self) -> list[str]:
        """What runs a command inside."""
        assert self._process is not None
        return ["nsenter", "--user", "--preserve-credentials", "--net", "--target", str(self._process.pid)]

    @property
    def namespace(self) -> Path:
        """Its name, as links below /proc have it."""
        assert self._process is not None
        return Path("/proc", str(self._process.pid), "ns", "net").readlink()

    def will(self, fault: Fault) -> None:
        """How the next request goes wrong."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{fault}\n")

    @property
    def received(self) -> bytes:
        """All that the cloud was sent, requests whole."""
        return (self.folder / "received").read_bytes()

    @property
    def on_the_wire(self) -> bytes:
        """All that any process in the namespace sent, over whatever protocol, streams put together."""
        return (self.folder / "wire").read_bytes()

    @property
    def lost_packets(self) -> int:
        """How many the capture missed."""
        return int((self.folder / "lost").read_text())


def _main() -> None:
    folder, ended = Path(sys.argv[1]), threading.Event()
    _raise_loopback()
    with StandInCloud() as cloud, _every_packet(urlsplit(cloud.base_url).port or 0) as packets:
        flows: dict[bytes, bytearray] = {}
        capture = threading.Thread(target=_keep, args=(packets, flows, ended), daemon=True)
        capture.start()
        sys.stdout.write(f"{cloud.base_url}\n")
        sys.stdout.flush()
        for line in sys.stdin:
            cloud.will(Fault(line.strip()))
        ended.set()
        capture.join()
        _, lost = struct.unpack("II", packets.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        (folder / "lost").write_text(str(lost))
        (folder / "wire").write_bytes(b"\n".join(flows.values()))
        requests = [f"{got.method} {got.path} {got.headers}\n".encode() + got.body for got in list(cloud.received)]
        (folder / "received").write_bytes(b"\n".join(requests))


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def _every_packet(cloud_port: int) -> socket.socket:
    """Whatever anybody but the cloud sends, once, less the bare acknowledgements of TCP."""
    program = b"".join(struct.pack("HBBI", *step) for step in _filter(cloud_port))
    buffer = ctypes.create_string_buffer(program)
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, _EVERY_PROTOCOL)
    about = struct.pack("HL", len(program) // 8, ctypes.addressof(buffer))
    packets.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, about)
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    packets.settimeout(_POLL_S)
    return packets


def _filter(cloud_port: int) -> tuple[tuple[int, int, int, int], ...]:
    """Classic BPF: operation, jump if true, jump if false, operand."""
    return (
        (0x20, 0, 0, 0xFFFFF004),  # A = type of packet: loopback shows each twice
        (0x15, 0, 15, 4),  # not PACKET_OUTGOING: drop
        (0x28, 0, 0, 12),  # A = protocol
        (0x15, 0, 14, 0x0800),  # not IPv4: keep
        (0x30, 0, 0, 23),
        (0x15, 0, 12, 6),  # not TCP: keep
        (0xB1, 0, 0, 14),  # X = length of the IP header
        (0x48, 0, 0, 14),  # A = source port
        (0x15, 8, 0, cloud_port),  # the cloud's: drop
        (0x50, 0, 0, 26),
        (0x54, 0, 0, 0xF0),
        (0x74, 0, 0, 2),  # A = length of the TCP header
        (0x0C, 0, 0, 0),
        (0x04, 0, 0, 14),
        (0x07, 0, 0, 0),  # X = where the payload begins
        (0x80, 0, 0, 0),  # A = length of the packet
        (0x2D, 1, 0, 0),  # it has a payload: keep
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 1 << 18),  # keep
    )


def _keep(packets: socket.socket, flows: dict[bytes, bytearray], ended: threading.Event) -> None:
    """Takes packets until none has come for a moment after the end."""
    while True:
        try:
            packet = packets.recv(1 << 17)
        except TimeoutError:
            if ended.is_set():
                return
            continue
        flow, payload = _parted(packet)
        flows.setdefault(flow, bytearray()).extend(payload)


def _parted(packet: bytes) -> tuple[bytes, bytes]:
    """What tells one direction of a connection from others, and what the packet adds to it."""
    ip = packet[_ETHERNET_BYTES:]
    if packet[12:14] == _IPV4:
        header_bytes, addresses, protocol = (ip[0] & 15) * 4, ip[12:20], ip[9]
    else:
        header_bytes, addresses, protocol = _IPV6_BYTES, ip[8:40], ip[6]
    if protocol != _TCP:
        return b"", packet
    inner = ip[header_bytes:]
    return addresses + inner[:4], inner[(inner[12] >> 4) * 4 :]


if __name__ == "__main__":
    _main()
