"""A release being built beside what a kill left of an earlier one, and what must hold of its folder after any fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.release_sources import write_source

from homebred_daemon.errors import StateError
from homebred_fleet.adapters.durable_files import LEFTOVER_PREFIX
from homebred_fleet.adapters.release_building import build_release
from homebred_fleet.adapters.release_folder import ReleaseFolder
from homebred_fleet.errors import StateError as FleetStateError
from homebred_protocol.digests import digest_of

SOURCE, BUILT = "source", "built/intake-7"
_LEFTOVER = f"{LEFTOVER_PREFIX}release-killed"


def prepare(root: Path) -> None:
    """A source, and the leftover of a killed build."""
    write_source(root / SOURCE)
    left = root / Path(BUILT).parent / _LEFTOVER / "blobs"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half a file")


def act(root: Path, tell: Callable[[str], None]) -> None:
    """Builds it once."""
    try:
        built = build_release(root / SOURCE, root / BUILT)
    except FleetStateError as error:
        raise StateError(error.message, hint=error.hint) from error  # as the other stores say it
    tell(digest_of(built.body))


def check(root: Path, told: Sequence[str]) -> None:
    """It is there whole or not at all, where it was told of it is there, and a next build is not hindered."""
    target = root / BUILT
    if told or target.exists():
        folder = ReleaseFolder(target)
        manifest, body = folder.manifest()
        condition = folder.condition(manifest, reads=True)
        assert condition.is_whole, condition
        assert not condition.strangers
        assert list(told) in ([], [digest_of(body)])
    again = build_release(root / SOURCE, target.with_name("again"))
    assert ReleaseFolder(target.with_name("again")).condition(again.manifest, reads=True).is_whole
    assert not list(target.parent.glob(f"{LEFTOVER_PREFIX}*"))
    if target.exists():
        assert ReleaseFolder(target).manifest()[1] == again.body
