"""What a device gets over the broker is what HTTPS gives it: its own metadata, targets, blobs, and no other file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update
from tests.support.image_repository import SignedFleet

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.library import PAGE_BYTES, FleetLibrary
from homebred_fleet.adapters.signed_files import SignedFiles
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.identities import IdentityStore
from homebred_fleet.adapters.store.tables import devices
from homebred_fleet.errors import FleetError, StoreBusyError
from homebred_protocol import blocks, trusted_files
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import Page, director_metadata, image_metadata, image_target, read_answer

NOW_S = 1_796_000_000
BODY = Random(8).randbytes(700_001)
DIGEST = digest_of(BODY)
OWN = b'{"signed": "for clinic-1"}' * 2000
NAMES = ("clinic-1", "factory-1", "revoked-1")


@dataclass
class Directed:
    """Fulfils `ports.directing.Answers`: each device has a timestamp."""

    failure: FleetError | None = None

    def metadata(self, device: str, name: str) -> bytes | None:
        if self.failure is not None:
            raise self.failure
        return OWN.replace(b"clinic-1", device.encode()) if name == "timestamp.json" else None


class OfOneSite:
    """Fulfils `ports.documents.Documents`: what there is belongs to the clinic."""

    def __init__(self, blobs: BlobFolder) -> None:
        self._blobs = blobs

    def for_site(self, digest: str, site: str) -> Path | None:
        return self._blobs.path_of(digest) if site == "clinic" else None


@dataclass
class Stage:
    library: FleetLibrary
    signed: SignedFleet
    directed: Directed

    def page(self, device: str, name: str, offset: int = 0) -> Page:
        body = self.library.answer(device, trusted_files.REQUEST, trusted_files.request_of(name, offset))
        assert body is not None
        return read_answer(body)

    def whole(self, device: str, name: str) -> bytes:
        found = b""
        while (page := self.page(device, name, len(found))).body:
            found += page.body
            assert len(page.body) <= PAGE_BYTES
        assert page.length == len(found)
        return found

    def block(self, device: str, begin: int, length: int, digest: str = DIGEST) -> Page:
        body = self.library.answer(device, blocks.REQUEST, blocks.request_of(blocks.Block(digest, begin, length)))
        assert body is not None
        return read_answer(body)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("fleet")
    database = Database(f"sqlite:///{folder}/fleet.db")
    database.upgrade()
    with database.writing() as connection:
        for name in NAMES:
            row = {"id": name, "site": name.partition("-")[0], "labels": {}, "state": "enrolled", "enrolled_at_s": 1}
            connection.execute(insert(devices).values(row))
        connection.execute(update(devices).where(devices.c.id == "revoked-1").values(state="revoked"))
    signed, directed = SignedFleet(folder / "signed", now_s=NOW_S), Directed()
    blobs = BlobFolder(folder / "blobs")
    blobs.keep(BODY)
    files = SignedFiles(
        image=lambda: signed.image_folder,
        director_roots=lambda: signed.director_root.published,
        directing=directed,
    )
    yield Stage(FleetLibrary(IdentityStore(database), files, OfOneSite(blobs)), signed, directed)
    database.close()


def test_each_file_of_both_repositories_comes_whole_page_by_page(stage: Stage) -> None:
    file = stage.signed.release("qa", "intake", 7, notes="x" * 40_000)
    stage.signed.publish()
    published = stage.signed.image_folder
    target = image_target(file.path, f"sha256:{file.hashes['sha256']}")
    for name in ("timestamp.json", "1.root.json"):
        body = (published / "metadata" / name).read_bytes()
        assert stage.whole("clinic-1", image_metadata() + name) == body
    assert stage.whole("clinic-1", target) == (published / target.removeprefix("image/")).read_bytes()
    root = stage.whole("clinic-1", director_metadata("clinic-1") + "1.root.json")
    assert root == (stage.signed.director_root.published / "metadata" / "1.root.json").read_bytes()
    assert stage.whole("clinic-1", director_metadata("clinic-1") + "timestamp.json") == OWN


@pytest.mark.parametrize(
    "name",
    [
        director_metadata("factory-1") + "timestamp.json",
        director_metadata("factory-1") + "1.root.json",
        director_metadata("clinic-1") + "9.targets.json",
        image_metadata() + "prepared.json",
        image_target("models/qa/nobody/1.json", DIGEST),
    ],
)
def test_what_is_not_there_or_another_devices_is_answered_as_not_there(stage: Stage, name: str) -> None:
    assert stage.page("clinic-1", name) == Page(length=-1, body=b"")


def test_who_is_not_or_no_longer_of_the_fleet_is_told_nothing(stage: Stage) -> None:
    asked = trusted_files.request_of(image_metadata() + "timestamp.json", 0)
    for device in ("stranger-1", "revoked-1"):
        assert stage.library.answer(device, trusted_files.REQUEST, asked) is None


@pytest.mark.parametrize(
    ("begin", "length"), [(0, 1), (0, blocks.MAX_BLOCK_BYTES), (131_072, 131_072), (len(BODY) - 5, 5), (700_000, 1)]
)
def test_a_block_is_the_bytes_that_were_asked_for(stage: Stage, begin: int, length: int) -> None:
    assert stage.block("clinic-1", begin, length) == Page(length=len(BODY), body=BODY[begin : begin + length])


def test_a_block_beyond_the_end_is_short_and_says_how_long_the_file_is(stage: Stage) -> None:
    assert stage.block("clinic-1", len(BODY) - 3, 10) == Page(length=len(BODY), body=BODY[-3:])
    assert stage.block("clinic-1", blocks.MAX_FILE_BYTES, 10) == Page(length=len(BODY), body=b"")


def test_a_blob_that_https_would_not_give_is_not_there(stage: Stage) -> None:
    assert stage.block("factory-1", 0, 10).length == -1
    assert stage.block("clinic-1", 0, 10, digest="sha256:" + "0" * 64).length == -1


def test_what_cannot_be_told_at_present_is_an_error_for_whoever_answers(stage: Stage) -> None:
    stage.directed.failure = StoreBusyError()
    try:
        with pytest.raises(StoreBusyError):
            stage.page("clinic-1", director_metadata("clinic-1") + "timestamp.json")
    finally:
        stage.directed.failure = None


@given(st.sampled_from([trusted_files.REQUEST, blocks.REQUEST, "else"]), st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_no_bytes_make_it_fail(stage: Stage, operation: str, body: bytes) -> None:
    answer = stage.library.answer("clinic-1", operation, body)
    assert answer is None or read_answer(answer).length >= -1
