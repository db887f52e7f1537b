"""A real controller on a real broker, in a folder that `init` made, and devices that enrol over HTTPS."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from tests.support.broker import HOST, Broker, context_of, now_s, request_of, running_broker
from tests.support.free_ports import free_port

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.identities import create_token
from homebred_fleet.config import load
from homebred_fleet.core.tokens import new_token
from homebred_protocol.mqtt import Credentials

READY_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back over HTTPS."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Its code."""
        code: str = self.json["error"]["code"]
        return code


@dataclass(slots=True)
class Controller:
    """One `homebred-fleet serve`; `kill` is a crash, `stop` a good end, and either may be followed by `start`."""

    broker: Broker
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    """Beside its file, as variables: `IDENTITY__TOKEN_HOURS` and so on."""
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def folder(self) -> FleetFolder:
        return self.broker.folder

    @property
    def log_file(self) -> Path:
        return self.folder.path / "controller.log"

    @property
    def log(self) -> list[dict[str, Any]]:
        """The events that it wrote so far, those of killed ones too."""
        return [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def admin(self) -> Credentials:
        """The first admin's."""
        pair = self.folder.admin("admin")
        return Credentials(authorities=self.folder.authorities, certificate=pair.certificate, key=pair.key)

    def database(self) -> Database:
        """Its database, for a test to look at; the test closes it."""
        return Database(load(self.folder.settings, {}, {}).database_url)

    def token(
        self,
        *,
        site: str = "clinic",
        labels: Mapping[str, str] | None = None,
        device: str = "",
        replaces: str = "",
        life_s: int = 3600,
    ) -> str:
        """A new token, as an admin makes one."""
        made = new_token(
            site=site,
            labels=labels or {},
            device=device,
            replaces=replaces,
            life_s=life_s,
            by="test",
            now_s=now_s(),
            random_bytes=os.urandom,
        )
        database = self.database()
        try:
            with database.writing() as connection:
                create_token(connection, made.token, token_hash=made.hash)
        finally:
            database.close()
        return made.text

    def ask(
        self,
        method: str,
        path: str,
        *,
        credentials: Credentials | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Reply:
        """One request over a connection of its own. Raises OSError, also where the handshake is refused."""
        tls = context or (context_of(credentials) if credentials is not None else self.context())
        connection = HTTPSConnection("localhost", self.port, context=tls, timeout=30)
        try:
            connection.request(method, path, body=body or None, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Reply(status=answer.status, headers=dict(answer.getheaders()), body=answer.read())
        finally:
            connection.close()

    def context(self) -> ssl.SSLContext:
        """TLS of somebody without a certificate."""
        return ssl.create_default_context(cafile=str(self.folder.authorities))

    def ask_to_enrol(self, token: str, key: making.Key, name: str = "whatever") -> Reply:
        """What comes back for a token and a key."""
        basic = base64.b64encode(f"token:{token}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/pkcs10"}
        body = base64.encodebytes(request_of(key, name))
        return self.ask("POST", "/.well-known/est/simpleenroll", body=body, headers=headers)

    def enrol(self, token: str | None = None, key: making.Key | None = None) -> Device:
        """A device that was let in."""
        key = key or making.new_key()
        return self.device(key, self.ask_to_enrol(token or self.token(), key))

    def device(self, key: making.Key, reply: Reply) -> Device:
        """Who was let in by an answer."""
        assert reply.status == 200, reply.body
        certificates = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.body))
        (own,) = [one for one in certificates if one.public_key() == key.public_key()]
        (name,) = own.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        target = self.folder.path / "enrolled" / making.serial_text(own.serial_number)
        target.mkdir(parents=True)
        (target / "key.pem").write_bytes(making.key_pem(key))
        chain = [own, *(one for one in certificates if one is not own)]
        (target / "certificate.pem").write_bytes(making.pem_of(*chain))
        credentials = Credentials(
            authorities=self.folder.authorities, certificate=target / "certificate.pem", key=target / "key.pem"
        )
        return Device(str(name.value), credentials, own)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with self.log_file.open("ab") as log:
            command = [sys.executable, "-m", "homebred_fleet", "serve", "--config", str(self.folder.settings)]
            environ = os.environ | {f"HOMEBRED_FLEET_{name}": value for name, value in self.settings.items()}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.log_file.read_text()
            try:
                self.ask("GET", "/.well-known/est/cacerts")
            except (OSError, HTTPException):
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"the controller does not answer: {self.log_file.read_text()}")

    def stop(self) -> int:
        """Ends it in good order; its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = None
        return status


@dataclass(frozen=True, slots=True)
class Device:
    """A device that was let in."""

    id: str
    credentials: Credentials
    certificate: x509.Certificate


@contextmanager
def running_controller(path: Path, **settings: str) -> Iterator[Controller]:
    """A controller and its broker in a new folder; on leaving both end, and the controller is held to a clean exit."""
    port = free_port()
    with running_broker(path, http_port=port) as broker:
        controller = Controller(broker, port, settings)
        controller.start()
        try:
            yield controller
        finally:
            status = controller.stop()
    assert status == 0, controller.log_file.read_text()


__all__ = ["HOST", "Controller", "Device", "Reply", "running_controller"]
