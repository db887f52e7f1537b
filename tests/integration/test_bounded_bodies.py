"""Requests' bodies over real HTTPS: of who shows no admin's certificate not a byte is read, nobody is waited for."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support.admin_server import AdminServer, running_admin_server

from homebred_fleet.adapters.http_api import bodies
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.errors import FleetError

pytestmark = pytest.mark.xdist_group("the admin API")
HEAD = "{} HTTP/1.1\r\nHost: controller\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminServer]:
    folder = tmp_path_factory.mktemp("controller")
    database = Database(f"sqlite:///{folder}/fleet.db")
    database.upgrade()
    with pytest.MonkeyPatch.context() as patch, running_admin_server(folder, database) as running:
        for name in ("ADMINS", "ANYBODYS"):
            patch.setattr(bodies, name, replace(getattr(bodies, name), within_s=0.3))
        yield running
    database.close()


def line_to(server: AdminServer, *, role: str = "") -> ssl.SSLSocket:
    profile = server.profile(role or "admin")
    context = ssl.create_default_context(cafile=str(profile.authorities))
    if role:
        context.load_cert_chain(profile.certificate, profile.key)
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def answer_on(line: ssl.SSLSocket) -> tuple[int, str]:
    response = http.client.HTTPResponse(line)
    response.begin()
    return response.status, json.loads(response.read())["error"]["code"]


@pytest.mark.parametrize(
    "path", ["commands", "assignments", "stop", "tokens", "devices/clinic-1/revoke", "documents/gazetteer", "nothing"]
)
def test_whoever_shows_no_certificate_is_refused_before_a_byte_of_a_body(server: AdminServer, path: str) -> None:
    with line_to(server) as line:
        line.sendall(HEAD.format(f"POST /api/v1/{path}", 24_000_000).encode())
        assert answer_on(line) == (401, "certificate_needed")


def test_an_admin_who_was_removed_is_refused_as_early(server: AdminServer) -> None:
    with pytest.raises(FleetError) as refused:
        server.client("admin", known=False).send("POST", "commands", body={"op": "x" * 1_000_000})
    assert refused.value.code == "certificate_needed"


def test_an_admins_json_has_a_small_bound_and_a_document_its_own(server: AdminServer) -> None:
    with line_to(server, role="admin") as line:
        line.sendall(HEAD.format("POST /api/v1/commands", 10_000_000).encode() + b"[" * 70_000)
        assert answer_on(line) == (413, "too_long")
    text = b"".join(b'{"text": "Ada %d", "class": "patient"}\n' % number for number in range(3000))
    assert len(text) > bodies.ADMINS.max_bytes
    with line_to(server, role="admin") as line:
        line.sendall(HEAD.format("POST /api/v1/documents/gazetteer?site=clinic-east", len(text)).encode() + text)
        response = http.client.HTTPResponse(line)
        response.begin()
        assert response.status == 200


@pytest.mark.parametrize("part", [b"", b'{"op": '])
def test_a_body_that_does_not_come_holds_its_connection_for_a_time_only(server: AdminServer, part: bytes) -> None:
    began = time.monotonic()
    with line_to(server, role="admin") as line:
        line.sendall(HEAD.format("POST /api/v1/commands", 10).encode() + part)
        response = http.client.HTTPResponse(line)
        response.begin()
        assert (response.status, response.getheader("connection")) == (408, "close")
        response.read()
        assert line.recv(1) == b""
    assert time.monotonic() - began < 5
