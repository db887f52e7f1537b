from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.trust_stage import HERE, NOW_S, FixedSource, MemoryTrust, ScriptedChecker, SettableClock

from homebred_daemon.core.trust import Described, Seen
from homebred_daemon.core.trust_floors import Floors, Taken, Versions
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import StateError, UntrustedError
from homebred_daemon.ports.trust import Checked, CheckedTrust, HeldRepository, HeldTrust
from homebred_daemon.services.releases.looking import Looking
from homebred_daemon.services.releases.signed_documents import SignedDocumentDesk
from homebred_daemon.services.releases.trusting import Trusting
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import Kind, read_target
from homebred_protocol.trusted_files import image_target

BODY = b"version = 1\n"
DIGEST = digest_of(BODY)
LINE = f"policies/{HERE.site}/main"
PATH = f"{LINE}/4.toml"
DAY_S = 86_400
LEASE = {"stop_epoch": 2, "issued_at_s": NOW_S, "expires_at_s": NOW_S + DAY_S}


def repository(targets: dict[str, Described], *, device: str = "", refusal: Refusal | None = None) -> Checked:
    versions = Versions(root=1, keys="k", versions={"timestamp": 1})
    seen = Seen(versions=versions, expires_at_s=NOW_S + DAY_S, targets=targets, device=device)
    return Checked(files={}, versions=versions, seen=None if refusal else seen, refusal=refusal)


def offered(path: str, body: bytes) -> Described:
    target = read_target(path)
    assert target is not None
    site = target.group if target.kind.is_for_a_site else ""
    custom = {"kind": target.kind.name.lower(), "number": target.number, "site": site}
    role = target.kind.value if target.kind.is_for_a_site else f"models-{target.group}"
    return Described(length=len(body), hashes={"sha256": digest_of(body)[7:]}, custom=custom, role=role)


def directed(described: Described, **custom: Any) -> Described:
    return replace(described, custom={"device": HERE.device, "lease": LEASE} | custom, role="")


def found(*paths: str, lease: dict[str, int] | None = LEASE, image: tuple[str, ...] | None = None) -> CheckedTrust:
    """The director names these paths, the image repository the same or others; all with the one body."""
    held = {path: offered(path, BODY) for path in (paths if image is None else image)}
    wanted = {path: directed(offered(path, BODY), lease=lease) for path in paths}
    return CheckedTrust(image=repository(held), director=repository(wanted, device=HERE.device))


class Stage:
    """A desk over a scripted look."""

    def __init__(self, *looks: CheckedTrust | UntrustedError, floors: Floors | None = None) -> None:
        nothing = HeldRepository(pinned=b"")
        self.memory = MemoryTrust(HeldTrust(image=nothing, director=nothing, floors=floors or Floors()))
        self.files = {image_target(path, DIGEST): BODY for path in (PATH, f"gazetteers/{HERE.site}/names/1.toml")}
        self.is_ready = True
        trusting = Trusting(self.memory, ScriptedChecker(*looks), SettableClock(), HERE)
        looking = Looking(trusting, ready=self._ready, source=lambda: FixedSource(self.files), gather_s=0)
        self.desk = SignedDocumentDesk(looking)

    async def _ready(self) -> bool:
        return self.is_ready

    async def policy(self, digest: str = DIGEST) -> bytes:
        return await self.desk.document(Kind.POLICY, digest, stop_epoch=2)

    async def refusal(self, digest: str = DIGEST) -> str:
        with pytest.raises(UntrustedError) as caught:
            await self.policy(digest)
        return caught.value.reason


async def test_a_document_that_both_repositories_hold_is_handed_out_and_its_number_is_a_floor() -> None:
    stage = Stage(found(PATH))
    assert await stage.policy() == BODY
    assert stage.memory.trust.floors.lines == {LINE: Taken(number=4, digest=DIGEST)}


async def test_while_there_are_no_roots_to_look_from_nothing_is_looked_at() -> None:
    stage = Stage(found(PATH))
    stage.is_ready = False
    assert await stage.refusal() == Reason.UNREACHABLE
    stage.is_ready = True
    assert await stage.policy() == BODY


async def test_what_the_director_does_not_name_is_not_handed_out_though_the_broker_asks_for_it() -> None:
    stage = Stage(found(), found(PATH))
    assert await stage.refusal() == Reason.NOT_DIRECTED
    assert await stage.refusal(digest=digest_of(b"another")) == Reason.NOT_DIRECTED
    assert stage.memory.trust.floors.lines == {}


async def test_the_same_bytes_of_another_kind_are_not_handed_out() -> None:
    stage = Stage(found(f"gazetteers/{HERE.site}/names/1.toml"))
    assert await stage.refusal() == Reason.NOT_DIRECTED


@pytest.mark.parametrize(
    ("look", "floors", "reason"),
    [
        (found(PATH, image=()), Floors(), Reason.NOT_IN_IMAGE),
        (found("policies/elsewhere/main/4.toml"), Floors(), Reason.OTHER_SITE),
        (found(PATH), Floors(lines={LINE: Taken(number=5, digest=DIGEST)}), Reason.NUMBER_FELL),
        (found(PATH, lease=None), Floors(), Reason.NO_LEASE),
        (found(PATH, lease=LEASE | {"expires_at_s": NOW_S}), Floors(), Reason.LEASE_EXPIRED),
        (found(PATH, lease=LEASE | {"stop_epoch": 1}), Floors(), Reason.STOPPED),
        (Refusal(reason=Reason.CHECK_FAILED).error(), Floors(), Reason.CHECK_FAILED),
    ],
)
async def test_why_a_document_was_refused_is_said_and_raises_no_floor(
    look: CheckedTrust | UntrustedError, floors: Floors, reason: Reason
) -> None:
    stage = Stage(look, floors=floors)
    assert await stage.refusal() == reason
    assert stage.memory.trust.floors.lines == floors.lines


async def test_where_a_repository_was_refused_that_is_why() -> None:
    expired = Refusal(reason=Reason.EXPIRED, about="image")
    look = CheckedTrust(image=repository({}, refusal=expired), director=repository({}, device=HERE.device))
    assert await Stage(look).refusal() == Reason.EXPIRED


async def test_what_was_refused_of_another_kind_is_not_said_of_this_one() -> None:
    release = "models/qa/intake/7.json"
    unknown = repository({"wallpapers/red.png": directed(offered(release, BODY))}, device=HERE.device)
    looks = found(release, image=()), CheckedTrust(image=repository({}), director=unknown)
    stage = Stage(*looks)
    assert [await stage.refusal() for _ in looks] == [Reason.NOT_DIRECTED] * 2


async def test_other_bytes_than_were_signed_are_not_handed_out() -> None:
    stage = Stage(found(PATH))
    stage.files = dict.fromkeys(stage.files, b"version = 2\n")
    assert await stage.refusal() == Reason.MISMATCHED
    assert stage.memory.trust.floors.lines == {}


async def test_where_its_floor_cannot_be_kept_nothing_is_handed_out() -> None:
    stage = Stage(found(PATH))
    stage.memory.fails = True
    with pytest.raises(StateError):
        await stage.policy()
