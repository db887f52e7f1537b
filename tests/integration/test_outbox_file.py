"""A device's outbox file: what is done about a damaged one and a missing one, and that it stays small."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from tests.support.sent_telemetry import events_of, receipt

from homebred_daemon.adapters.store import outbox as outbox_module
from homebred_daemon.adapters.store import outbox_file
from homebred_daemon.adapters.store.outbox_file import ASIDE, MARK, NAME, NEW, OpenedOutbox, open_outbox
from homebred_daemon.core.outbox import Quota
from homebred_daemon.errors import StateError
from homebred_protocol.v1 import fleet_pb2 as wire

QUOTA = Quota(max_events=10_000, max_bytes=10_000_000)
CURSOR = "file:writer:17"


def opened(
    folder: Path, number: int = 1, quota: Quota = QUOTA, device: str = "kiosk-3", enrolled_at_s: int = 0
) -> OpenedOutbox:
    return open_outbox(
        folder, boot_id=f"{number:032x}", quota=quota, now_s=lambda: 0, device=device, enrolled_at_s=enrolled_at_s
    )


def filled(folder: Path, *, routes: int = 300) -> None:
    """Routes that wait, receipts in a batch that was sent, and a counted loss."""
    with closing(opened(folder).outbox) as outbox:
        outbox.append([receipt(str(number)) for number in range(5)], cursor="")
        outbox.cut(max_events=9, max_bytes=65_536)
        outbox.append([receipt("x" * 90, stream="route") for _ in range(routes)], cursor=CURSOR, lost_routes=2)


def told_gaps(one: OpenedOutbox) -> dict[int, int]:
    """Events counted as damaged, by stream."""
    batch = one.outbox.cut(max_events=500, max_bytes=65_536)
    assert batch is not None
    gaps = [event.gap for event in events_of(batch.payload)]
    assert {gap.reason for gap in gaps} == {wire.GAP_REASON_DAMAGED}
    return {gap.stream: gap.events for gap in gaps}


def test_a_sound_file_is_opened_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path)
    one = opened(tmp_path, 2)
    with closing(one.outbox):
        assert (one.set_aside, one.outbox.boot_number, one.outbox.cursor()) == (0, 2, CURSOR)
        assert one.outbox.depth().events == 306


def test_a_file_that_is_no_database_any_more_is_set_aside_and_counts_as_one_loss_at_least(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / NAME).write_bytes(b"garbage" * 1000)
    one = opened(tmp_path, 2)
    with closing(one.outbox) as outbox:
        assert (one.set_aside, outbox.cursor()) == (1, "")
        assert outbox.boot_number > 1, "the number of the start stands beside the file"
        assert told_gaps(one) == {wire.STREAM_ROUTE: 1}
    assert (tmp_path / ASIDE).read_bytes() == b"garbage" * 1000
    assert opened(tmp_path, 3).set_aside == 0


def test_what_a_damaged_file_still_says_is_counted_and_its_cursor_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'batches_by_stream'").fetchone()
    body = bytearray((tmp_path / NAME).read_bytes())
    body[(root - 1) * 4096 : (root - 1) * 4096 + 16] = b"\xff" * 16
    (tmp_path / NAME).write_bytes(body)
    one = opened(tmp_path, 2)
    with closing(one.outbox) as outbox:
        assert (one.set_aside, outbox.cursor()) == (307, CURSOR)
        assert told_gaps(one) == {wire.STREAM_RECEIPT: 5, wire.STREAM_ROUTE: 302}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_damaged_the_outbox_opens_again_and_its_starts_are_counted_on(tmp_path: Path, seed: int) -> None:
    filled(tmp_path)
    random, body = Random(seed), bytearray((tmp_path / NAME).read_bytes())
    for _ in range(random.randint(1, 6)):
        place = random.randrange(len(body) - 200)
        body[place : place + random.randint(1, 200)] = random.randbytes(random.randint(1, 200))
    (tmp_path / NAME).write_bytes(body[: random.choice([len(body), len(body) // 2, 5000])])
    one = opened(tmp_path, 2)
    with closing(one.outbox) as outbox:
        assert outbox.boot_number >= 2
        if one.set_aside:
            assert sum(told_gaps(one).values()) == one.set_aside
        outbox.append([receipt("later")], cursor="f:w:18")
    assert opened(tmp_path, 3).set_aside == 0


def test_a_file_that_somebody_removed_is_a_loss_too(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / NAME).unlink()
    one = opened(tmp_path, 2)
    with closing(one.outbox):
        assert (one.set_aside, told_gaps(one)) == (1, {wire.STREAM_ROUTE: 1})
        assert one.outbox.boot_number > 1


def test_what_waited_under_another_name_is_forgotten_and_its_number_told(tmp_path: Path) -> None:
    filled(tmp_path)
    one = opened(tmp_path, 2, device="kiosk-4")
    with closing(one.outbox) as outbox:
        assert (one.forgotten, one.set_aside) == (307, 0)
        assert (outbox.boot_number, outbox.cursor(), outbox.depth().events) == (1, "", 0)
    one = opened(tmp_path, 3, device="kiosk-4")
    one.outbox.close()
    assert (one.forgotten, one.outbox.boot_number) == (0, 2)


def test_a_device_that_is_enrolled_anew_tells_nothing_of_the_time_between(tmp_path: Path) -> None:
    filled(tmp_path)
    for number, enrolled_at_s, cursor in ((2, 100, CURSOR), (3, 100, CURSOR), (4, 200, ""), (5, 200, "")):
        one = opened(tmp_path, number, enrolled_at_s=enrolled_at_s)
        with closing(one.outbox) as outbox:
            assert (outbox.cursor(), outbox.depth().events, one.forgotten) == (cursor, 306, 0)


def test_a_kill_while_a_damaged_file_is_set_aside_loses_no_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path)
    (tmp_path / NAME).write_bytes(b"garbage" * 1000)

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt(folder)

    with monkeypatch.context() as patched:
        patched.setattr(outbox_file, "_take_its_place", lambda _new, path: killed(path))
        with pytest.raises(KeyboardInterrupt):
            opened(tmp_path, 2)
    assert (tmp_path / NEW).exists()
    one = opened(tmp_path, 3)
    one.outbox.close()
    assert one.set_aside == 1

    (tmp_path / NAME).replace(tmp_path / NEW)  # as a kill between the two renames leaves it
    one = opened(tmp_path, 4)
    with closing(one.outbox):
        assert told_gaps(one) == {wire.STREAM_ROUTE: 1}


def test_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match="version 99"):
        opened(tmp_path, 2)
    assert not (tmp_path / ASIDE).exists()


@pytest.mark.parametrize(
    "body", ["seventeen", "17", "[]", '{"boot": 17}', '{"boot": -1, "device": "", "enrolled_at_s": 0}', '{"boot": "x"}']
)
def test_a_start_number_that_cannot_be_read_is_done_without(tmp_path: Path, body: str) -> None:
    filled(tmp_path)
    (tmp_path / MARK).write_text(body)
    with closing(opened(tmp_path, 2).outbox) as outbox:
        assert outbox.boot_number == 2


def test_the_outbox_is_its_owners_alone(tmp_path: Path) -> None:
    filled(tmp_path)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_starts_long_ago_are_forgotten_once_nothing_of_them_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "BOOTS_KEPT", 8)
    with closing(opened(tmp_path, 10_000).outbox) as outbox:
        outbox.append([receipt("kept")], cursor="")
    for number in range(8 + 5):
        opened(tmp_path, number).outbox.close()
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        (boots,) = connection.execute("SELECT count(*) FROM boots").fetchone()
    assert boots == 8 + 1
    with closing(opened(tmp_path, 20_000).outbox) as outbox:
        batch = outbox.cut(max_events=1, max_bytes=65_536)
        assert batch is not None
        assert batch.boot_id == f"{10_000:032x}"


def test_the_file_stays_small_however_much_goes_through_it(tmp_path: Path) -> None:
    quota = Quota(max_events=2000, max_bytes=400_000)
    letters = Random(3).choices("abcdefghijklmnopqrstuvwxyz", k=100_000)
    with closing(opened(tmp_path, quota=quota).outbox) as outbox:
        for turn in range(120):
            filler = "".join(letters[turn * 100 : turn * 100 + 120])
            outbox.append([receipt(filler, stream="route") for _ in range(200)], cursor=str(turn))
            if turn % 3 == 0 and (batch := outbox.cut(max_events=200, max_bytes=65_536)):
                outbox.acknowledge(batch.boot_id, batch.stream, batch.last_seq)
        assert outbox.depth().size_bytes <= quota.max_bytes
    assert (tmp_path / NAME).stat().st_size < 2 * quota.max_bytes
