"""A real S3-compatible store (SeaweedFS) on loopback over TLS, with one bucket for everybody and one for its key alone.

It keeps what it is given in a folder, calls nobody, and ends with whoever started it.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.broker import now_s
from tests.support.fleet_authority import Authority
from tests.support.free_ports import free_port
from tests.support.made_files import Made

from homebred_fleet.core.presigning import StoreKey, presigned

WEED = Path(__file__).parents[2] / ".cache" / "seaweedfs" / "weed"
WHY = "it fetches a store of 48 MB; test_blobs_https holds the redirect that leads to one"
KEY = StoreKey(region="us-east-1", key_id="AKIDHOMEBRED", secret="Gx3n7Yq0aLr5")  # noqa: S106  # made for these tests
SERVERS = ("master", "volume", "filer", "s3")
"""Its parts, each on ports of its own."""
OPEN, CLOSED = "open", "closed"
READY_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A running one."""

    url: str
    authorities: Path
    """PEM: who made its certificate."""
    log_file: Path

    def put(self, bucket: str, *files: Made) -> str:
        """Has the bucket hold files as a publisher copies them there; what their addresses begin with."""
        base = f"{self.url}/{bucket}/fleet"
        for address, body in [
            (f"{self.url}/{bucket}", b""),
            *((f"{base}/{one.file.digest.replace(':', '/')}", one.body) for one in files),
        ]:
            status = self.ask("PUT", presigned(address, KEY, method="PUT", now_s=now_s(), life_s=60), body)
            assert status in {200, 409}, f"{address}: {status}"
        return base

    def ask(self, method: str, address: str, body: bytes | None = None) -> int:
        """The status that it answers with."""
        url = urlsplit(address)
        connection = HTTPSConnection(
            url.netloc, timeout=30, context=ssl.create_default_context(cafile=self.authorities)
        )
        try:
            connection.request(method, f"{url.path}?{url.query}", body)
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def running_store(folder: Path) -> Iterator[Store]:
    """One in a new folder."""
    folder.mkdir()
    (folder / "data").mkdir()
    Authority("store").server(folder)
    identities = {
        "identities": [
            {
                "name": "fleet",
                "credentials": [{"accessKey": KEY.key_id, "secretKey": KEY.secret}],
                "actions": ["Admin", "Read", "Write", "List"],
            },
            {"name": "anonymous", "actions": [f"Read:{OPEN}"]},
        ]
    }
    (folder / "s3.json").write_text(json.dumps(identities))
    port = free_port()
    command = [str(WEED), "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    command += [
        "-master.telemetry=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=100",
        "-master.volumeSizeLimitMB=64",
    ]
    command += [f"-{one}.port{kind}={free_port()}" for one in SERVERS for kind in ("", ".grpc")]
    command += [f"-s3.port.https={port}", f"-s3.config={folder / 's3.json'}"]
    command += [f"-s3.{part}.file={folder / 'server.pem'}" for part in ("cert", "key")]
    log_file = folder / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    store = Store(url=f"https://127.0.0.1:{port}", authorities=folder / "clients.pem", log_file=log_file)
    try:
        _wait(store, process)
        yield store
    finally:
        process.terminate()
        process.wait(30)


def _wait(store: Store, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if store.ask("GET", f"{store.url}/{OPEN}/nothing") in {403, 404}:
                return
        except (OSError, HTTPException):
            pass
        time.sleep(0.1)
    raise AssertionError(store.log_file.read_text(errors="replace")[-4000:])
