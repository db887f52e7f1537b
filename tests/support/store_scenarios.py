"""What stores are made to do under a recorder, and what must hold of the folder that a fault leaves.

A scenario acts on a folder that `prepare` filled, tells each thing that was acknowledged to it, and checks a folder
after a fault. A new store takes part with one more scenario; `power_cuts.py` and `traced_writers.py` do the rest.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tests.support import (
    command_scenarios,
    identity_scenarios,
    install_scenarios,
    release_scenarios,
    review_scenarios,
    staging_scenarios,
    telemetry_scenarios,
    trust_scenarios,
    upload_scenarios,
)
from tests.support.ledger_entries import OUTCOME, entries, keep_documents
from tests.support.specialists import write_specialist, write_specialist_of_folders
from tests.support.stored_specialists import leftovers_in, measured, specialists_of, titles_of

from homebred_daemon.adapters.durable_files import LEFTOVER_PREFIX, make_folder, replace_durably
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.errors import StateError
from homebred_daemon.services.replaying import replay

T = TypeVar("T")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What the program had told when the fault came."""

    told: tuple[str, ...] = ()
    """All of it, oldest first."""
    told_at_sync: Mapping[str, int] = field(default_factory=dict)
    """How many of them had been told at the last sync of each path below the root."""

    def before_sync_of(self, path: str) -> tuple[str, ...]:
        """What had been told when this file or folder was last synced."""
        return self.told[: self.told_at_sync.get(path, 0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One store at work."""

    prepare: Callable[[Path], None]
    """Fills the folder with what is safely there before."""
    act: Callable[[Path, Tell], None]
    check: Callable[[Path, Promised], None]
    """Opens the store from the folder with its real adapter; AssertionError where a promise is broken."""
    logs: tuple[str, ...] = ()
    """Files whose sync makes safe what was told before; where the power stays on, all that was told is."""


def _nothing(root: Path) -> None:
    """An empty folder."""


# -- the ledger: whole newest entries may go with the power, never parts, and nothing from before the last sync

LEDGER, LEDGER_LOG = "ledger.sqlite", "ledger.sqlite-wal"
MAX_DECISIONS = 12
Batches = tuple[tuple[str, ...], ...]
BATCHES: Batches = (("1",), ("2",), ("3", "4", "5"), ("6",), ("7",))
LATER: Batches = (("8",), ("9",), ("10", "11"), ("12",), ("13",), ("14",))
REOPENED: Batches = (("15",), ("16", "17"))


def _act_on_ledger(root: Path, tell: Tell) -> None:
    ledger = SqliteLedger(root / LEDGER, max_decisions=MAX_DECISIONS)
    keep_documents(ledger)
    for batch in BATCHES:
        _record(ledger, batch, tell)
    with closing(sqlite3.connect(root / LEDGER)) as other, suppress(sqlite3.Error):
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")  # as SQLite does by itself every 1000 pages
    for batch in LATER:
        _record(ledger, batch, tell)
    ledger.close()
    ledger = SqliteLedger(root / LEDGER, max_decisions=MAX_DECISIONS)
    keep_documents(ledger)
    for batch in REOPENED:
        _record(ledger, batch, tell)


def _record(ledger: SqliteLedger, batch: tuple[str, ...], tell: Tell) -> None:
    ledger.record_decisions(entries(*batch))
    for number in batch:
        tell(f"decision {number}")
    for number in batch:
        ledger.record_outcome(replace(OUTCOME, route_id=number))
        tell(f"outcome {number}")


def _act_on_ledger_again(root: Path, tell: Tell) -> None:
    """As `_act_on_ledger`, by a caller that tries once more what was refused."""
    path = root / LEDGER
    ledger = _again(lambda: SqliteLedger(path, max_decisions=MAX_DECISIONS))
    _again(lambda: keep_documents(ledger))
    for batch in BATCHES + LATER + REOPENED:
        _again(lambda batch=batch: ledger.record_decisions(entries(*batch)))  # type: ignore[misc]  # a loop's own value
        for number in batch:
            tell(f"decision {number}")
        for number in batch:
            outcome = replace(OUTCOME, route_id=number)
            _again(lambda outcome=outcome: ledger.record_outcome(outcome))  # type: ignore[misc]  # as above
            tell(f"outcome {number}")
    ledger.close()


def _again(act: Callable[[], T]) -> T:
    try:
        return act()
    except StateError:
        return act()


def _ledger_story() -> list[str]:
    """Everything the ledger is told, in its order."""
    story = []
    for batch in BATCHES + LATER + REOPENED:
        story += [f"decision {number}" for number in batch] + [f"outcome {number}" for number in batch]
    return story


def check_ledger(root: Path, promised: Promised) -> None:
    """It opens, is sound, holds a beginning of its story without a hole, and all that was safe; then it goes on."""
    with closing(SqliteLedger(root / LEDGER, max_decisions=MAX_DECISIONS)) as ledger:
        report = replay(ledger)
        assert report.is_sound, report
        assert not report.mismatches
        held = [recorded.route_id for recorded in ledger.decisions()]
        with closing(sqlite3.connect(f"file:{root / LEDGER}?mode=ro", uri=True)) as reader:
            outcomes = {route for (route,) in reader.execute("SELECT route_id FROM outcomes")}
        safe = promised.before_sync_of(LEDGER_LOG)
        _assert_beginning(held, outcomes, safe)
        keep_documents(ledger)
        ledger.record_decisions(entries("after"))
        ledger.record_outcome(replace(OUTCOME, route_id="after"))
    with closing(SqliteLedger(root / LEDGER, max_decisions=MAX_DECISIONS, read_only=True)) as ledger:
        assert replay(ledger).is_sound
        assert "after" in [recorded.route_id for recorded in ledger.decisions()]


def _assert_beginning(held: list[str], outcomes: set[str], safe: tuple[str, ...]) -> None:
    story = _ledger_story()
    oldest = int(held[0]) if held else 0  # older ones went at the bound, and were counted
    known = {f"decision {number}" for number in held} | {f"outcome {number}" for number in outcomes}
    expected = [step for step in story if int(step.split()[1]) >= oldest]
    number_known = sum(step in known for step in expected)
    assert known == set(expected[:number_known]), f"not a beginning: {sorted(known)}"
    gone = [step for step in safe if int(step.split()[1]) >= oldest and step not in known]
    assert not gone, f"was safe and is gone: {gone}"
    for batch in BATCHES + LATER + REOPENED:
        there = [number in held for number in batch if int(number) >= oldest]
        assert all(there) or not any(there), f"a part of {batch}"
    assert held or not safe


# -- the model store: whatever was acknowledged is there whole, whatever was not is there whole or not at all

SPECIALIST, OLD, NEW = "parrot", "Says it again", "Says it better"
KILLED = ".new-killed"
_OFFERED_MODEL = {"format": "homebred-echo", "logprob": -1.0}


def _prepare_offer(root: Path) -> None:
    write_specialist(root / "new", title=NEW, model=_OFFERED_MODEL)


def _prepare_stored(root: Path) -> None:
    _prepare_offer(root)
    ModelStore(root / "models").add(write_specialist(root / "old", title=OLD))


def _prepare_folders_offer(root: Path) -> None:
    write_specialist_of_folders(root / "new", title=NEW)


def _prepare_folders_stored(root: Path) -> None:
    _prepare_folders_offer(root)
    ModelStore(root / "models").add(write_specialist_of_folders(root / "old", title=OLD))


def _add(root: Path, tell: Tell) -> None:
    ModelStore(root / "models").add(root / "new")
    tell("added")


def _replace(root: Path, tell: Tell) -> None:
    ModelStore(root / "models").add(root / "new", replaces=True)
    tell("replaced")


def _remove(root: Path, tell: Tell) -> None:
    ModelStore(root / "models").remove(SPECIALIST)
    tell("removed")


def _prepare_killed_replacement(root: Path) -> None:
    """The new specialist is written aside: its writer is about to put it in the old one's place."""
    _prepare_stored(root)
    ModelStore(root / "other").add(root / "new")
    shutil.copytree(root / "other/specialists" / SPECIALIST, root / "models/specialists" / KILLED)
    shutil.copytree(root / "other/blobs", root / "models/blobs", dirs_exist_ok=True)


def _recover(root: Path, tell: Tell) -> None:
    """A writer is killed between its renames and its flush; another process finds what it left."""
    specialists = root / "models" / "specialists"
    (specialists / SPECIALIST).rename(specialists / f".old-{SPECIALIST}")
    (specialists / KILLED).rename(specialists / SPECIALIST)
    ModelStore(root / "models")
    tell("recovered")


def _measure(root: Path, tell: Tell) -> None:
    store = ModelStore(root / "models")
    store.record_fitness(SPECIALIST, {"say.again": measured(store.get(SPECIALIST))})
    tell("recorded")


def _check_added(root: Path, promised: Promised) -> None:
    store = ModelStore(root / "models")
    titles = titles_of(store)
    assert titles in ([], [NEW])
    assert titles == [NEW] or "added" not in promised.told
    _check_works(root)


def _check_replaced(root: Path, promised: Promised) -> None:
    (title,) = titles_of(ModelStore(root / "models"))
    assert title in {OLD, NEW}
    assert title == NEW or "replaced" not in promised.told
    _check_works(root)


def _check_removed(root: Path, promised: Promised) -> None:
    titles = titles_of(ModelStore(root / "models"))
    assert titles in ([], [OLD])
    assert not titles or "removed" not in promised.told
    _check_works(root)


def _check_measured(root: Path, promised: Promised) -> None:
    (specialist,) = specialists_of(ModelStore(root / "models"))
    assert specialist.note == ""
    assert specialist.measurements or "recorded" not in promised.told
    _check_works(root)


def _check_works(root: Path) -> None:
    assert leftovers_in(root / "models") == []
    ModelStore(root / "models").add(root / "new", replaces=True)
    assert titles_of(ModelStore(root / "models")) == [NEW]
    assert leftovers_in(root / "models") == []


# -- the review queue: synchronous=FULL, whatever was acknowledged is there


def _check_review(root: Path, promised: Promised) -> None:
    review_scenarios.check(root, promised.told)


# -- the device's identity: whatever was taken up holds, whole; key and certificate belong together


def _check_identity(root: Path, promised: Promised) -> None:
    identity_scenarios.check(root, promised.told)


# -- a whole enrolment: an identity has the roots of its own


def _check_enrolment(root: Path, promised: Promised) -> None:
    identity_scenarios.check_whole(root, promised.told)


# -- what is trusted: the last look that was kept or the next, whole; floors as high as it, or the next


def _check_trust(root: Path, promised: Promised) -> None:
    trust_scenarios.check(root, promised.told)


# -- commands of the fleet's controller: synchronous=FULL, whatever was acknowledged is there


def _check_commands(root: Path, promised: Promised) -> None:
    command_scenarios.check(root, promised.told)


# -- telemetry: the ledger's feed into the outbox, whose batches a controller may have seen


def _check_telemetry(root: Path, promised: Promised) -> None:
    telemetry_scenarios.check(root, promised.told)


# -- a release's file on its way in: frames that were flushed, and nothing that is not what it should be


def _check_staging(root: Path, promised: Promised) -> None:
    staging_scenarios.check(root, promised.told, promised.before_sync_of(staging_scenarios.JOURNAL))


# -- releases being installed: at every moment one valid model serves, whatever was told holds, and all comes to its end


def _check_settled(root: Path, promised: Promised) -> None:
    install_scenarios.check_settled(root, promised.told)


def _check_refused(root: Path, promised: Promised) -> None:
    install_scenarios.check_refused(root, promised.told)


def _check_rolled_back(root: Path, promised: Promised) -> None:
    install_scenarios.check_rolled_back(root, promised.told)


def _check_built(root: Path, promised: Promised) -> None:
    install_scenarios.check_built(root, promised.told)


def _check_shadowed(root: Path, promised: Promised) -> None:
    install_scenarios.check_shadowed(root, promised.told)


# -- a file of settings that is replaced, as the policy that an operator set

DOCUMENT = "state/policy.toml"
FIRST, SECOND = b"version = 1\n" * 500, b"version = 1\n# another one\n" * 700


def _replace_document(root: Path, tell: Tell) -> None:
    try:
        make_folder(root / "state")
        for name, body in (("first", FIRST), ("second", SECOND)):
            replace_durably(root / DOCUMENT, body, aside=root / "state")
            tell(name)
    except OSError as error:  # its callers know what the file is, and say so
        raise StateError(str(error)) from error


def _check_document(root: Path, promised: Promised) -> None:
    document = root / DOCUMENT
    body = document.read_bytes() if document.exists() else b""
    assert body in {b"", FIRST, SECOND}
    assert body or not promised.told
    assert body == SECOND or "second" not in promised.told
    leftovers = list((root / "state").glob(f"{LEFTOVER_PREFIX}*")) if (root / "state").exists() else []
    assert len(leftovers) <= 1
    make_folder(root / "state")
    replace_durably(document, SECOND, aside=root / "state")
    assert document.read_bytes() == SECOND


# -- a release that is built: there whole or not at all


def _check_release(root: Path, promised: Promised) -> None:
    release_scenarios.check(root, promised.told)


# -- what publishers send to a controller: a blob has the bytes that its name says, and what is missing goes on


def _check_upload(root: Path, promised: Promised) -> None:
    upload_scenarios.check(root, promised.told)


SCENARIOS: Mapping[str, Scenario] = {
    "ledger": Scenario(prepare=_nothing, act=_act_on_ledger, check=check_ledger, logs=(LEDGER_LOG,)),
    "ledger again": Scenario(prepare=_nothing, act=_act_on_ledger_again, check=check_ledger, logs=(LEDGER_LOG,)),
    "add": Scenario(prepare=_prepare_offer, act=_add, check=_check_added),
    "replace": Scenario(prepare=_prepare_stored, act=_replace, check=_check_replaced),
    "remove": Scenario(prepare=_prepare_stored, act=_remove, check=_check_removed),
    "add folders": Scenario(prepare=_prepare_folders_offer, act=_add, check=_check_added),
    "replace folders": Scenario(prepare=_prepare_folders_stored, act=_replace, check=_check_replaced),
    "remove folders": Scenario(prepare=_prepare_folders_stored, act=_remove, check=_check_removed),
    "recover": Scenario(prepare=_prepare_killed_replacement, act=_recover, check=_check_replaced),
    "record": Scenario(prepare=_prepare_stored, act=_measure, check=_check_measured),
    "review": Scenario(prepare=_nothing, act=review_scenarios.act, check=_check_review),
    "commands": Scenario(prepare=_nothing, act=command_scenarios.act, check=_check_commands),
    "identity": Scenario(prepare=_nothing, act=identity_scenarios.act, check=_check_identity),
    "enrolment": Scenario(prepare=_nothing, act=identity_scenarios.act_whole, check=_check_enrolment),
    "trust": Scenario(prepare=_nothing, act=trust_scenarios.act, check=_check_trust),
    "telemetry": Scenario(prepare=_nothing, act=telemetry_scenarios.act, check=_check_telemetry),
    "release": Scenario(prepare=release_scenarios.prepare, act=release_scenarios.act, check=_check_release),
    "upload": Scenario(prepare=_nothing, act=upload_scenarios.act, check=_check_upload),
    "staging": Scenario(
        prepare=_nothing, act=staging_scenarios.act, check=_check_staging, logs=(staging_scenarios.JOURNAL,)
    ),
    "install": Scenario(prepare=install_scenarios.prepare, act=install_scenarios.act_settled, check=_check_settled),
    "install refused": Scenario(
        prepare=install_scenarios.prepare, act=install_scenarios.act_refused, check=_check_refused
    ),
    "install shadowed": Scenario(
        prepare=install_scenarios.prepare, act=install_scenarios.act_shadowed, check=_check_shadowed
    ),
    "install built": Scenario(
        prepare=install_scenarios.prepare_built, act=install_scenarios.act_built, check=_check_built
    ),
    "install rolled back": Scenario(
        prepare=install_scenarios.prepare, act=install_scenarios.act_rolled_back, check=_check_rolled_back
    ),
    "document": Scenario(prepare=_nothing, act=_replace_document, check=_check_document),
}

INSTALLS = frozenset({"install", "install built", "install refused", "install rolled back", "install shadowed"})
"""Those that have tests of their own: each check runs a device to the end, and a call that fails is tried again."""
