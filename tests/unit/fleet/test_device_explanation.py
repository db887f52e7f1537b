"""Each rule of `devices why` by itself: what it finds, on which facts, and what to do next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from homebred_fleet.core.device_explanation import (
    RULES,
    DeviceRecord,
    Finding,
    PartFacts,
    StopFacts,
    Verdict,
    explain,
)
from homebred_fleet.core.device_filters import DesiredFacts, DeviceFacts
from homebred_fleet.core.durations import DAY_S

NOW_S = 1_800_000_000
FACTS = DeviceFacts(
    id="clinic-east-00ab12cd",
    site="clinic-east",
    state="enrolled",
    labels={},
    online=True,
    heard_at_s=NOW_S - 20,
    software_version="0.1.0",
    policy_digest="sha256:" + "ab" * 32,
    desired=DesiredFacts(version=3, reported_version=3),
    certificate_ends_at_s=NOW_S + 60 * DAY_S,
)
WELL = DeviceRecord(
    facts=FACTS,
    enrolled_at_s=NOW_S - 30 * DAY_S,
    presence_reason="birth",
    presence_changed_at_s=NOW_S - 3 * 3600,
    boot_number=7,
    published_version=3,
    parts=(PartFacts(name="policy", state="applied", digest="sha256:ab"),),
    stored_events=12_345,
)
NO_STOP = WELL.stop


def found(rule: str, *, facts: dict[str, Any] | None = None, **changes: Any) -> Finding:
    record = replace(WELL, facts=replace(FACTS, **(facts or {})), **changes)
    return next(finding for finding in explain(record, NOW_S) if finding.rule == rule)


def test_of_a_device_that_is_well_every_rule_says_so() -> None:
    findings = explain(WELL, NOW_S)
    assert [finding.verdict for finding in findings] == [Verdict.OK] * len(RULES)
    assert len({finding.rule for finding in findings}) == len(RULES)
    assert all(finding.what and not finding.hint for finding in findings)


def test_a_device_of_which_nothing_is_known_is_explained_too() -> None:
    bare = replace(
        FACTS,
        online=False,
        heard_at_s=None,
        certificate_ends_at_s=None,
        desired=DesiredFacts(version=None, reported_version=None),
    )
    findings = {one.rule: one for one in explain(DeviceRecord(facts=bare, enrolled_at_s=NOW_S), NOW_S)}
    assert findings["heard"].what == "it was never heard over the broker"
    assert findings["presence"].what == "it was never connected"
    assert findings["certificate"].verdict is Verdict.PROBLEM
    assert findings["desired"].what == "nothing was assigned to it: its own configuration holds"


@pytest.mark.parametrize(
    ("rule", "facts", "changes", "verdict", "what"),
    [
        (
            "enrolment",
            {"state": "revoked"},
            {"revoked_at_s": NOW_S - 120, "revoke_reason": "stolen"},
            "problem",
            "revoked 2 min ago: stolen",
        ),
        (
            "enrolment",
            {"state": "replaced"},
            {"replaced_by": "clinic-east-ff"},
            "problem",
            "clinic-east-ff took its place",
        ),
        ("certificate", {"certificate_ends_at_s": NOW_S}, {}, "problem", "ended 0 s ago"),
        (
            "certificate",
            {"certificate_ends_at_s": NOW_S + 3 * DAY_S},
            {},
            "note",
            "another 3 d, and should have been renewed",
        ),
        ("heard", {"heard_at_s": NOW_S - 4 * 3600}, {}, "note", "4 h ago, and is connected"),
        ("heard", {"heard_at_s": NOW_S + 3 * 3600}, {}, "ok", "3 h ahead of the controller's clock"),
        (
            "presence",
            {"online": False},
            {"presence_reason": "lost"},
            "note",
            "offline for 3 h: the broker lost it",
        ),
        ("presence", {"online": False}, {"presence_reason": ""}, "note", "nobody said why"),
        (
            "stop",
            {},
            {"stop": replace(NO_STOP, epoch=2, stopped=True, reason_code="recall")},
            "problem",
            "has not said that it knows",
        ),
        (
            "stop",
            {},
            {"stop": StopFacts(epoch=2, stopped=True, reason_code="recall", reported_epoch=2, reported_stopped=True)},
            "problem",
            "in force (recall)",
        ),
        ("stop", {}, {"stop": replace(NO_STOP, epoch=3, reported_epoch=2, reported_stopped=True)}, "note", "lifted"),
        (
            "desired",
            {"desired": DesiredFacts(version=4, reported_version=3)},
            {"published_version": 4},
            "note",
            "at version 4 and reported version 3",
        ),
        ("desired", {"desired": DesiredFacts(version=4, reported_version=3)}, {}, "problem", "broker has not taken"),
        (
            "desired",
            {"desired": DesiredFacts(version=3, reported_version=3, standing="refused")},
            {},
            "problem",
            "refused version 3",
        ),
        (
            "parts",
            {},
            {"parts": (PartFacts(name="policy", state="refused", digest="", problem="line 3: no"),)},
            "problem",
            "policy: line 3: no",
        ),
        (
            "parts",
            {},
            {"parts": (PartFacts(name="policy", state="fetching", digest=""),)},
            "note",
            "policy is fetching",
        ),
        (
            "parts",
            {},
            {"parts": (PartFacts(name="policy", state="fetching", digest="", problem_code="unsigned", problem="why"),)},
            "problem",
            "not taken yet: policy: why",
        ),
        ("gaps", {}, {"lost_events": {"quota": 3, "disk": 2}}, "note", "5 lost and counted: 2 disk, 3 quota"),
        ("quarantine", {}, {"quarantined": {"unreadable": 2}}, "problem", "2 unreadable"),
        ("commands", {}, {"open_commands": 2}, "ok", "2 commands without an answer yet"),
        (
            "commands",
            {},
            {"open_commands": 2, "overdue_commands": 1},
            "note",
            "1 command without an answer by the deadline",
        ),
    ],
)
def test_a_rule_finds_what_is_not_well(
    rule: str, facts: dict[str, Any], changes: dict[str, Any], verdict: str, what: str
) -> None:
    finding = found(rule, facts=facts, **changes)
    assert (finding.verdict, what in finding.what) == (verdict, True), finding.what


def test_every_problem_says_what_to_do_next() -> None:
    for finding in explain(
        replace(
            WELL,
            facts=replace(FACTS, state="revoked", certificate_ends_at_s=None, heard_at_s=None),
            quarantined={"unreadable": 1},
            parts=(PartFacts(name="policy", state="refused", digest=""),),
            stop=replace(NO_STOP, stopped=True),
            published_version=0,
        ),
        NOW_S,
    ):
        assert finding.hint or finding.verdict is not Verdict.PROBLEM, finding
