from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from homebred_daemon.adapters.document_folder import FleetDocumentFolder
from homebred_daemon.adapters.partial_document import PartialDocument
from homebred_daemon.core.fleet_messages import Document
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import ControllerUnreachableError, RequestError, StateError, UntrustedError
from homebred_daemon.inbound.caretaking import PolicyChange
from homebred_daemon.services.fleet.fleet_documents import DocumentDesk
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.gazetteer_manifest import GazetteerManifest, gazetteer_manifest
from homebred_protocol.targets import Kind

BODY = b"escalation = false\n"
NAMES = b'{"text": "Ada Nilsson", "class": "patient"}\n'
LIST = digest_of(NAMES)
MANIFEST = gazetteer_manifest(GazetteerManifest(digest=LIST, length=len(NAMES)))


@dataclass
class Signed:
    """Fulfils `ports.fleet.SignedDocuments`: what both repositories hold for this device."""

    held: dict[tuple[Kind, str], bytes] = field(default_factory=dict)
    epochs: list[int] = field(default_factory=list)

    def hold(self, kind: Kind, body: bytes) -> Document:
        self.held[kind, digest_of(body)] = body
        return Document(digest=digest_of(body), length=len(body))

    async def document(self, kind: Kind, digest: str, *, stop_epoch: int) -> bytes:
        self.epochs.append(stop_epoch)
        body = self.held.get((kind, digest))
        if body is None:
            raise Refusal(reason=Reason.NOT_DIRECTED, about=digest).error()
        return body


@dataclass
class Lists:
    """Fulfils `ports.fleet.ListLine`; without a body nobody answers."""

    body: bytes = b""
    fetched: list[tuple[str, int]] = field(default_factory=list)

    async def fetch(self, digest: str, length: int, into: Path) -> Path:
        if not self.body:
            raise ControllerUnreachableError
        self.fetched.append((digest, length))
        FleetDocumentFolder(into).keep(digest, self.body)
        return into


@dataclass
class Caretaker:
    """Whoever changes what holds."""

    policies: list[bytes] = field(default_factory=list)
    gazetteers: list[bytes] = field(default_factory=list)

    async def set_policy(self, body: bytes) -> PolicyChange:
        self.policies.append(body)
        return PolicyChange(digest="", previous_digest="", warnings=())

    async def set_gazetteer(self, path: Path | None) -> None:
        self.gazetteers.append(b"" if path is None else await asyncio.to_thread(path.read_bytes))


class House:
    def __init__(self, folder: Path) -> None:
        self.signed = Signed()
        self.folder = FleetDocumentFolder(folder / "documents")
        self.lists, self.caretaker = Lists(NAMES), Caretaker()
        self.desk = DocumentDesk(self.signed, self.folder, self.lists, self.caretaker)

    async def have(self, name: str, document: Document) -> None:
        """Obtains a document and has it hold."""
        await self.desk.obtain(name, document, stop_epoch=7)
        await self.desk.apply(name, document.digest)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_policy_is_the_bytes_of_the_target_and_nothing_is_fetched_beside_it(house: House) -> None:
    await house.have("policy", house.signed.hold(Kind.POLICY, BODY))
    assert house.caretaker.policies == [BODY]
    assert (house.lists.fetched, house.signed.epochs) == ([], [7])


async def test_of_a_gazetteer_the_manifest_is_signed_and_the_list_that_it_names_is_fetched_once(house: House) -> None:
    document = house.signed.hold(Kind.GAZETTEER, MANIFEST)
    for _ in range(2):
        await house.have("gazetteer", document)
    await house.desk.apply("gazetteer", "")
    assert house.caretaker.gazetteers == [NAMES, NAMES, b""]
    assert house.lists.fetched == [(LIST, len(NAMES))]


