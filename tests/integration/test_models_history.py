"""`homebred models history` and `why` over what a device that installs releases has kept."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support import install_scenarios
from tests.support.command_line import homebred
from tests.support.release_folders import signed
from tests.support.specialists import write_specialist

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.store.installs import SqliteInstallStore
from homebred_daemon.cli.exits import Exit
from homebred_daemon.core.builds import Built
from homebred_daemon.core.deployment import Event
from homebred_daemon.core.pairs import Pairs
from homebred_protocol.documents.release_values import Shadow


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Release 1 settled, 2 rolled back, 3 refused."""
    install_scenarios.prepare(tmp_path)
    install_scenarios.act_rolled_back(tmp_path, lambda _: None)
    install_scenarios.act_refused(tmp_path, lambda _: None)
    return tmp_path


def as_json(*arguments: str) -> Any:
    done = homebred("models", *arguments, "--json")
    assert done.status == Exit.OK, done
    return json.loads(done.out)


def test_the_history_names_every_release_what_became_of_it_and_which_serves(state: Path) -> None:
    told = as_json("history", "--state-dir", str(state))["installs"]
    assert [(each["release"], each["state"], each["code"], each["serves"]) for each in told] == [
        (3, "refused", "gate_quality", False),
        (2, "rolled_back", "degraded", False),
        (1, "settled", "", True),
    ]
    assert [step["event"] for step in told[1]["steps"]] == [
        "begun",
        "fetched",
        "verified",
        "fits",
        "passed",
        "activated",
        "degraded",
        "moved_back",
    ]
    assert told[1]["outcomes"] == {"good": 2, "seen": 30}
    facts = told[0]["steps"][-1]["facts"]
    assert facts["say.again:score_ppm"] == 100_000
    shown = homebred("models", "history", "parrot", "--state-dir", str(state)).out
    assert "rolled_back" in shown
    assert "2 of 30 outcomes were good" in shown


def test_why_says_what_serves_by_what_right_and_what_speaks_against_the_others(state: Path) -> None:
    told = as_json("why", "parrot", "--state-dir", str(state))
    assert told["serving"]["release"] == 1
    assert told["serving"]["is_good"] is True
    assert told["goes_back_to"] is None
    shown = homebred("models", "why", "parrot", "--state-dir", str(state)).out
    assert shown.startswith("parrot: release 1 serves since 2026-")
    assert "it has settled" in shown
    assert "gate_quality: say.again scored 0.100 on 40 rows; 0.600 is demanded" in shown
    assert "degraded: 2 of 30 outcomes were good" in shown


def test_of_one_that_was_built_here_its_digest_and_its_builder_are_told(tmp_path: Path) -> None:
    install_scenarios.prepare_built(tmp_path)
    install_scenarios.act_built(tmp_path, lambda _: None)
    told = as_json("why", "parrot", "--state-dir", str(tmp_path))
    newest, first = told["installs"]
    built = newest["built"]["digest"]
    assert told["serving"]["built"] == built
    assert newest["built"]["builder"].startswith("homebred ")
    assert (first["built"], told["goes_back_to"]["built"]) == (None, None)
    by_event = {step["event"]: step for step in newest["steps"]}
    assert (by_event["fits_to_build"]["built"], by_event["passed"]["built"]) == (None, built)
    shown = homebred("models", "why", "parrot", "--state-dir", str(tmp_path)).out
    assert f"  built     {built} by homebred " in shown


def test_that_it_was_built_again_is_told_with_whether_it_gave_the_same_bytes(tmp_path: Path) -> None:
    install_scenarios.prepare_built(tmp_path)
    install_scenarios.act_built(tmp_path, lambda _: None)
    shown = []
    for same in (1, 0):
        with closing(SqliteInstallStore(tmp_path / "installs.sqlite")) as installs:
            install = installs.begin(signed(tmp_path / "offers/5", 7 + same), now_s=1_790_000_000)
            for event in (Event.FETCHED, Event.VERIFIED, Event.FITS_TO_BUILD):
                install = installs.move(install, event, now_s=1_790_000_001, facts={})
            built = Built(digest="sha256:" + "b" * 64, builder="homebred 1, echo 1")
            facts = {"same_bytes": same}
            install = installs.move(install, Event.BUILT, now_s=1_790_000_002, facts=facts, built=built)
            installs.move(install, Event.NO_LONGER_WANTED, now_s=1_790_000_003, facts={})
        shown.append(homebred("models", "why", "parrot", "--state-dir", str(tmp_path)).out)
    assert "by homebred 1, echo 1; built again, the same bytes" in shown[0]
    assert "by homebred 1, echo 1; built again, other bytes than before" in shown[1]


def test_of_one_that_is_being_compared_it_is_told_how_that_stands(state: Path) -> None:
    release = replace(signed(state / "offers/5", 5), shadow=Shadow(outcomes=100, longest_s=3600))
    with closing(SqliteInstallStore(state / "installs.sqlite")) as installs:
        install = installs.begin(release, now_s=1_790_000_000)
        for event in (Event.FETCHED, Event.VERIFIED, Event.FITS, Event.PASSED_TO_SHADOW):
            install = installs.move(install, event, now_s=1_790_000_001, facts={})
        installs.compare(install, Pairs(version="v", both_good=4, only_serving=2, only_newcomer=1))
    told = as_json("history", "--state-dir", str(state))["installs"]
    counts = {"demanded": 100, "seen": 7, "both_good": 4, "only_serving_good": 2, "only_newcomer_good": 1}
    assert (told[0]["state"], told[0]["shadow"], told[1]["shadow"]) == ("shadowing", counts, None)
    shown = homebred("models", "why", "parrot", "--state-dir", str(state)).out
    assert "7 of 100 tasks; it alone failed at 2, what serves alone at 1" in shown


def test_a_device_without_releases_says_so(tmp_path: Path) -> None:
    assert as_json("history", "--state-dir", str(tmp_path)) == {"installs": []}
    assert "no release was ever installed here" in homebred("models", "history", "--state-dir", str(tmp_path)).out
    unknown = homebred("models", "why", "parrot", "--state-dir", str(tmp_path))
    assert unknown.status == Exit.USAGE
    assert "homebred models list" in unknown.err
    ModelStore(tmp_path / "models").add(write_specialist(tmp_path / "parrot"))
    told = as_json("why", "parrot", "--state-dir", str(tmp_path))
    assert told["serving"] == {"release": 0}
    shown = homebred("models", "why", "parrot", "--state-dir", str(tmp_path)).out
    assert "what an administrator put in serves" in shown


def test_reading_changes_nothing(state: Path) -> None:
    before = {path: path.read_bytes() for path in state.rglob("*.sqlite*")}
    homebred("models", "history", "--state-dir", str(state))
    homebred("models", "why", "parrot", "--state-dir", str(state))
    assert {path: path.read_bytes() for path in state.rglob("*.sqlite*")} == before


def test_a_file_that_cannot_be_read_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "installs.sqlite").write_bytes(b"no database" * 1000)
    done = homebred("models", "history", "--state-dir", str(tmp_path))
    assert done.status == Exit.FAILED
    assert "what serves goes on serving" in done.err
