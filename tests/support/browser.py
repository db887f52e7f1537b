"""A real browser, Chromium without a screen, and a foreign host whose page it opens.

What the page could read stands in it when it is done. It is not driven: it is opened, waited for, and read.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = shutil.which("chromium")
WHY_NOT = "there is no chromium here: `make test-all` installs it"
PAGE = Path(__file__).with_name("foreign_page.html")
FOREIGN = "127.0.0.2"
"""Another address of this machine's: it may have a port of the same number as the gateway's."""
_GOT = re.compile(r'<pre id="got">(.*?)</pre>', re.DOTALL)
_PAGE_S = 60_000
_ENDS_S = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What the page tries to get at."""

    gateway: str
    """Its address, as the page writes it."""
    token: str
    question: str
    """That nothing but an answer could tell the page: it does not stand in it."""

    def page(self) -> bytes:
        hidden = base64.b64encode(self.question.encode()).decode()
        text = PAGE.read_text(encoding="utf-8").replace("GATEWAY", self.gateway)
        return text.replace("TOKEN", self.token).replace("QUESTION", hidden).encode()


def opened(url: str, folder: Path, *flags: str) -> dict[str, str]:
    """Opens a page; what it got, each way by its name."""
    assert CHROMIUM is not None
    quiet = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
    own = (f"--user-data-dir={folder}", f"--virtual-time-budget={_PAGE_S}", "--dump-dom")
    sandbox = ("--no-sandbox",)  # it cannot make one for root, and the page is our own
    command = [CHROMIUM, *quiet, *sandbox, *own, *flags, url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ENDS_S)
    found = _GOT.search(ended.stdout)
    assert found is not None, ended.stderr
    assert "<title>done</title>" in ended.stdout, ended.stdout
    got: dict[str, str] = json.loads(html.unescape(found[1]))
    return got


@contextmanager
def foreign_host(page: bytes, *, port: int = 0, leads_to: int | None = None) -> Iterator[int]:
    """Serves the page at /, on the port that is yielded; whatever else it is asked goes on unchanged to `leads_to`.

    So a browser sees what it sees after a name was made to lead to this device: one host, page and gateway in it.
    """
    with socket.create_server((FOREIGN, port)) as server:
        threading.Thread(target=_serve, args=(server, page, leads_to), daemon=True).start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts


def _serve(server: socket.socket, page: bytes, leads_to: int | None) -> None:
    with suppress(OSError):  # it is closed when the host is no longer needed
        while True:
            caller, _ = server.accept()
            threading.Thread(target=_answer, args=(caller, page, leads_to), daemon=True).start()


def _answer(caller: socket.socket, page: bytes, leads_to: int | None) -> None:
    with caller, suppress(OSError):
        first = caller.recv(65_536)
        if first.startswith(b"GET / "):
            head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n"
            caller.sendall(f"{head}content-length: {len(page)}\r\n\r\n".encode() + page)
        elif leads_to is None:
            caller.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        else:
            with socket.create_connection(("127.0.0.1", leads_to)) as gateway:
                gateway.sendall(first)
                threading.Thread(target=_pass_on, args=(caller, gateway), daemon=True).start()
                _pass_on(gateway, caller)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65_536):
            sink.sendall(part)