async def test_what_is_not_signed_for_this_device_is_not_taken_though_it_lies_on_the_disk(house: House) -> None:
    house.folder.keep(digest_of(BODY), BODY)
    with pytest.raises(UntrustedError):
        await house.desk.obtain("policy", Document(digest=digest_of(BODY), length=len(BODY)), stop_epoch=0)


async def test_the_bytes_of_a_policy_are_none_of_a_gazetteer(house: House) -> None:
    house.signed.hold(Kind.POLICY, MANIFEST)
    with pytest.raises(UntrustedError):
        await house.desk.obtain("gazetteer", Document(digest=digest_of(MANIFEST)), stop_epoch=0)


async def test_a_controller_that_does_not_answer_is_an_error_that_may_pass_and_what_came_is_gone_on_with(
    house: House,
) -> None:
    document = house.signed.hold(Kind.GAZETTEER, MANIFEST)
    house.lists.body = b""
    with pytest.raises(ControllerUnreachableError):
        await house.desk.obtain("gazetteer", document, stop_epoch=0)
    part = PartialDocument(house.folder.path, LIST, len(NAMES))
    part.append(NAMES[:10])
    await house.desk.keep_only(frozenset({document.digest}))
    assert part.held() == 10


async def test_a_list_that_is_gone_is_not_applied_and_may_be_had_again(house: House) -> None:
    document = house.signed.hold(Kind.GAZETTEER, MANIFEST)
    await house.desk.obtain("gazetteer", document, stop_epoch=0)
    (house.folder.path / LIST.removeprefix("sha256:")).unlink()
    with pytest.raises(StateError, match="list of names"):
        await house.desk.apply("gazetteer", document.digest)
    await house.have("gazetteer", document)
    assert house.caretaker.gazetteers == [NAMES]


@pytest.mark.parametrize("body", [b"version = 2\n", b"\xff", b"[" * 5000, NAMES])
async def test_what_is_signed_as_a_manifest_and_is_none_is_refused_for_good(house: House, body: bytes) -> None:
    document = house.signed.hold(Kind.GAZETTEER, body)
    with pytest.raises(RequestError, match="manifest of the gazetteer"):
        await house.desk.obtain("gazetteer", document, stop_epoch=0)
    assert house.lists.fetched == []


async def test_without_a_document_the_configured_policy_holds_again(house: House) -> None:
    await house.desk.apply("policy", "")
    assert house.caretaker.policies == [b""]


async def test_a_document_that_was_damaged_meanwhile_is_not_applied(house: House) -> None:
    document = house.signed.hold(Kind.POLICY, BODY)
    await house.desk.obtain("policy", document, stop_epoch=0)
    (house.folder.path / document.digest.removeprefix("sha256:")).write_bytes(b"other")
    with pytest.raises(StateError):
        await house.desk.apply("policy", document.digest)
    assert house.caretaker.policies == []


async def test_a_part_that_this_device_does_not_know_is_refused(house: House) -> None:
    document = house.signed.hold(Kind.POLICY, BODY)
    with pytest.raises(RequestError):
        await house.desk.obtain("wallpaper", document, stop_epoch=0)
    with pytest.raises(RequestError):
        await house.desk.apply("wallpaper", document.digest)


async def test_what_is_neither_wanted_nor_holds_is_removed_and_a_manifest_keeps_its_list(house: House) -> None:
    policy, other = house.signed.hold(Kind.POLICY, BODY), digest_of(b"other")
    manifest = house.signed.hold(Kind.GAZETTEER, MANIFEST)
    house.folder.keep(other, b"other")
    await house.desk.obtain("policy", policy, stop_epoch=0)
    await house.desk.obtain("gazetteer", manifest, stop_epoch=0)
    await house.desk.keep_only(frozenset({policy.digest, manifest.digest}))
    there = [house.folder.find(digest) is not None for digest in (policy.digest, manifest.digest, LIST, other)]
    assert there == [True, True, True, False]
    await house.desk.keep_only(frozenset({policy.digest}))
    assert list(house.folder.path.iterdir()) == [house.folder.find(policy.digest)]
