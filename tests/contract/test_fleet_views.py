"""What an admin sees of devices and their telemetry, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import device_filters as cases
from tests.support.fleet_rows import (
    NOW_S,
    add_boot,
    add_certificate,
    add_device,
    add_gap,
    add_hour,
    add_presence,
    add_reported,
    add_route,
)

from homebred_fleet.adapters.store import cohorts, device_records, devices, documents, tables, telemetry_views
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.core.device_explanation import Verdict, explain
from homebred_fleet.core.device_filters import DesiredFacts, DeviceFacts, fits
from homebred_fleet.core.filters import EVERY, parse

PLAIN = DeviceFacts(
    id="clinic-east-00000001",
    site="clinic-east",
    state="enrolled",
    labels={"role": "kiosk"},
    online=False,
    heard_at_s=None,
    software_version="",
    policy_digest="",
    desired=DesiredFacts(version=None, reported_version=None),
    certificate_ends_at_s=None,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(cases.devices(), min_size=3, max_size=12), asked=st.lists(cases.filters(), min_size=4, max_size=8)
)
def test_sql_chooses_the_devices_that_the_filter_means(
    database: Database, found: list[DeviceFacts], asked: list[str]
) -> None:
    made = [
        replace(one, id=f"{one.id}{place}", online=one.online and one.heard_at_s is not None)
        for place, one in enumerate(found)
    ]
    chosen = {}
    with database.writing() as connection:
        for one in made:
            add_device(connection, one)
        for text in asked:
            page = devices.page(connection, parse(text), now_s=cases.NOW_S, limit=100)
            chosen[text] = list(page.devices)
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(table.delete())
    for text in asked:
        meant = [one for one in made if fits(one, parse(text), cases.NOW_S)]
        assert chosen[text] == sorted(meant, key=lambda one: one.id), text


def test_pages_follow_each_other_without_a_hole(database: Database) -> None:
    with database.writing() as connection:
        for number in range(25):
            add_device(connection, replace(PLAIN, id=f"clinic-east-{number:08x}"))
    with database.reading() as connection:
        pages = [devices.page(connection, EVERY, now_s=NOW_S, limit=10)]
        while pages[-1].after is not None:
            pages.append(devices.page(connection, EVERY, now_s=NOW_S, after=pages[-1].after, limit=10))
        seen = [one.id for page in pages for one in page.devices]
        assert [len(page.devices) for page in pages] == [10, 10, 5]
        assert devices.count(connection, EVERY, now_s=NOW_S) == 25
        assert devices.numbers(connection, parse("id==*0a"), now_s=NOW_S)[0][1:] == (seen[10], "clinic-east")
    assert seen == [f"clinic-east-{number:08x}" for number in range(25)]


def test_labels_are_set_and_removed(database: Database) -> None:
    with database.writing() as connection:
        add_device(connection, PLAIN)
        labels = devices.set_labels(connection, PLAIN.id, {"ward": "2", "role": None, "gone": None})
        assert labels == {"ward": "2"}
        assert devices.set_labels(connection, "nobody", {"a": "b"}) is None
    with database.reading() as connection:
        assert devices.count(connection, parse("label.ward==2 and not label.role==*"), now_s=NOW_S) == 1


def test_a_device_is_shown_whole_and_explained(database: Database) -> None:
    refused = {"name": "policy", "digest": "sha256:ff", "state": "refused", "problem": "line 3: no"}
    with database.writing() as connection:
        number = add_device(connection, replace(PLAIN, desired=DesiredFacts(version=2, reported_version=None)))
        add_presence(connection, number, online=True, heard_at_s=NOW_S - 5)
        add_reported(
            connection,
            number,
            desired_version=2,
            standing="refused",
            body={"parts": [refused, {"name": "gazetteer", "state": "applied"}], "stop_epoch": 1},
        )
        add_certificate(connection, number, not_after_s=NOW_S + 10**7)
        add_certificate(connection, number, not_after_s=NOW_S + 10**8, revoked_at_s=1)
        boot = add_boot(connection, number)
        connection.execute(
            tables.watermarks.insert().values(boot=boot, stream=4, up_to_seq=9, events=7, changed_at_s=NOW_S)
        )
        add_gap(connection, boot, 1, events=3, reason=1)
        lost = {"after_seq": 1, "last_seq": 3, "events": 2, "reason": 6, "noted_at_s": NOW_S}
        connection.execute(tables.controller_gaps.insert().values(boot=boot, stream=4, **lost))
        connection.execute(
            tables.quarantine.insert().values(
                device=PLAIN.id, kind="tm", cause="unreadable", messages=4, first_at_s=1, last_at_s=2, sample=b"",
                length=0,
            )
        )  # fmt: skip
        for place, deadline_s in enumerate((NOW_S - 1, NOW_S + 60)):
            connection.execute(
                tables.commands.insert().values(
                    id=f"{place:032x}", device=number, op="ping", parameters={}, issued_at_s=place, issued_by="ada",
                    deadline_s=deadline_s, state="sent", result={},
                )
            )  # fmt: skip
        stop = {"stopped": True, "reason_code": "recall", "issued_at_s": 1, "issued_by": "ada"}
        connection.execute(tables.stop_orders.insert().values(**stop))
    with database.reading() as connection:
        record = device_records.record_of(connection, PLAIN.id, NOW_S)
        shown = device_records.whole(connection, PLAIN.id)
        assert device_records.record_of(connection, "nobody", NOW_S) is None
        assert device_records.whole(connection, "nobody") is None
    assert record is not None
    assert shown is not None
    verdicts = {finding.rule: finding.verdict for finding in explain(record, NOW_S)}
    assert verdicts == {
        "enrolment": Verdict.OK,
        "certificate": Verdict.OK,
        "heard": Verdict.OK,
        "presence": Verdict.OK,
        "stop": Verdict.PROBLEM,
        "desired": Verdict.PROBLEM,
        "parts": Verdict.PROBLEM,
        "gaps": Verdict.NOTE,
        "quarantine": Verdict.PROBLEM,
        "commands": Verdict.NOTE,
    }
    assert (record.lost_events, record.stored_events) == ({"quota": 3, "controller": 2}, 7)
    assert (record.open_commands, record.overdue_commands) == (1, 1)
    assert shown["desired"] == "refused"
    assert shown["watermarks"][0] | {"stream": "route", "up_to_seq": 9, "boot_number": 1} == shown["watermarks"][0]
    assert [one["revoked_at_s"] for one in shown["certificates"]] == [1, None]
    assert shown["reported"]["parts"][0]["problem"] == "line 3: no"
    assert len(shown["commands"]) == 2


def test_routes_are_counted_by_what_is_asked(database: Database) -> None:
    hour = NOW_S // 3600
    with database.writing() as connection:
        east = add_device(connection, PLAIN)
        west = add_device(connection, replace(PLAIN, id="clinic-west-1", site="clinic-west"))
        add_hour(connection, east, hour, 10, weak=1)
        add_hour(connection, east, hour - 1, 5, reason_code=1, slow=2)
        add_hour(connection, east, hour - 30, 100)
        add_hour(connection, west, hour, 7, workflow="triage", status=3)
    with database.reading() as connection:

        def routes(*by: str, text: str = "", workflow: str = "") -> list[dict[str, object]]:
            bounds = {"now_s": NOW_S, "since_s": NOW_S - 86400, "until_s": NOW_S + 3600}
            return telemetry_views.routes(connection, parse(text), by=by, workflow=workflow, **bounds)

        assert routes("site") == [
            {"site": "clinic-east", "routes": 15, "weak": 1, "slow": 2, "completion_tokens": 75, "mean_ms": 40},
            {"site": "clinic-west", "routes": 7, "weak": 0, "slow": 0, "completion_tokens": 35, "mean_ms": 40},
        ]
        assert [(one["reason"], one["status"], one["routes"]) for one in routes("reason", "status")] == [
            ("margin_met", "answer", 10),
            ("margin_met", "review", 7),
            ("local_only", "answer", 5),
        ]
        assert [(one["hour_s"], one["routes"]) for one in routes("hour", text="site==clinic-east")] == [
            (hour * 3600, 10),
            ((hour - 1) * 3600, 5),
        ]
        assert [one["routes"] for one in routes(workflow="triage")] == [7]
        assert routes("device", text="site==nowhere") == routes(text="site==nowhere") == []


def test_events_are_paged_backwards_through_the_starts_of_devices(database: Database) -> None:
    with database.writing() as connection:
        number = add_device(connection, PLAIN)
        old, new = add_boot(connection, number, 1), add_boot(connection, number, 2)
        for seq in range(1, 6):
            add_route(connection, old, seq)
        for seq in range(1, 4):
            add_route(connection, new, seq, workflow="triage", guarded=True, findings=1 << 7)
    with database.reading() as connection:
        first = telemetry_views.events(connection, "route", EVERY, now_s=NOW_S, limit=5)
        assert [(one["boot_number"], one["seq"]) for one in first.events] == [(2, 3), (2, 2), (2, 1), (1, 5), (1, 4)]
        assert first.before is not None
        place = int(first.before.partition(".")[0]), int(first.before.partition(".")[2])
        second = telemetry_views.events(connection, "route", EVERY, now_s=NOW_S, before=place, limit=5)
        assert [(one["boot_number"], one["seq"]) for one in second.events] == [(1, 3), (1, 2), (1, 1)]
        assert second.before is None
        only = telemetry_views.events(connection, "route", parse("site==clinic-east"), now_s=NOW_S, workflow="triage")
        assert len(only.events) == 3
        shown = only.events[0]
        wanted = {
            "device": PLAIN.id,
            "selected_runtime": "local",
            "reason_code": "margin_met",
            "status": "answer",
            "classes": ["public"],
            "findings": ["slow"],
            "link": "up",
            "fallback_target": "none",
            "guarded": True,
        }
        assert {name: shown[name] for name in wanted} == wanted
        for stream in telemetry_views.EVENTS:
            telemetry_views.events(connection, stream, EVERY, now_s=NOW_S, since_s=NOW_S)


def test_gaps_tell_who_counted_them_and_quarantine_tells_of_strangers(database: Database) -> None:
    with database.writing() as connection:
        boot = add_boot(connection, add_device(connection, PLAIN))
        add_gap(connection, boot, 1, events=3, reason=1)
        add_gap(connection, boot, 2, events=4, reason=1)
        lost = {"after_seq": 1, "last_seq": 3, "events": 2, "reason": 6, "noted_at_s": NOW_S}
        connection.execute(tables.controller_gaps.insert().values(boot=boot, stream=4, **lost))
        for name in ("", PLAIN.id, "stranger"):
            row = {"messages": 1, "first_at_s": 1, "last_at_s": 2, "sample": b"\x00\xff", "length": 2}
            connection.execute(tables.quarantine.insert().values(device=name, kind="tm", cause="unreadable", **row))
    with database.reading() as connection:
        found = telemetry_views.gaps(connection, parse(f"id=={PLAIN.id}"), now_s=NOW_S)
        assert [(one["counted_by"], one["reason"], one["events"]) for one in found] == [
            ("device", "quota", 7),
            ("controller", "controller", 2),
        ]
        assert telemetry_views.gaps(connection, parse("site==nowhere"), now_s=NOW_S) == []
        assert len(telemetry_views.quarantined(connection, EVERY, now_s=NOW_S)) == 3
        own = telemetry_views.quarantined(connection, parse("site==clinic-east"), now_s=NOW_S)
        assert [(one["device"], one["sample_base64"]) for one in own] == [(PLAIN.id, "AP8=")]


def test_a_batch_that_was_refused_is_counted_once_whoever_counted_it(database: Database) -> None:
    refused, quota = 4, 1
    with database.writing() as connection:
        device = add_device(connection, PLAIN)
        boot, later = add_boot(connection, device), add_boot(connection, device, 2)
        lost = {"after_seq": 4, "last_seq": 9, "events": 5, "reason": refused, "noted_at_s": NOW_S}
        connection.execute(tables.controller_gaps.insert().values(boot=boot, stream=4, **lost))
        add_gap(connection, later, 1, events=5, reason=refused, lost=boot)
        add_gap(connection, later, 2, events=6, reason=refused, lost=boot, stream=3)
        add_gap(connection, later, 3, events=7, reason=refused, lost=later)
        add_gap(connection, later, 4, events=8, reason=quota, lost=boot)
        assert telemetry_views.lost_by_reason(connection, device) == {"refused": 5 + 6 + 7, "quota": 8}
        counted = telemetry_views.gaps(connection, EVERY, now_s=NOW_S)
        assert sum(one["events"] for one in counted) == 5 + 6 + 7 + 8


def test_cohorts_are_kept_by_name_and_lists_of_names_by_digest(database: Database) -> None:
    digest = "sha256:" + "a" * 64
    with database.writing() as connection:
        cohorts.put(connection, "kiosks", "label.role==kiosk", now_s=1)
        cohorts.put(connection, "kiosks", "label.role==kiosk and online==true", now_s=2)
        assert cohorts.selector_of(connection, "kiosks") == "label.role==kiosk and online==true"
        assert [one["name"] for one in cohorts.every(connection)] == ["kiosks"]
        assert (cohorts.remove(connection, "kiosks"), cohorts.remove(connection, "kiosks")) == (True, False)

        def add(site: str) -> str | None:
            return documents.add(connection, digest=digest, site=site, length=3, by="ada", now_s=1)

        assert [add(site) for site in ("east", "east", "west")] == [None, None, "east"]
        assert documents.every(connection)[0]["digest"] == digest
        assert documents.one(connection, digest) == documents.every(connection)[0]
        assert documents.one(connection, "sha256:") is None
