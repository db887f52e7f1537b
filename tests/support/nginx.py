"""A real nginx on loopback over TLS that gives a folder's files, told in five ways."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.fleet_authority import Authority
from tests.support.free_ports import free_port
from tests.support.made_files import Made

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
WHY_NOT = "there is no nginx here: packaging/tools/test_tools.sh installs it"
READY_WITHIN_S = 20.0
CONFIGURATION = """\
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    sendfile on;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
        root {folder}/files;
        location /plain/ {{ alias {folder}/files/; }}
        location /rangeless/ {{ alias {folder}/files/; max_ranges 0; }}
        location /gzipped/ {{ alias {folder}/files/; gzip on; gzip_types *; gzip_min_length 1; gzip_http_version 1.0; }}
        location /moved/ {{ rewrite ^/moved/(.*)$ /plain/$1 permanent; }}
        location /forbidden/ {{ deny all; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nginx:
    """A running one."""

    url: str
    authorities: Path
    """PEM: who made its certificate."""


@contextmanager
def running_nginx(folder: Path, *files: Made) -> Iterator[Nginx]:
    """One in a new folder, with files as a release's folder has them."""
    assert NGINX is not None, WHY_NOT
    (folder / "files" / "sha256").mkdir(parents=True)
    for one in files:
        (folder / "files" / one.file.digest.replace(":", "/")).write_bytes(one.body)
    Authority("site").server(folder)
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port))
    command = [NGINX, "-c", str(configuration), "-p", str(folder), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command)
    try:
        _wait(port, process, folder / "error.log")
        yield Nginx(url=f"https://127.0.0.1:{port}", authorities=folder / "clients.pem")
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(log_file.read_text(errors="replace"))
