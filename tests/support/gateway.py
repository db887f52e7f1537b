"""A daemon whose gateway is open, and the ways to call it: OpenAI's own client, and bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from openai import OpenAI
from tests.support.daemon_process import Site
from tests.support.free_ports import free_port
from tests.support.wire_client import DaemonClient

TOKEN = "desk-0123456789abcdef0123456789abcdef"  # noqa: S105  # of a daemon that a test starts
OTHER_TOKEN = "door-0123456789abcdef0123456789abcdef"  # noqa: S105
POLICY = """version = 1
[workflows."letter.sort"]
floor = 0.5
[callers."token:door"]
adds_classes = ["patient"]
workflows = ["letter.sort"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGateway:
    """Where it is, and the daemon behind it."""

    port: int
    daemon: DaemonClient

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def client(self, token: str = TOKEN, **options: object) -> OpenAI:
        """OpenAI's client, unmodified, which tries nothing again."""
        return OpenAI(base_url=self.base_url, api_key=token, max_retries=0, timeout=20, **options)  # type: ignore[arg-type]

    def connected(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def exchanged(self, request: bytes) -> bytes:
        """What comes for a request whose answer ends the connection."""
        with self.connected() as caller:
            caller.sendall(request)
            return received(caller)

    def head(self, line: str, **headers: str) -> bytes:
        """A request's head with Host and token, each of which a header may replace."""
        told = {"host": f"127.0.0.1:{self.port}", "authorization": f"Bearer {TOKEN}"} | headers
        lines = [line, *(f"{name.replace('_', '-')}: {text}" for name, text in told.items() if text)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def received(caller: socket.socket) -> bytes:
    """Everything until the other side ends."""
    parts = []
    while part := caller.recv(65_536):
        parts.append(part)
    return b"".join(parts)


@contextmanager
def gateway_of(site: Site, further: str = "", *, policy: str = POLICY, own: str = "") -> Iterator[OpenGateway]:
    """A running daemon with an open gateway; `own` is more of its [gateway] table, `further` of the whole file."""
    port = free_port()
    for name, token in (("desk", TOKEN), ("door", OTHER_TOKEN)):
        file = site.folder / f"{name}.token"
        file.touch(mode=0o600)
        file.write_text(token + "\n")
    (site.folder / "policy.toml").write_text(policy)
    config = site.folder / "homebred.toml"
    config.write_text(
        f'[gateway]\nenabled = true\nport = {port}\n{own}\n[gateway.tokens.desk]\nfile = "{site.folder}/desk.token"\n'
        f'[gateway.tokens.door]\nfile = "{site.folder}/door.token"\n{further}'
    )
    flags = ("--config", str(config), "--policy", str(site.folder / "policy.toml"))
    with site.daemon(*flags) as daemon:
        yield OpenGateway(port=port, daemon=daemon)
