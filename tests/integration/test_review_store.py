"""The review queue's file: what its bytes say and what they do not, what a crash and a lost key leave of it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from tests.support.review_items import BOUNDS, CONTENT, TERMS, after_s, review_item
from tests.support.review_machine import ReviewMachine
from typing_extensions import override

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.adapters.sealing import AesGcmSealer, device_key
from homebred_daemon.adapters.store.database import REVIEW, connect
from homebred_daemon.adapters.store.review import SqliteReviewStore
from homebred_daemon.core.review import State
from homebred_daemon.errors import ConfigurationError, HomebredError, StateError
from homebred_daemon.inbound.reviewing import Resolution
from homebred_daemon.ports.review import Bounds, ReviewStore, Sealed
from homebred_daemon.services.reviews.review_book import ReviewBook

KEY = bytes(range(32))
ANSWER = Resolution(is_answer=True, text="Quartermain may go home")
ROOT = Path(__file__).parents[2]
WORDS = [b"Xylophonia", b"go home", b"Quartermain", b"two teas"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "review.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteReviewStore]:
    opened = SqliteReviewStore(path)
    yield opened
    opened.close()


def book(store: ReviewStore, key: bytes = KEY) -> ReviewBook:
    return ReviewBook(store, AesGcmSealer(key), JsonSchemaChecker(), TERMS)


def answered(store: ReviewStore, route_id: str = "r1") -> ReviewBook:
    made = book(store)
    made.file(review_item(route_id), CONTENT)
    made.claim(route_id, by="uid:9", claim_id="c", lease_s=0, now=after_s(0))
    made.resolve(route_id, claim_id="c", resolution=ANSWER, now=after_s(1))
    return made


def bytes_in(folder: Path) -> bytes:
    return b"\n".join(found.read_bytes() for found in folder.iterdir() if found.is_file())


# What the bytes say


def test_no_word_of_task_answer_or_correction_is_in_any_file(store: SqliteReviewStore, tmp_path: Path) -> None:
    answered(store).keep_correction("r1", "two teas", now=after_s(0))
    held = bytes_in(tmp_path)
    assert b"no_candidate" in held
    assert [word for word in WORDS if word in held] == []


def test_what_is_shredded_leaves_neither_its_key_nor_its_ciphertext(store: SqliteReviewStore, tmp_path: Path) -> None:
    made = answered(store)
    made.file(review_item("r2"), replace(CONTENT, response_schema="x" * 20_000))
    made.keep_correction("r1", "two teas", now=after_s(0))
    pieces: list[bytes] = []
    for sealed in (store.sealed("r1"), store.sealed("r2"), store.correction("r1")):
        assert sealed is not None
        pieces += [piece[:1000] for piece in (sealed.data_key, sealed.content, sealed.resolution) if piece]
    assert all(piece in bytes_in(tmp_path) for piece in pieces)
    made.settle(after_s(2 * TERMS.retention_s))
    assert [piece for piece in pieces if piece in bytes_in(tmp_path)] == []


@pytest.mark.parametrize("seed", [24, 27, *range(4)])
def test_no_copy_of_a_shredded_key_stays_behind_in_a_page(store: SqliteReviewStore, path: Path, seed: int) -> None:
    chance = Random(seed)
    bounds, alive, gone = Bounds(max_open=999, max_bytes=10**9), set[str](), list[bytes]()
    for number in range(200):
        route_id, size = f"r{chance.random()}", chance.choice([40, 100, 400, 900, 3000, 9000])
        sealed = Sealed(data_key=chance.randbytes(60), content=chance.randbytes(size))
        store.file(review_item(route_id, filed_s=number), sealed, bounds)
        alive.add(route_id)
        if chance.random() < 0.6:
            ends = chance.sample(sorted(alive), min(len(alive), chance.randint(1, 3)))
            gone += [kept.data_key for kept in map(store.sealed, ends) if kept is not None]
            for each in ends:
                store.change(each, lambda item: replace(item, expires_at_utc=after_s(-1)))
            store.settle(after_s(0), lambda _: None, max_ended=999, limit=999)
            alive -= set(ends)
    held = bytes_in(path.parent)
    assert [key for key in gone if key in held] == []
    assert all(kept.data_key in held for kept in map(store.sealed, alive) if kept is not None)


def test_a_correction_that_was_taken_back_leaves_nothing_either(store: SqliteReviewStore, tmp_path: Path) -> None:
    made = book(store)
    made.keep_correction("r1", "two teas", now=after_s(0))
    kept = store.correction("r1")
    assert kept is not None
    made.keep_correction("r1", "", now=after_s(0))
    assert kept.data_key not in bytes_in(tmp_path)


def test_an_acknowledged_item_is_on_the_disk(store: SqliteReviewStore) -> None:
    assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert store._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert store._connection.execute("PRAGMA secure_delete").fetchone()[0] == 1


# Damage


TABLES = {"data_key": "data_keys", "content": "contents", "resolution": "contents"}
BLOBS = list(TABLES)
SLOTS = {"r1": 1, "r2": 2}


@pytest.mark.parametrize("column", BLOBS)
@pytest.mark.parametrize("byte", [0, 12, -1])
def test_a_byte_that_was_altered_is_noticed(store: SqliteReviewStore, path: Path, column: str, byte: int) -> None:
    made = answered(store)
    with closing(connect(path, REVIEW)) as connection:
        (blob,) = connection.execute(f"SELECT {column} FROM {TABLES[column]}").fetchone()  # noqa: S608  # the schema's
        altered = bytearray(blob)
        altered[byte] ^= 1
        connection.execute(f"UPDATE {TABLES[column]} SET {column} = ?", (bytes(altered),))  # noqa: S608
    with pytest.raises(StateError, match="review r1 cannot be opened"):
        made.show("r1")


@pytest.mark.parametrize("columns", [["data_key"], ["content"], ["resolution"], BLOBS])
def test_rows_that_were_swapped_are_noticed(store: SqliteReviewStore, path: Path, columns: list[str]) -> None:
    made = answered(store)
    answered(store, "r2")
    first, second = (store.sealed(route_id) for route_id in ("r1", "r2"))
    with closing(connect(path, REVIEW)) as connection:
        for taker, giver in (("r1", second), ("r2", first)):
            for column in columns:
                statement = f"UPDATE {TABLES[column]} SET {column} = ? WHERE slot = ?"  # noqa: S608  # the schema's
                connection.execute(statement, (getattr(giver, column), SLOTS[taker]))
    for route_id in ("r1", "r2"):
        with pytest.raises(StateError):
            made.show(route_id)


def test_with_a_lost_key_the_queue_lists_counts_and_expires_and_new_items_work(store: SqliteReviewStore) -> None:
    answered(store)
    book(store).file(review_item("r2"), CONTENT)
    other = book(store, key=bytes(32))
    assert [item.route_id for item in other.items(frozenset(State), 9)] == ["r1", "r2"]
    for route_id in ("r1", "r2"):
        with pytest.raises(StateError, match="sealed under another key") as refused:
            other.show(route_id)
        assert "restore the key" in refused.value.hint
    other.file(review_item("r3"), CONTENT)
    assert other.show("r3").content == CONTENT
    other.settle(after_s(TERMS.retention_s))
    assert other.counts().expired == 2


def test_a_full_disk_stores_nothing_says_so_and_the_queue_goes_on_once_there_is_room(store: SqliteReviewStore) -> None:
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Sealed(data_key=b"key", content=bytes(20_000))
    with pytest.raises(StateError, match="could not be written") as refused:
        store.file(review_item("r1"), big, replace(BOUNDS, max_bytes=100_000))
    assert "nothing was stored" in refused.value.hint
    store._connection.execute("PRAGMA max_page_count = 100000")
    assert store.item("r1") is None
    store.file(review_item("r1"), big, replace(BOUNDS, max_bytes=100_000))


def test_no_error_of_the_file_quotes_content(store: SqliteReviewStore) -> None:
    made = answered(store)
    with pytest.raises(HomebredError) as refused:
        made.file(review_item("r1"), CONTENT)
    assert [word for word in WORDS if word.decode() in str(refused.value.record())] == []


# Keys


def key_file(path: Path, body: bytes = KEY, mode: int = 0o600) -> Path:
    path.write_bytes(body)
    path.chmod(mode)
    return path


def test_a_key_of_the_devices_own_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = device_key(None, tmp_path, {})
    assert len(first) == 32
    assert device_key(None, tmp_path, {}) == first
    assert [found.name for found in tmp_path.iterdir()] == ["review.key"]
    assert (tmp_path / "review.key").stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    other.mkdir()
    assert device_key(None, other, {}) != first


def test_the_configured_file_comes_before_the_credential_and_that_before_the_devices_own(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    key_file(credentials / "review-key", b"c" * 32, 0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    configured = key_file(tmp_path / "configured", b"f" * 32)
    assert device_key(configured, tmp_path, environ) == b"f" * 32
    assert device_key(None, tmp_path, environ) == b"c" * 32
    assert len(device_key(None, tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    configured = key_file(tmp_path / "key", mode=mode)
    with pytest.raises(StateError, match=f"mode {mode:04o}") as refused:
        device_key(configured, tmp_path, {})
    assert refused.value.hint.startswith("chmod 0600")


def test_a_credential_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    key_file(tmp_path / "review-key", mode=0o444)
    with pytest.raises(StateError, match="may use the key"):
        device_key(None, tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(StateError, match="is not 32 bytes long") as refused:
        device_key(key_file(tmp_path / "key", bytes(length)), tmp_path, {})
    assert "restore it" in refused.value.hint


def test_a_configured_key_that_is_not_there_is_told_with_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no key at") as refused:
        device_key(tmp_path / "nowhere", tmp_path, {})
    assert "head -c 32 /dev/urandom" in refused.value.hint


# Crashes: whatever was acknowledged is there again, and nothing else


class OnDisk(ReviewMachine):
    """A queue whose process is killed: the next one finds the file and its log as they lie."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="homebred-review-"))
        self.lives = 0
        self.left: list[SqliteReviewStore] = []

    @override
    def opened(self) -> ReviewStore:
        store = SqliteReviewStore(self.folder / str(self.lives) / "review.sqlite") if self.lives else self._first()
        self.left.append(store)
        return store

    def _first(self) -> SqliteReviewStore:
        (self.folder / "0").mkdir()
        return SqliteReviewStore(self.folder / "0" / "review.sqlite")

    @override
    def crashed(self) -> ReviewStore:
        before, after = self.folder / str(self.lives), self.folder / str(self.lives + 1)
        shutil.copytree(before, after, ignore=shutil.ignore_patterns("*-shm"))
        self.lives += 1
        return self.opened()

    @override
    def teardown(self) -> None:
        for store in self.left:
            store.close()
        shutil.rmtree(self.folder)


TestOnDisk = OnDisk.TestCase
TestOnDisk.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


def test_killed_before_each_statement_of_a_resolve_the_item_is_claimed_or_answered_and_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.killed_resolver", str(tmp_path)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=60)
    ends = told.stdout.split()
    assert set(ends[:-1]) == {"claimed"}
    assert ends[-1] == "answered"
    assert len(ends) > 5


def test_an_open_database_of_another_kind_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(StateError, match="tables of the database"):
        SqliteReviewStore(path)
