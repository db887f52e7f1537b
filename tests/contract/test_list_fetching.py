"""A gazetteer's list comes over HTTPS, else over the broker: whole or not at all, and never begun anew for nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from tests.support.fleet_sync_stage import identity
from tests.support.memory_block_line import MemoryBlockLine
from typing_extensions import override

from homebred_daemon.adapters.blobs_mqtt import BLOCK_BYTES, MqttBlobs
from homebred_daemon.adapters.list_fetching import ListFetching
from homebred_daemon.adapters.partial_document import PartialDocument
from homebred_daemon.errors import ControllerUnreachableError, EnrolmentRefusedError, FleetError, StateError
from homebred_daemon.ports.identity import Identity, Issued, PendingKey
from homebred_protocol.digests import digest_of

BODY = Random(3).randbytes(700_001)
DIGEST = digest_of(BODY)


@dataclass
class Https:
    """Fulfils `ports.identity.ControllerLine`: breaks off after some bytes with an error, where one is given."""

    error: FleetError | None = field(default_factory=ControllerUnreachableError)
    gives: int = 0

    async def renew(self, identity: Identity, pending: PendingKey) -> Issued:
        raise NotImplementedError

    async def fetch(self, identity: Identity, digest: str, length: int, into: Path) -> Path:
        document = PartialDocument(into, digest, length)
        held = document.held()
        if self.gives > held:
            document.append(BODY[held : self.gives])
        if self.error is not None:
            raise self.error
        return document.finish()


class Unreachable(Https):
    @override
    async def fetch(self, identity: Identity, digest: str, length: int, into: Path) -> Path:
        raise ControllerUnreachableError


@dataclass
class Stage:
    folder: Path
    https: Https = field(default_factory=Https)
    line: MemoryBlockLine = field(default_factory=lambda: MemoryBlockLine({DIGEST: BODY}))

    async def fetch(self, digest: str = DIGEST) -> Path:
        lists = ListFetching(self.https, MqttBlobs(self.line), identity=identity)
        return await lists.fetch(digest, len(BODY), self.folder)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_where_https_answers_the_broker_is_not_asked(stage: Stage) -> None:
    stage.https = Https(error=None, gives=len(BODY))
    assert (await stage.fetch()).stat().st_size == len(BODY)
    assert stage.line.lengths == []


async def test_where_it_does_not_the_broker_goes_on_from_where_it_broke_off(stage: Stage) -> None:
    stage.https.gives = 300_000
    whole = await stage.fetch()
    assert digest_of(whole.read_bytes()) == DIGEST
    assert sum(stage.line.lengths) == len(BODY) - 300_000
    assert list(stage.folder.iterdir()) == [whole]


async def test_what_comes_before_the_link_is_lost_stays_for_the_next_try(stage: Stage) -> None:
    stage.line.gives_up_to = 20 * BLOCK_BYTES
    with pytest.raises(FleetError, match="the link was lost"):
        await stage.fetch()
    held = PartialDocument(stage.folder, DIGEST, len(BODY)).held()
    assert held > 0
    stage.line.gives_up_to, stage.line.lengths = None, []
    await stage.fetch()
    assert sum(stage.line.lengths) == len(BODY) - held


async def test_what_is_not_the_list_never_has_its_name(stage: Stage) -> None:
    stage.line.bodies = {DIGEST: b"x" * len(BODY)}
    with pytest.raises(FleetError, match="the controller sent"):
        await stage.fetch()
    assert [path for path in stage.folder.iterdir() if path.suffix != ".part"] == []
    stage.line.bodies = {DIGEST: BODY}
    assert digest_of((await stage.fetch()).read_bytes()) == DIGEST


async def test_who_refuses_over_https_is_not_asked_another_way_and_the_broker_may_refuse_too(stage: Stage) -> None:
    stage.line.bodies = {}
    with pytest.raises(FleetError, match="no such file"):
        await stage.fetch()
    stage.https.error = EnrolmentRefusedError("there is no such document for this site")
    with pytest.raises(EnrolmentRefusedError):
        await stage.fetch()
    assert sum(stage.line.lengths) > 0


async def test_a_folder_that_cannot_be_used_is_told(stage: Stage) -> None:
    stage.folder /= "file"
    stage.folder.touch()
    stage.https = Unreachable()
    with pytest.raises(StateError, match="could not be kept"):
        await stage.fetch()
