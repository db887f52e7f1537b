"""A device's identity being enrolled and renewed, with the roots that it pins, and what must hold after any fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.support.fleet_authority import MEMBERSHIP, Authority

from homebred_daemon.adapters.identity_files import FOLDER, IdentityFiles
from homebred_daemon.adapters.trust.files import TrustFiles
from homebred_daemon.cli.enroll import take_up
from homebred_daemon.ports.trust import Roots
from homebred_protocol.digests import digest_of

AUTHORITY = Authority()
PURPOSE = "enrolment"


def enrolled(files: IdentityFiles, at_s: int) -> None:
    """Takes one more certificate up."""
    pending = files.pending_key(PURPOSE)
    files.take_up(pending, AUTHORITY.issued(pending.request_der, replace(MEMBERSHIP, enrolled_at_s=at_s)))


def act(root: Path, tell: Callable[[str], None]) -> None:
    """Three certificates, one after another."""
    files = IdentityFiles(root, {})
    for at_s in (1, 2, 3):
        pending = files.pending_key(PURPOSE)
        tell(f"pending {digest_of(pending.key_pem)}")
        enrolled(files, at_s)
        tell(f"enrolled {at_s}")


def check(root: Path, told: Sequence[str]) -> None:
    """The last that was taken up holds, or the next; a key that was told of is pending still, or in force."""
    files = IdentityFiles(root, {})
    identity = files.current()
    acknowledged = max((int(one.split()[1]) for one in told if one.startswith("enrolled")), default=0)
    held = 0 if identity is None else identity.membership.enrolled_at_s
    assert held in {acknowledged, acknowledged + 1}
    if told and told[-1].startswith("pending"):
        keys = {digest_of(files.pending_key(PURPOSE).key_pem)}
        keys |= set() if identity is None else {digest_of(identity.credentials.key.read_bytes())}
        assert told[-1].split()[1] in keys
    enrolled(files, 9)
    after = IdentityFiles(root, {}).current()
    assert after is not None
    assert after.membership.enrolled_at_s == 9
    kept = sorted(entry.name for entry in (root / FOLDER / "generations").iterdir())
    assert kept == sorted({after.generation, *([identity.generation] if identity else [])})
    assert not list((root / FOLDER).glob("pending-*"))


def roots_at(at_s: int) -> Roots:
    """What the enrolment of that second has pinned."""
    return Roots(image=b"image %d" % at_s, director=b"director %d" % at_s)


def enrol_whole(root: Path, at_s: int) -> None:
    """All that `homebred enroll` keeps."""
    files = IdentityFiles(root, {})
    pending = files.pending_key(PURPOSE)
    issued = AUTHORITY.issued(pending.request_der, replace(MEMBERSHIP, enrolled_at_s=at_s))
    take_up(root, files, pending, issued, roots_at(at_s))


def act_whole(root: Path, tell: Callable[[str], None]) -> None:
    """A device is enrolled, looks at what it trusts, and is enrolled anew."""
    for at_s in (1, 2):
        enrol_whole(root, at_s)
        trust = TrustFiles(root, replace(MEMBERSHIP, enrolled_at_s=at_s))
        held = trust.held()
        trust.keep(replace(held, image=replace(held.image, files={"timestamp.json": b"1"})), follows=held)
        tell(f"enrolled {at_s}")


def check_whole(root: Path, told: Sequence[str]) -> None:
    """An identity has the roots of its own enrolment, whichever it is, and everything goes on."""
    identity = IdentityFiles(root, {}).current()
    acknowledged = max((int(one.split()[1]) for one in told), default=0)
    if identity is None:
        assert not acknowledged
    else:
        at_s = identity.membership.enrolled_at_s
        assert at_s in {acknowledged, acknowledged + 1}
        held = TrustFiles(root, identity.membership).held()
        assert Roots(image=held.image.pinned, director=held.director.pinned) == roots_at(at_s)
        assert at_s > acknowledged or held.image.files
    enrol_whole(root, 9)
    after = replace(MEMBERSHIP, enrolled_at_s=9)
    assert TrustFiles(root, after).pinned() == roots_at(9)
    assert sorted(entry.name for entry in (root / "trust").iterdir()) == [after.enrolment, "lock"]
