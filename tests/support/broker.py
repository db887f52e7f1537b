"""A real mosquitto with the files that `homebred-fleet init` makes, on a port of its own, and clients' credentials.

It starts no controller. Every process that it starts ends with it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tests.support.free_ports import free_port

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.certificate_authority import CertificateAuthority
from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.app import founding
from homebred_fleet.ports.authority import Issued
from homebred_protocol.mqtt import Credentials

READY_WITHIN_S = 10.0
HOST = "127.0.0.1"


def mosquitto() -> str:
    """Its program: Debian keeps it where only root looks."""
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert found is not None, "mosquitto is not there: packaging/tools/test_tools.sh installs it"
    return found


def found(path: Path, *, broker_port: int, http_port: int = 0) -> FleetFolder:
    """A controller's folder as `homebred-fleet init` makes it, whose broker runs as whoever runs the tests."""
    own = pwd.getpwuid(os.geteuid()).pw_name
    plan = founding.Plan(http_port=http_port or free_port(), broker_port=broker_port, broker_user=own)
    founding.found(FleetFolder(path), plan, now_s())
    return FleetFolder(path)


def now_s() -> int:
    """Unix seconds."""
    return time.time_ns() // 1_000_000_000


def request_of(key: making.Key, name: str = "whatever") -> bytes:
    """A PKCS#10 request, DER, of somebody who claims a name."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@dataclass(slots=True)
class Broker:
    """One mosquitto; `kill` is a crash, `stop` a good end, and either may be followed by `start`."""

    folder: FleetFolder
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def log_file(self) -> Path:
        """What it writes."""
        return self.folder.path / "mosquitto.log"

    @property
    def log(self) -> str:
        """All that it wrote so far."""
        return self.log_file.read_text(errors="replace")

    @property
    def authority(self) -> CertificateAuthority:
        """Who issues here."""
        return CertificateAuthority.opened(self.folder)

    @property
    def controller(self) -> Credentials:
        """The controller's own."""
        pair = self.folder.controller
        return Credentials(authorities=self.folder.authorities, certificate=pair.certificate, key=pair.key)

    def device(self, name: str) -> Credentials:
        """Credentials of a device, made where it has none yet; no controller knows of it."""
        target = self.folder.path / "devices" / name
        if not target.is_dir():
            key = making.new_key()
            self.write(name, key, self.authority.issue_to_device(request_of(key), name, now_s=now_s()))
        return self._credentials(target)

    def write(self, name: str, key: making.Key, issued: Issued) -> Credentials:
        """Keeps a key and its certificate as a device's."""
        target = self.folder.path / "devices" / name
        target.mkdir(parents=True, exist_ok=True)
        (target / "key.pem").write_bytes(making.key_pem(key))
        (target / "certificate.pem").write_bytes(self.authority.with_chain(issued.pem))
        return self._credentials(target)

    def start(self) -> None:
        """Starts it and waits until it listens."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [mosquitto(), "-c", str(self.folder.broker_settings)], stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.log
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError(f"mosquitto does not listen: {self.log}")

    def reload(self) -> None:
        """Has it read its files again."""
        self._running().send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Ends it in good order: it writes what it keeps."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._end(signal.SIGKILL)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "it was never started"
        return self.process

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _credentials(self, target: Path) -> Credentials:
        return Credentials(
            authorities=self.folder.authorities, certificate=target / "certificate.pem", key=target / "key.pem"
        )


@contextmanager
def running_broker(path: Path, *, http_port: int = 0) -> Iterator[Broker]:
    """A broker in a new controller's folder."""
    port = free_port()
    broker = Broker(found(path, broker_port=port, http_port=http_port), port)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def context_of(credentials: Credentials) -> ssl.SSLContext:
    """TLS as a client with a certificate."""
    context = ssl.create_default_context(cafile=str(credentials.authorities))
    context.load_cert_chain(str(credentials.certificate), str(credentials.key))
    return context
