"""Releases' files and signed repositories sent to a controller over real HTTPS, by commands, over broken links."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.admin_server import AdminServer, running_admin_server
from tests.support.broker import now_s
from tests.support.command_line import Ended, fleet_here
from tests.support.cutting_proxy import CuttingProxy
from tests.support.image_repository import SignedFleet, write_online_key
from tests.support.release_sources import write_source

from homebred_fleet.adapters.admin_client import AdminClient
from homebred_fleet.adapters.blob_sending import BlobSending
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import ControllerUnreachableError, FleetError, NoRoomError, RequestError
from homebred_protocol.digests import digest_of

pytestmark = pytest.mark.xdist_group("publishing")
BASE = bytes(range(256)) * 20_000
"""More than one piece."""
Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminServer]:
    folder = tmp_path_factory.mktemp("controller")
    database = Database(f"sqlite:///{folder}/fleet.db")
    database.upgrade()
    with running_admin_server(folder, database) as running:
        yield running
    database.close()


@pytest.fixture
def run(server: AdminServer, tmp_path: Path) -> Run:
    """A command of somebody with a role."""

    def ran(*words: str | Path, role: str = "publisher", status: int = 0) -> Ended:
        profile = tmp_path / f"{role}.toml"
        server.write_profile(profile, role)
        ended = fleet_here(*words, environ={"HOMEBRED_FLEET_PROFILE": str(profile)})
        assert ended.status == status, ended
        return ended

    return ran


def document(ended: Ended) -> dict[str, Any]:
    (line,) = ended.lines
    assert isinstance(line, dict)
    return line


@pytest.fixture
def bundle(run: Run, tmp_path: Path) -> Path:
    source = write_source(tmp_path / "source", base=BASE[:1000] + str(tmp_path).encode())
    run("release", "build", source, "-o", tmp_path / "bundle")
    return tmp_path / "bundle"


def kept(server: AdminServer, bundle: Path) -> list[bool]:
    names = [blob.name for blob in (bundle / "blobs/sha256").iterdir()]
    return [server.releases.read(f"sha256:{name}") is not None for name in names]


def test_a_releases_files_are_brought_whole_and_only_what_is_missing_is_sent(
    server: AdminServer, run: Run, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    run("release", "build", write_source(tmp_path / "source", base=BASE), "-o", bundle)
    blobs = list((bundle / "blobs/sha256").iterdir())
    told = document(run("release", "publish", bundle, "--json"))
    sizes = sum(blob.stat().st_size for blob in blobs)
    assert told == {"target": "models/clinic/intake/7.json", "files": len(blobs), "bytes_sent": sizes}
    assert all(kept(server, bundle))
    assert document(run("release", "publish", bundle, "--json"))["bytes_sent"] == 0
    said = run("release", "publish", bundle).out
    assert said.splitlines()[0] == f"on the controller: {len(blobs)} files of models/clinic/intake/7.json, 0 bytes sent"
    rows = list(server.client("viewer").pages("audit", "before", "audit", limit=100))
    assert {row["actor"] for row in rows if row["action"] == "release.publish"} == {"publisher-known"}


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_may_not_publish_sends_nothing(
    server: AdminServer, run: Run, bundle: Path, role: str, tmp_path: Path
) -> None:
    fleet = SignedFleet(tmp_path / "signed", now_s=now_s())
    for words in (("release", "publish", bundle), ("repository", "upload", fleet.image.published.parent)):
        ended = run(*words, "--json", role=role, status=4)
        assert document(ended)["error"]["code"] == "not_permitted"
    client = server.client(role)
    with pytest.raises(FleetError) as refused:
        client.upload("releases", "blobs", digest_of(b"x"), body=b"x", offset=0, length=1)
    assert refused.value.code == "not_permitted"
    assert server.publishing.blobs.came(digest_of(b"x")).length == 0


def test_a_release_that_is_not_whole_is_not_sent(run: Run, bundle: Path) -> None:
    (bundle / "blobs/sha256" / digest_of(b"").removeprefix("sha256:")).unlink()
    error = document(run("release", "publish", bundle, "--json", status=2))["error"]
    assert "is not whole" in error["message"]


def line_to(server: AdminServer) -> ssl.SSLSocket:
    profile = server.profile("publisher")
    context = ssl.create_default_context(cafile=str(profile.authorities))
    context.load_cert_chain(profile.certificate, profile.key)
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def send_part(server: AdminServer, body: bytes, end: int) -> None:
    """A link that stands still in the middle of a request, and breaks off then."""
    with line_to(server) as line:
        head = f"POST /api/v1/releases/blobs/{digest_of(body)}?offset=0&length={len(body)} HTTP/1.1\r\nHost: c\r\n"
        line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:end])
        deadline_s = time.monotonic() + 10
        while (came := server.publishing.blobs.came(digest_of(body)).length) < end:
            assert time.monotonic() < deadline_s, came
            time.sleep(0.005)


def sending(server: AdminServer, *path: str) -> BlobSending:
    return BlobSending(server.client("publisher"), *(path or ("releases", "blobs")), pause=lambda _: time.sleep(0.01))


def test_what_the_controllers_disk_has_damaged_is_mended_by_sending_it_again(server: AdminServer) -> None:
    body = b"what a disk will damage" * 1000
    digest, publishing = digest_of(body), BlobSending(server.client("publisher"), "releases", "blobs", mends=True)
    assert publishing.send(digest, len(body), body, lambda _: None).bytes_sent == len(body)
    path = server.releases.path_of(digest)
    assert path is not None
    path.write_bytes(body[:-1] + b"?")
    assert publishing.send(digest, len(body), body, lambda _: None).bytes_sent == len(body)
    assert server.releases.read(digest) == body
    assert publishing.send(digest, len(body), body, lambda _: None).bytes_sent == 0
    rows = list(server.client("viewer").pages("audit", "before", "audit", limit=100))
    noted = [row["action"] for row in rows if row["target"] == digest]
    assert noted == ["release.publish", "release.blob_damaged", "release.publish"]


def test_an_upload_that_is_cut_at_any_byte_goes_on_from_there(server: AdminServer, thorough: bool) -> None:  # noqa: FBT001 - a fixture
    for cut in range(0, 101, 1 if thorough else 20):
        body = bytes([cut]) * 100
        send_part(server, body, cut)
        assert sending(server).send(digest_of(body), len(body), body, lambda _: None).bytes_sent == 100 - cut
        assert server.releases.read(digest_of(body)) == body


def test_an_upload_over_a_link_that_is_cut_again_and_again_comes_to_its_end(server: AdminServer) -> None:
    body = BASE[:3_000_000]
    with CuttingProxy(server.port, cuts=12, seed=7, limit=lambda random: random.randrange(6000)) as link:
        client = AdminClient(replace(server.profile("publisher"), url=f"https://127.0.0.1:{link.port}"))
        through = BlobSending(client, "releases", "blobs", pause=lambda _: None, piece_bytes=400_000)
        while not server.publishing.blobs.came(digest_of(body)).is_whole:
            with suppress(ControllerUnreachableError):  # the command is given again
                through.send(digest_of(body), len(body), body, lambda _: None)
        assert link.cuts == 12
    assert server.releases.read(digest_of(body)) == body


def test_other_bytes_than_were_announced_are_refused_and_the_right_ones_are_taken_then(server: AdminServer) -> None:
    body = b"what was built" * 100
    with pytest.raises(RequestError, match="thrown away"):
        sending(server).send(digest_of(body), len(body), body[:-1] + b"x", lambda _: None)
    assert server.releases.path_of(digest_of(body)) is None
    assert sending(server).send(digest_of(body), len(body), body, lambda _: None).bytes_sent == len(body)


def test_a_refusal_is_heard_even_in_the_middle_of_a_large_piece(
    server: AdminServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.publishing.blobs, "_reserve_bytes", 2**60)
    body = b"x" * 4_000_000
    with pytest.raises(NoRoomError, match="bytes free"):
        sending(server).send(digest_of(body), len(body), body, lambda _: None)


def test_a_piece_has_its_bound(server: AdminServer) -> None:
    body = b"y" * (4 * 1024 * 1024 + 1)
    with pytest.raises(FleetError):
        server.client("publisher").upload("releases", "blobs", digest_of(body), body=body, offset=0, length=len(body))
    assert server.publishing.blobs.came(digest_of(body)).length < len(body)


def test_signed_repositories_are_brought_and_what_is_served_is_shown_to_anybody_who_may_look(
    server: AdminServer, run: Run, tmp_path: Path
) -> None:
    fleet = SignedFleet(tmp_path / "signed", now_s=now_s())
    fleet.release("qa", "intake", 1)
    fleet.publish()
    image, director = (one.published.parent for one in (fleet.image, fleet.director_root))
    told = document(run("repository", "upload", image, "--json"))
    assert (told["repository"], told["changed"], told["targets"], told["note"]) == ("image", True, 1, "")
    said = run("repository", "upload", director).out
    assert "director is served from now on: root 1" in said
    assert "note: the controller cannot sign under it: " in said
    write_online_key(server.folder.path / "online.key")
    assert document(run("repository", "upload", director, "--json"))["note"] == ""
    shown = document(run("repository", "served", "--json", role="viewer"))
    assert shown["image"]["root_digest"] == fleet.image.roots()[0].digest
    assert shown["director"]["root_digest"] == fleet.director_root.roots()[0].digest
    assert fleet.image.roots()[0].digest in run("repository", "served", role="viewer").out
    again = document(run("repository", "upload", image, "--json"))
    assert (again["changed"], again["bytes_sent"]) == (False, 0)
    refuse_the_tampered(server, run, image, tmp_path)
    fleet.release("qa", "intake", 2)
    fleet.publish()
    assert document(run("repository", "upload", image, "--json"))["targets"] == 2
    rows = list(server.client("viewer").pages("audit", "before", "audit", limit=100))
    assert {row["target"] for row in rows if row["action"] == "repository.publish"} == {"image", "director"}


def refuse_the_tampered(server: AdminServer, run: Run, image: Path, tmp_path: Path) -> None:
    served = (server.served[Purpose.IMAGE] / "published").resolve()
    before = sorted((path.name, path.read_bytes()) for path in served.rglob("*") if path.is_file())
    spoilt = Path(shutil.copytree(image, tmp_path / "spoilt", symlinks=True))
    (target,) = (spoilt / "published" / "targets").resolve().rglob("*.json")
    target.write_bytes(target.read_bytes().replace(b"intake", b"intaKe"))
    error = document(run("repository", "upload", spoilt, "--json", status=5))["error"]
    assert "its bytes are not those that were signed" in error["message"]
    assert (server.served[Purpose.IMAGE] / "published").resolve() == served
    assert sorted((path.name, path.read_bytes()) for path in served.rglob("*") if path.is_file()) == before
