"""What admins change, on SQLite and PostgreSQL: all of it or nothing, and never without its row in the audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.fleet_rows import NOW_S, add_device, add_reported

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.store import audit, desired, devices, identities, stops, tables
from homebred_fleet.adapters.store.administering import Administering, Target
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.core.admin_actions import ROLE_OF
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.device_filters import DesiredFacts, DeviceFacts
from homebred_fleet.core.filters import parse
from homebred_fleet.core.tokens import token_hash
from homebred_fleet.errors import ConflictError, FleetError, NotFoundError, RequestError
from homebred_fleet.ports.intents import DocumentRef
from homebred_protocol.limits import MAX_LABELS
from homebred_protocol.targets import Kind
from homebred_protocol.targets import Target as SignedTarget

ADA = Admin(name="ada", role="admin")
EAST, WEST, GONE = "clinic-east-00000001", "clinic-west-00000002", "clinic-east-00000003"
HELD = DocumentRef(digest="sha256:" + "a" * 64, length=12)
NAMES = b'{"text": "Ada Nilsson", "class": "patient"}\n'
PLAIN = DeviceFacts(
    id=EAST,
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


def policy(site: str, name: str = "main") -> SignedTarget:
    return SignedTarget(kind=Kind.POLICY, group=site, name=name, number=3)


def gazetteer(site: str) -> SignedTarget:
    return SignedTarget(kind=Kind.GAZETTEER, group=site, name="names", number=3)


@dataclass
class Stage:
    """A fleet of three devices, one of them revoked, and somebody who administers it."""

    database: Database
    blobs: BlobFolder
    wakes: int = 0

    def __post_init__(self) -> None:
        self.administering = Administering(self.database, self.blobs, clock=lambda: NOW_S, wake=self._wake)
        with self.database.writing() as connection:
            add_device(connection, PLAIN)
            add_device(connection, replace(PLAIN, id=WEST, site="clinic-west"))
            add_device(connection, replace(PLAIN, id=GONE, state="revoked"))

    def _wake(self) -> None:
        self.wakes += 1

    def wanted(self) -> dict[str, tuple[int, DocumentRef | None, DocumentRef | None]]:
        """Version, policy and gazetteer of each device of which anything is wanted."""
        with self.database.reading() as connection:
            states = desired.states_of(connection, [EAST, WEST, GONE])
        return {one.device: (one.version, one.policy, one.gazetteer) for one in states}

    def audited(self) -> list[tuple[str, str]]:
        with self.database.reading() as connection:
            assert audit.check(connection) is None
            rows = connection.execute(select(tables.audit).order_by(tables.audit.c.number)).all()
        return [(row.action, row.target) for row in rows]


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> Stage:
    return Stage(database, BlobFolder(tmp_path / "blobs"))


def test_a_label_reaches_the_device_with_a_new_version(stage: Stage) -> None:
    assert stage.administering.relabel(ADA, EAST, {"ward": "2", "role": None}) == {"ward": "2"}
    with stage.database.reading() as connection:
        assert [(one.version, one.labels) for one in desired.states_of(connection, [EAST])] == [(1, {"ward": "2"})]
    assert (stage.audited(), stage.wakes) == ([("device.label", EAST)], 1)


def test_a_device_gets_no_more_labels_than_it_takes(stage: Stage) -> None:
    most = {f"k{number}": "v" for number in range(MAX_LABELS)}
    assert stage.administering.relabel(ADA, EAST, {"role": None, **most}) == most
    with pytest.raises(RequestError, match="65 labels"):
        stage.administering.relabel(ADA, EAST, {"more": "v"})
    assert stage.administering.relabel(ADA, EAST, {"more": "v", "k0": None}).keys() == {"more", *most} - {"k0"}


def test_a_policy_is_assigned_to_the_enrolled_devices_of_a_filter_above_what_they_have_seen(stage: Stage) -> None:
    with stage.database.writing() as connection:
        number = devices.number_of(connection, WEST)
        assert number is not None
        add_reported(connection, number, desired_version=40, highest_version=41)
    for site in ("clinic-east", "clinic-west"):
        assert stage.administering.assign_release(ADA, Target(filter=f"site=={site}"), policy(site), HELD) == 1
    assert stage.wanted() == {EAST: (1, HELD, None), WEST: (42, HELD, None)}
    assert stage.administering.reset(ADA, Target(filter="site==*"), Kind.POLICY) == 2
    assert stage.administering.reset(ADA, Target(filter="site==*"), Kind.POLICY) == 0
    assert stage.wanted() == {EAST: (2, None, None), WEST: (43, None, None)}
    actions = [action for action, _ in stage.audited()]
    assert actions == ["release.assign", "release.assign", "release.reset", "release.reset"]


def test_another_line_of_policies_takes_the_place_and_only_the_one_that_is_assigned_is_given_back(
    stage: Stage,
) -> None:
    one, other = policy("clinic-east"), policy("clinic-east", "night")
    newer = DocumentRef(digest="sha256:" + "b" * 64, length=9)
    stage.administering.assign_release(ADA, Target(device=EAST), one, HELD)
    stage.administering.assign_release(ADA, Target(device=EAST), other, newer)
    assert stage.administering.withdraw_release(ADA, Target(device=EAST), one.line) == 0
    assert stage.wanted() == {EAST: (2, newer, None)}
    assert stage.administering.withdraw_release(ADA, Target(device=EAST), other.line) == 1
    assert stage.wanted() == {EAST: (3, None, None)}


def test_a_release_leaves_policy_and_gazetteer_as_they_are(stage: Stage) -> None:
    release = SignedTarget(kind=Kind.RELEASE, group="qa", name="intake", number=7)
    stage.administering.assign_release(ADA, Target(device=EAST), policy("clinic-east"), HELD)
    stage.administering.assign_release(ADA, Target(device=EAST), gazetteer("clinic-east"), HELD)
    stage.administering.assign_release(ADA, Target(device=EAST), release, HELD)
    stage.administering.withdraw_release(ADA, Target(device=EAST), release.line)
    assert stage.wanted() == {EAST: (4, HELD, HELD)}


def test_a_cohort_means_whoever_fits_at_the_time(stage: Stage) -> None:
    assert stage.administering.put_cohort(ADA, "kiosks", "label.role==kiosk and state==enrolled") == 2
    stage.administering.relabel(ADA, WEST, {"role": "press"})
    assert stage.administering.assign_release(ADA, Target(cohort="kiosks"), gazetteer("clinic-east"), HELD) == 1
    stage.administering.remove_cohort(ADA, "kiosks")
    with pytest.raises(NotFoundError):
        stage.administering.assign_release(ADA, Target(cohort="kiosks"), gazetteer("clinic-east"), HELD)


def test_what_is_one_sites_own_is_assigned_nowhere_else(stage: Stage) -> None:
    digest = stage.administering.add_list(ADA, site="clinic-east", body=NAMES)
    assert stage.blobs.read(digest) == NAMES
    before = stage.audited()
    with pytest.raises(RequestError, match="signed for site clinic-east, and some devices are at clinic-west"):
        stage.administering.assign_release(ADA, Target(filter="site==*"), gazetteer("clinic-east"), HELD)
    with pytest.raises(ConflictError, match="clinic-east's"):
        stage.administering.add_list(ADA, site="clinic-west", body=NAMES)
    assert stage.audited() == before == [("document.add", digest)]
    assert stage.wanted() == {}


def test_a_command_waits_for_each_device_that_is_meant(stage: Stage) -> None:
    target = Target(filter="site in (clinic-east, clinic-west)")
    ordered = stage.administering.order(ADA, target, op="log-level", parameters={"level": "debug"}, wait_s=60)
    assert set(ordered) == {EAST, WEST}
    with stage.database.reading() as connection:
        rows = connection.execute(select(tables.commands)).mappings().all()
    assert {row["id"] for row in rows} == set(ordered.values())
    assert {(row["op"], row["deadline_s"], row["issued_by"]) for row in rows} == {("log-level", NOW_S + 60, "ada")}
    assert (stage.audited(), stage.wakes) == ([("command.issue", "log-level")], 1)


def test_a_stop_has_a_higher_epoch_each_time(stage: Stage) -> None:
    assert stage.administering.stop(ADA, stopped=True, reason_code="recall") == 1
    assert stage.administering.stop(ADA, stopped=False, reason_code="checked") == 2
    with stage.database.reading() as connection:
        in_force = stops.in_force(connection)
    assert in_force is not None
    assert (in_force.epoch, in_force.stopped) == (2, False)
    assert stage.audited() == [("stop.on", "1"), ("stop.off", "2")]


def test_a_token_is_told_once_and_kept_as_a_hash(stage: Stage) -> None:
    text, token = stage.administering.create_token(
        ADA, site="clinic-east", labels={"role": "kiosk"}, device="", replaces="", life_s=3600
    )
    with stage.database.reading() as connection:
        row = connection.execute(select(tables.tokens)).mappings().one()
        assert identities.list_tokens(connection) == (token,)
    assert row["hash"] == token_hash(text)
    assert text.removeprefix("hbt_") not in str(dict(row))
    again = stage.administering.create_token(ADA, site="", labels={}, device=GONE, replaces="", life_s=60)[1]
    assert (again.site, again.device) == ("clinic-east", GONE)
    assert stage.administering.withdraw_token(ADA, token.id)
    assert not stage.administering.withdraw_token(ADA, token.id)


REFUSED: list[Callable[[Administering], object]] = [
    lambda one: one.relabel(ADA, EAST, {"Role": "x"}),
    lambda one: one.relabel(ADA, "nobody", {"role": "x"}),
    lambda one: one.put_cohort(ADA, "Kiosks", "site==a"),
    lambda one: one.put_cohort(ADA, "kiosks", "sit==a"),
    lambda one: one.remove_cohort(ADA, "kiosks"),
    lambda one: one.add_list(ADA, site="clinic-east", body=b"Ada Nilsson"),
    lambda one: one.add_list(ADA, site="Clinic", body=NAMES),
    lambda one: one.add_list(ADA, site="", body=NAMES),
    lambda one: one.reset(ADA, Target(), Kind.POLICY),
    lambda one: one.reset(ADA, Target(device=EAST, filter="site==*"), Kind.POLICY),
    lambda one: one.reset(ADA, Target(filter="  "), Kind.POLICY),
    lambda one: one.reset(ADA, Target(filter="site==nowhere"), Kind.POLICY),
    lambda one: one.reset(ADA, Target(device="nobody"), Kind.POLICY),
    lambda one: one.reset(ADA, Target(device=GONE), Kind.POLICY),
    lambda one: one.assign_release(ADA, Target(device=GONE), policy("clinic-east"), HELD),
    lambda one: one.assign_release(ADA, Target(device=WEST), policy("clinic-east"), HELD),
    lambda one: one.withdraw_release(ADA, Target(device=GONE), "policies/clinic-east/main"),
    lambda one: one.order(ADA, Target(device=EAST), op="shell", parameters={}, wait_s=60),
    lambda one: one.order(ADA, Target(device=GONE), op="ping", parameters={}, wait_s=60),
    lambda one: one.stop(ADA, stopped=True, reason_code="It is bad"),
    lambda one: one.create_token(ADA, site="", labels={}, device="", replaces="", life_s=60),
    lambda one: one.create_token(ADA, site="", labels={}, device="nobody", replaces="", life_s=60),
    lambda one: one.create_token(ADA, site="other", labels={}, device=EAST, replaces="", life_s=60),
    lambda one: one.withdraw_token(ADA, "nothing"),
]


def test_what_is_refused_changes_nothing_and_says_what_next(stage: Stage) -> None:
    for asked in REFUSED:
        with pytest.raises(FleetError) as refused:
            asked(stage.administering)
        assert isinstance(refused.value, RequestError), refused.value
        assert refused.value.hint
    assert (stage.audited(), stage.wakes) == ([], 0)
    with stage.database.reading() as connection:
        assert devices.count(connection, parse("label.role==kiosk"), now_s=NOW_S) == 3


def test_every_change_bears_a_name_of_the_table_of_actions(stage: Stage) -> None:
    stage.administering.relabel(ADA, EAST, {"ward": "2"})
    stage.administering.put_cohort(ADA, "kiosks", "site==*")
    stage.administering.remove_cohort(ADA, "kiosks")
    stage.administering.add_list(ADA, site="clinic-east", body=NAMES)
    stage.administering.assign_release(ADA, Target(device=EAST), policy("clinic-east"), HELD)
    stage.administering.withdraw_release(ADA, Target(device=EAST), policy("clinic-east").line)
    stage.administering.reset(ADA, Target(device=EAST), Kind.POLICY)
    stage.administering.order(ADA, Target(device=EAST), op="ping", parameters={}, wait_s=60)
    stage.administering.stop(ADA, stopped=True, reason_code="recall")
    token = stage.administering.create_token(ADA, site="a", labels={}, device="", replaces="", life_s=60)[1]
    stage.administering.withdraw_token(ADA, token.id)
    assert {action for action, _ in stage.audited()} < set(ROLE_OF)
