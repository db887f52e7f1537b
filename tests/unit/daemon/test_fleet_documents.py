from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.fleet_sync_stage import identity

from homebred_daemon.adapters.document_folder import FleetDocumentFolder
from homebred_daemon.adapters.partial_document import PartialDocument
from homebred_daemon.core.fleet_messages import Document
from homebred_daemon.errors import ControllerUnreachableError, RequestError, StateError
from homebred_daemon.inbound.caretaking import PolicyChange
from homebred_daemon.ports.identity import Identity, Issued, PendingKey
from homebred_daemon.services.fleet_documents import DocumentDesk
from homebred_protocol.digests import digest_of

BODY = b"escalation = false\n"
DIGEST = digest_of(BODY)


@dataclass
class Line:
    """A controller's HTTPS; without a body it does not answer."""

    body: bytes = b""
    fetched: list[str] = field(default_factory=list)

    async def renew(self, identity: Identity, pending: PendingKey) -> Issued:
        raise NotImplementedError

    async def fetch(self, identity: Identity, digest: str, length: int, into: Path) -> Path:
        if not self.body:
            raise ControllerUnreachableError
        self.fetched.append(digest)
        FleetDocumentFolder(into).keep(digest, self.body)
        return into


@dataclass
class Caretaker:
    """Whoever changes what holds."""

    policies: list[bytes] = field(default_factory=list)
    gazetteers: list[str] = field(default_factory=list)

    async def set_policy(self, body: bytes) -> PolicyChange:
        self.policies.append(body)
        return PolicyChange(digest="", previous_digest="", warnings=())

    async def set_gazetteer(self, path: Path | None) -> None:
        self.gazetteers.append(path.name if path is not None else "")


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = FleetDocumentFolder(folder / "documents")
        self.line, self.caretaker = Line(), Caretaker()
        self.desk = DocumentDesk(self.folder, self.line, self.caretaker, identity=identity)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_bytes_that_came_with_the_message_are_kept_and_not_fetched(house: House) -> None:
    await house.desk.obtain(Document(digest=DIGEST, length=len(BODY), body=BODY))
    await house.desk.apply("policy", DIGEST)
    assert house.caretaker.policies == [BODY]
    assert house.line.fetched == []


async def test_others_are_fetched_once(house: House) -> None:
    house.line.body = BODY
    for _ in range(2):
        await house.desk.obtain(Document(digest=DIGEST, length=len(BODY)))
    assert house.line.fetched == [DIGEST]


async def test_a_controller_that_does_not_answer_is_an_error_that_may_pass(house: House) -> None:
    with pytest.raises(ControllerUnreachableError):
        await house.desk.obtain(Document(digest=DIGEST, length=len(BODY)))


async def test_a_gazetteer_is_handed_on_by_its_file(house: House) -> None:
    await house.desk.obtain(Document(digest=DIGEST, length=len(BODY), body=BODY))
    await house.desk.apply("gazetteer", DIGEST)
    await house.desk.apply("gazetteer", "")
    assert house.caretaker.gazetteers == [DIGEST.removeprefix("sha256:"), ""]


async def test_without_a_document_the_configured_policy_holds_again(house: House) -> None:
    await house.desk.apply("policy", "")
    assert house.caretaker.policies == [b""]


async def test_a_document_that_was_damaged_meanwhile_is_not_applied(house: House) -> None:
    await house.desk.obtain(Document(digest=DIGEST, length=len(BODY), body=BODY))
    (house.folder.path / DIGEST.removeprefix("sha256:")).write_bytes(b"other")
    with pytest.raises(StateError):
        await house.desk.apply("policy", DIGEST)
    assert house.caretaker.policies == []


async def test_a_part_that_this_device_does_not_know_is_refused(house: House) -> None:
    await house.desk.obtain(Document(digest=DIGEST, length=len(BODY), body=BODY))
    with pytest.raises(RequestError):
        await house.desk.apply("wallpaper", DIGEST)


async def test_what_is_neither_wanted_nor_holds_is_removed(house: House) -> None:
    other = digest_of(b"other")
    house.folder.keep(DIGEST, BODY)
    house.folder.keep(other, b"other")
    await house.desk.keep_only(frozenset({other}))
    assert house.folder.find(DIGEST) is None
    assert house.folder.find(other) is not None


async def test_what_came_so_far_of_a_wanted_document_stays_and_of_any_other_goes(house: House) -> None:
    other = digest_of(b"other")
    wanted_part = PartialDocument(house.folder.path, DIGEST, len(BODY))
    other_part = PartialDocument(house.folder.path, other, 5)
    wanted_part.append(BODY[:10])
    other_part.append(b"oth")
    await house.desk.keep_only(frozenset({DIGEST}))
    assert (wanted_part.held(), other_part.held()) == (10, 0)
    wanted_part.append(BODY[10:])
    wanted_part.finish()
    assert house.folder.find(DIGEST) is not None
