"""A device's identity being enrolled and renewed, and what must hold of its files after any fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.support.fleet_authority import MEMBERSHIP, Authority

from homebred_daemon.adapters.identity_files import FOLDER, IdentityFiles
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
