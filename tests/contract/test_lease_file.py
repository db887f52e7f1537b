"""Leases over a restart; and one that cannot be read is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homebred_daemon.adapters.durable_files import LEFTOVER_PREFIX
from homebred_daemon.adapters.trust.lease_file import NAME, LeaseFile
from homebred_daemon.core.trust import Lease
from homebred_daemon.errors import StateError, UnwritableError

LEASE = Lease(device="kiosk-1", digest="sha256:" + "a" * 64, stop_epoch=3, issued_at_s=10, expires_at_s=90)


def test_leases_hold_over_a_restart_and_the_newest_alone(tmp_path: Path) -> None:
    folder = tmp_path / "trust"
    assert LeaseFile(folder).held() == {}
    LeaseFile(folder).keep({LEASE.digest: LEASE})
    assert LeaseFile(folder).held() == {LEASE.digest: LEASE}
    LeaseFile(folder).keep({})
    assert LeaseFile(folder).held() == {}


def test_what_is_written_aside_in_the_folder_of_trust_meanwhile_stays(tmp_path: Path) -> None:
    being_written = tmp_path / f"{LEFTOVER_PREFIX}floors"
    being_written.touch()
    LeaseFile(tmp_path).keep({LEASE.digest: LEASE})
    assert being_written.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"version": 2, "leases": []}',
        b'{"version": 1}',
        b'{"version": 1, "leases": [{}]}',
        json.dumps({"version": 1, "leases": [{"device": "a", "digest": 7}]}).encode(),
        b"\x00" * 64,
    ],
)
def test_a_damaged_file_holds_no_lease(tmp_path: Path, body: bytes) -> None:
    (tmp_path / NAME).parent.mkdir()
    (tmp_path / NAME).write_bytes(body)
    assert LeaseFile(tmp_path).held() == {}


def test_what_cannot_be_read_or_kept_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir(parents=True)
    with pytest.raises(StateError):
        LeaseFile(tmp_path).held()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnwritableError) as caught:
        LeaseFile(tmp_path / "file").keep({})
    assert "free disk space" in caught.value.hint
