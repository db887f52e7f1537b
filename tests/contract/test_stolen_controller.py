"""What a thief of the controller can do to a device's policy: with the director's key, its word, and all of its files.

People have signed policies for two sites. The thief has the director sign what he likes, and asks for it as desired
state does. Every part of the device is real: trust on its disk, its documents, its policy under a site ceiling.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.signed_repositories import SignedFleet, described
from tests.support.trust_stage import DAY_S, HERE, NOW_S, Device, FixedSource
from tuf.api.metadata import TargetFile

from homebred_daemon.adapters.document_folder import FleetDocumentFolder
from homebred_daemon.adapters.policy_files import PolicyFiles
from homebred_daemon.core.fleet_messages import Document
from homebred_daemon.core.trust_refusals import Reason
from homebred_daemon.errors import ConfigurationError, RequestError, UntrustedError
from homebred_daemon.inbound.caretaking import PolicyChange
from homebred_daemon.services.fleet.fleet_documents import DocumentDesk
from homebred_daemon.services.releases.looking import Looking
from homebred_daemon.services.releases.signed_documents import SignedDocumentDesk
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.policy import Policy
from homebred_protocol.trusted_files import image_target

CEILING = 'escalation = false\nlocal_only_classes = ["patient"]\nmaximum_residual_risk = 0.1\n'
FIRST, SECOND = b"version = 1\n# the first\n", b"version = 1\n# the second\n"
LOOSE = b"version = 1\nescalation = true\nlocal_only_classes = []\nmaximum_residual_risk = 1.0\n"
OURS, THEIRS = f"policies/{HERE.site}/main", "policies/clinic-west/main"


class Caretaker:
    """Takes policies as the daemon's does: under the ceiling, and kept."""

    def __init__(self, files: PolicyFiles) -> None:
        self._files = files

    async def set_policy(self, body: bytes) -> PolicyChange:
        try:
            await asyncio.to_thread(self._files.offered, body)
        except ConfigurationError as error:
            raise RequestError(error.message, hint=error.hint) from error
        await asyncio.to_thread(self._files.keep, body)
        return PolicyChange(digest="", previous_digest="", warnings=())

    async def set_gazetteer(self, path: Path | None) -> None:
        raise NotImplementedError


class NoLists:
    """Fulfils `ports.fleet.ListLine`: policies need none."""

    async def fetch(self, digest: str, length: int, into: Path) -> Path:
        raise NotImplementedError


class Stage:
    """A device that has the second policy of its line, and a fleet whose controller is the thief's from here on."""

    def __init__(self, folder: Path) -> None:
        self.fleet = SignedFleet(now_s=NOW_S)
        for number, body in enumerate((FIRST, SECOND), start=1):
            self.fleet.offer(f"{OURS}/{number}.toml", body)
        self.fleet.offer(f"{THEIRS}/9.toml", LOOSE)
        self.fleet.offer(f"{OURS}-loose/1.toml", LOOSE)
        self.device = Device(self.fleet, folder)
        ceiling = folder / "ceiling.toml"
        ceiling.write_text(CEILING)
        self.policies = PolicyFiles(folder, policy_file=None, ceiling_file=ceiling)
        self.folder = FleetDocumentFolder(folder / "documents")
        self.stop_epoch = 0

    @property
    def in_force(self) -> Policy:
        return self.policies.in_force().site.policy

    def held(self, path: str) -> TargetFile:
        return self.fleet.image.roles["policies"].targets[path]

    async def ask(self, body: bytes) -> None:
        """As desired state does: by its digest."""

        async def ready() -> bool:
            return True

        source = FixedSource(self.fleet.files)
        signed = SignedDocumentDesk(Looking(self.device.trusting, ready=ready, source=lambda: source, gather_s=0))
        desk = DocumentDesk(signed, self.folder, NoLists(), Caretaker(self.policies))
        document = Document(digest=digest_of(body), length=len(body))
        await desk.obtain("policy", document, stop_epoch=self.stop_epoch)
        await desk.apply("policy", document.digest)

    async def refusal(self, body: bytes) -> str:
        """Why it was not taken; what was in force still is."""
        before = self.in_force
        with pytest.raises(UntrustedError) as caught:
            await self.ask(body)
        assert self.in_force == before
        return caught.value.reason


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.fleet.assign(HERE.device, f"{OURS}/2.toml")
    await made.ask(SECOND)
    assert made.in_force.digest == digest_of(SECOND)
    return made


async def test_no_other_sites_policy_is_taken(stage: Stage) -> None:
    stage.fleet.assign(HERE.device, f"{THEIRS}/9.toml")
    assert await stage.refusal(LOOSE) == Reason.OTHER_SITE


async def test_nothing_older_is_taken_though_it_still_lies_on_the_disk(stage: Stage) -> None:
    stage.folder.keep(digest_of(FIRST), FIRST)
    stage.fleet.assign(HERE.device, f"{OURS}/1.toml")
    assert await stage.refusal(FIRST) == Reason.NUMBER_FELL
    stage.device.restart()
    assert await stage.refusal(FIRST) == Reason.NUMBER_FELL


async def test_nothing_that_people_did_not_sign_is_taken(stage: Stage) -> None:
    invented = f"{OURS}/3.toml"
    stage.fleet.files[image_target(invented, digest_of(LOOSE))] = LOOSE
    stage.fleet.direct(HERE.device, {invented: described(invented, LOOSE, {})})
    assert await stage.refusal(LOOSE) == Reason.NOT_IN_IMAGE
    known = f"{OURS}/2.toml"
    stage.fleet.files[image_target(known, digest_of(LOOSE))] = LOOSE
    stage.fleet.direct(HERE.device, {known: described(known, LOOSE, {})})
    assert await stage.refusal(LOOSE) == Reason.DISAGREEMENT


async def test_what_is_asked_for_over_the_broker_alone_is_not_taken(stage: Stage) -> None:
    assert await stage.refusal(LOOSE) == Reason.NOT_DIRECTED


async def test_nothing_that_the_ceiling_forbids_is_allowed_by_a_policy_that_people_signed(stage: Stage) -> None:
    stage.fleet.assign(HERE.device, f"{OURS}-loose/1.toml")
    await stage.ask(LOOSE)
    assert stage.in_force.digest == digest_of(LOOSE)
    assert (stage.in_force.escalation, stage.in_force.local_only_classes) == (False, frozenset({"patient"}))
    assert stage.in_force.maximum_residual_risk == 0.1


async def test_after_a_stop_nothing_is_taken_by_leave_that_was_given_before(stage: Stage) -> None:
    stage.fleet.assign(HERE.device, f"{OURS}-loose/1.toml")
    stage.stop_epoch = 1
    assert await stage.refusal(LOOSE) == Reason.STOPPED
    stage.fleet.stop_epoch = 1
    stage.fleet.assign(HERE.device, f"{OURS}-loose/1.toml", expires_at_s=NOW_S)
    assert await stage.refusal(LOOSE) == Reason.LEASE_EXPIRED


async def test_what_holds_goes_on_when_all_that_is_signed_has_expired(stage: Stage) -> None:
    stage.device.clock.pass_s(400 * DAY_S)
    assert await stage.refusal(SECOND) == Reason.EXPIRED
    assert stage.in_force.digest == digest_of(SECOND)
