"""`homebred enroll` and `homebred fleet`, as a technician meets them, against a controller that may say no."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import Ended, homebred
from tests.support.fleet_authority import MEMBERSHIP, Authority
from tests.support.scripted_controller import DEVICE, TOKEN, Controller, Script, controller

from homebred_daemon.adapters import device_certificates
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.cli.fleet_checks import fleet_findings


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Controller]:
    with controller(tmp_path) as running:
        yield running


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def enroll(there: Controller, state: Path, *more: str, stdin: str = f"{TOKEN}\n", pin: str = "") -> Ended:
    pinned = pin or there.authority.fingerprint
    return homebred("enroll", there.url, "--fingerprint", pinned, "--state-dir", state, *more, stdin=stdin)


def error_of(ended: Ended) -> dict[str, str]:
    (line,) = ended.lines
    error: dict[str, str] = line["error"]
    assert error["message"]
    assert error["hint"]
    return error


def test_a_device_is_enrolled_with_a_token_from_standard_input(there: Controller, state: Path) -> None:
    ended = enroll(there, state)
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[:3] == [
        f"enrolled: {DEVICE}, site clinic-east, at {there.url}",
        "no signed releases: the controller has no repositories yet; their roots are pinned once it has",
        "next: systemctl restart homebred",
    ]
    shown = homebred("fleet", "status", "--state-dir", state, "--json")
    (told,) = shown.lines
    assert told["enrolled"]
    assert (told["device_id"], told["site"], told["controller"]) == (DEVICE, "clinic-east", there.url)
    assert [one["check"] for one in told["findings"]] == ["identity", "certificate", "roots", "controller", "broker"]


def test_nothing_that_is_secret_is_shown_or_readable(there: Controller, state: Path) -> None:
    ended = enroll(there, state, "--json")
    assert TOKEN not in ended.out + ended.err
    key = next(state.rglob("key.pem"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert TOKEN.encode() not in b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())


def test_a_token_may_stand_in_a_file_or_on_the_command_line_but_not_in_both(
    there: Controller, state: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    both = enroll(there, state, "--token", TOKEN, "--token-file", str(tmp_path / "token"), "--json")
    assert (both.status, error_of(both)["code"]) == (2, "bad_request")
    assert enroll(there, state, "--token-file", str(tmp_path / "token"), stdin="").status == 0
    there.script.tokens[TOKEN] = ""
    assert enroll(there, state, "--token", TOKEN, "--replace", stdin="").status == 0
    there.script.tokens[TOKEN] = ""
    assert enroll(there, state, "--token-file", "-", "--replace").status == 0


def test_what_is_no_token_is_not_sent(there: Controller, state: Path) -> None:
    ended = enroll(there, state, "--json", stdin="hbt_short")
    assert (ended.status, error_of(ended)["code"]) == (2, "bad_request")
    assert there.script.seen == []


def test_a_living_identity_is_replaced_only_where_that_is_said(there: Controller, state: Path) -> None:
    assert enroll(there, state).status == 0
    held = IdentityFiles(state, {}).current()
    ended = enroll(there, state, "--json")
    assert (ended.status, error_of(ended)["code"]) == (4, "conflict")
    assert DEVICE in error_of(ended)["message"]
    assert IdentityFiles(state, {}).current() == held
    refused = enroll(there, state, "--json", "--replace")  # the token is used
    assert (refused.status, error_of(refused)["code"]) == (4, "enrolment_refused")
    assert IdentityFiles(state, {}).current() == held
    there.script.tokens[TOKEN] = ""
    assert enroll(there, state, "--replace").status == 0
    assert IdentityFiles(state, {}).current() != held


def test_a_damaged_identity_is_not_silently_replaced_either(there: Controller, state: Path) -> None:
    assert enroll(there, state).status == 0
    next(state.rglob("key.pem")).chmod(0o644)
    ended = enroll(there, state, "--json")
    assert (ended.status, error_of(ended)["code"]) == (4, "conflict")
    assert "others than its owner" in error_of(ended)["message"]
    there.script.tokens[TOKEN] = ""
    assert enroll(there, state, "--replace").status == 0


REFUSED = {
    "expired": (Script(refuses=(401, "token_expired")), 4, "enrolment_refused", "has expired"),
    "in trouble": (Script(refuses=(503, "unavailable")), 3, "controller_unreachable", "cannot answer"),
    "clock": (Script(begins=datetime.now(UTC) + timedelta(hours=9)), 5, "clock_wrong", "the clock here says"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_every_refusal_is_said_in_words_and_nothing_is_left_in_force(tmp_path: Path, state: Path, case: str) -> None:
    script, status, code, what = REFUSED[case]
    with controller(tmp_path, replace(script)) as there:
        ended = enroll(there, state, "--json")
    error = error_of(ended)
    assert (ended.status, error["code"]) == (status, code)
    assert what in error["message"]
    assert IdentityFiles(state, {}).current() is None


def test_another_fingerprint_is_refused_and_no_token_is_sent(there: Controller, state: Path) -> None:
    ended = enroll(there, state, "--json", pin=Authority().fingerprint)
    error = error_of(ended)
    assert (ended.status, error["code"]) == (4, "controller_untrusted")
    assert there.authority.fingerprint in error["message"]
    assert there.script.credentials == []


def test_without_a_fingerprint_nothing_is_sent_and_the_one_that_was_seen_is_shown(
    there: Controller, state: Path
) -> None:
    ended = homebred("enroll", there.url, "--state-dir", state, "--json", stdin=TOKEN)
    error = error_of(ended)
    assert (ended.status, error["code"]) == (2, "bad_request")
    assert there.authority.fingerprint in error["message"]
    assert there.script.credentials == []


def test_nobody_there_is_unreachable(state: Path) -> None:
    ended = homebred(
        "enroll", "https://127.0.0.1:1", "--fingerprint", "0" * 64, "--state-dir", state, "--json", stdin=TOKEN
    )
    assert (ended.status, error_of(ended)["code"]) == (3, "controller_unreachable")


def test_an_address_that_cannot_be_one_is_refused(state: Path) -> None:
    ended = homebred(
        "enroll", "http://127.0.0.1", "--fingerprint", "0" * 64, "--state-dir", state, "--json", stdin=TOKEN
    )
    assert (ended.status, error_of(ended)["code"]) == (2, "bad_request")


def test_a_device_in_no_fleet_says_so(state: Path) -> None:
    shown = homebred("fleet", "status", "--state-dir", state, "--json")
    assert shown.status == 1
    assert shown.lines[0]["enrolled"] is False
    left = homebred("fleet", "leave", "--yes", "--state-dir", state, "--json")
    assert (left.status, left.lines) == (0, [{"left": False}])


def test_leaving_must_be_meant_and_leaves_no_key(there: Controller, state: Path) -> None:
    enroll(there, state)
    asked = homebred("fleet", "leave", "--state-dir", state, "--json")
    assert (asked.status, error_of(asked)["code"]) == (2, "bad_request")
    left = homebred("fleet", "leave", "--yes", "--state-dir", state)
    assert left.status == 0
    assert "devices revoke" in left.out
    assert list(state.rglob("*.pem")) == []


def findings(state: Path) -> dict[str, dict[str, Any]]:
    ended = homebred("doctor", "--json", environ={"HOMEBRED_PATHS__STATE_DIR": str(state)})
    return {one["check"]: one for one in json.loads(ended.out)["findings"]}


def test_doctor_checks_identity_certificate_and_broker(there: Controller, state: Path) -> None:
    assert findings(state)["identity"]["what"].startswith("none")
    enroll(there, state)
    found = findings(state)
    assert found["identity"]["status"] == "ok"
    assert found["certificate"]["status"] == "ok"
    assert found["controller"]["status"] == "ok"
    assert found["broker"]["status"] == "warning"  # nobody listens there
    assert found["broker"]["next"]


def test_clocks_that_are_far_apart_are_told(tmp_path: Path, state: Path) -> None:
    with controller(tmp_path, Script(clock_ahead=timedelta(hours=-2))) as there:
        assert enroll(there, state).status == 0
        found = {one.check: one for one in fleet_findings(state, {}, datetime.now(UTC))}["controller"]
    assert found.status == "warning"
    assert "behind" in found.what
    gone = {one.check: one for one in fleet_findings(state, {}, datetime.now(UTC))}["controller"]
    assert "cannot be reached" in gone.what


ENDING = {
    "soon": (-80, "warning", "ends on"),
    "over": (-100, "error", "ended on"),
    "not yet": (10, "error", "the clock says"),
}


@pytest.mark.parametrize("case", ENDING)
def test_a_certificate_that_ends_is_warned_of(state: Path, case: str) -> None:
    days, status, what = ENDING[case]
    authority, files = Authority(), IdentityFiles(state, {})
    pending = files.pending_key("enrolment")
    certificate = authority.issue(pending.request_der, DEVICE, begins=datetime.now(UTC) + timedelta(days=days))
    issued = authority.issued(pending.request_der, MEMBERSHIP)
    pem = device_certificates.as_pem([certificate, authority.issuing.certificate])
    files.take_up(pending, replace(issued, certificates_pem=pem, facts=device_certificates.facts(certificate)))
    found = {one.check: one for one in fleet_findings(state, {}, datetime.now(UTC))}["certificate"]
    assert found.status == status
    assert what in found.what
    assert found.next
