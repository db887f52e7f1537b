"""When a device looks for releases, what it makes of what it finds, and what it reports; in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.release_files_stage import MANIFEST, RELEASE
from tests.support.releasing_stage import DAY_S, Stage, body_of, look, path_of
from tests.support.trust_stage import HERE, NOW_S, FixedSource

from homebred_daemon.core.deployment import State
from homebred_daemon.core.releases import release_of
from homebred_daemon.core.releasing import (
    LEASE_AGAIN_S,
    LONGEST_AGAIN_S,
    LOOK_AGAIN_S,
    LOOK_EVERY_S,
    again_in_s,
    later,
    no_longer_wanted,
    unfit,
)
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.trust import Lease
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import ControllerUnreachableError, UntrustedError
from homebred_daemon.services.releases.looking import GATHER_S
from homebred_daemon.services.releases.releasing import NEWS_PAUSE_S
from homebred_daemon.services.releases.signed_documents import SignedDocumentDesk
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import Kind

UNREACHABLE = Refusal(reason=Reason.UNREACHABLE).error()
EXPIRED = Refusal(reason=Reason.EXPIRED, about="image")
LEASE = Lease(device=HERE.device, digest="sha256:a", stop_epoch=1, issued_at_s=NOW_S, expires_at_s=NOW_S + 10)


def test_what_both_repositories_name_is_wanted_under_its_lease_and_kept_over_a_restart() -> None:
    stage = Stage(look(body_of(7)))

    async def first(stage: Stage) -> None:
        assert stage.intake.wanted == [7]
        assert stage.manifests.kept == {digest_of(body_of(7)): body_of(7)}
        assert stage.journal.names == ["release_wanted"]
        assert stage.releasing.report.is_whole

    async def second(stage: Stage) -> None:
        release = stage.intake.installs[0].release
        lease = stage.releasing.lease(release)
        assert lease is not None
        assert lease.expires_at_s == NOW_S + DAY_S

    stage.run(first)
    stage.checker.found = [UNREACHABLE]
    stage.run(second)


def test_it_looks_again_at_news_and_else_seldom() -> None:
    async def story(stage: Stage) -> None:
        assert stage.looks == 1
        await stage.rest(LOOK_EVERY_S - 10)
        assert stage.looks == 1
        await stage.rest(20)
        assert stage.looks == 2
        stage.releasing.news()
        await stage.rest(2)
        assert stage.looks == 3
        stage.releasing.news()
        stage.releasing.news()
        await stage.rest(2)
        assert stage.looks == 4

    Stage(look()).run(story)


def test_a_look_that_fails_is_said_once_and_tried_again_later_and_later() -> None:
    async def story(stage: Stage) -> None:
        for failures in range(1, 12):
            assert stage.looks == failures
            await stage.rest(again_in_s(failures) + 2)
        assert stage.journal.names == ["releases_unseen"]
        assert stage.intake.declined == []
        stage.checker.found = [look(body_of(7))]
        await stage.rest(LONGEST_AGAIN_S + 2)
        assert stage.journal.names == ["releases_unseen", "release_wanted", "releases_seen"]

    Stage(UNREACHABLE).run(story)
    assert again_in_s(1) == LOOK_AGAIN_S


def test_what_cannot_be_pinned_yet_is_no_look() -> None:
    stage = Stage(look(body_of(7)))
    stage.pins = [ControllerUnreachableError("away")]

    async def story(stage: Stage) -> None:
        assert stage.looks == 0
        assert stage.journal.names == ["releases_unseen"]
        await stage.rest(LOOK_AGAIN_S + 2)
        assert stage.intake.wanted == [7]

    stage.run(story)


def test_a_fleet_that_signs_nothing_is_not_looked_at_and_that_is_no_fault() -> None:
    stage = Stage(look(body_of(7)))
    stage.signs = False

    async def story(stage: Stage) -> None:
        await stage.rest(LOOK_EVERY_S + 2)
        assert stage.looks == 0
        assert stage.journal.names == []
        stage.signs = True
        stage.releasing.news()
        await stage.rest(2)
        assert stage.intake.wanted == [7]

    stage.run(story)


def test_what_is_refused_is_reported_once_for_as_long_as_it_stays_so() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(3):
            assert stage.intake.declined == [("image", "expired")]
            stage.releasing.news()
            await stage.rest(2)
        assert stage.journal.names == ["release_not_taken", "releases_unseen"]
        stage.checker.found = [look(body_of(7)), look(refusal=EXPIRED)]
        stage.releasing.news()
        await stage.rest(2)
        stage.releasing.news()
        await stage.rest(2)
        assert stage.intake.declined == [("image", "expired")] * 2
        assert stage.intake.withdrawn == []

    Stage(look(refusal=EXPIRED)).run(story)


def test_a_look_that_saw_nothing_has_nothing_told_twice() -> None:
    async def story(stage: Stage) -> None:
        assert stage.intake.declined == [("image", "expired")]
        stage.checker.found = [look(refusal=Refusal(reason=Reason.UNREACHABLE, about="image")), look(refusal=EXPIRED)]
        for _ in range(2):
            stage.releasing.news()
            await stage.rest(2)
        assert stage.intake.declined == [("image", "expired")]

    Stage(look(refusal=EXPIRED)).run(story)


def test_what_cannot_be_kept_now_is_told_by_the_next_look_and_what_was_is_not() -> None:
    stage = Stage(look(body_of(7)))
    stage.intake.refuses, stage.intake.full_after = "older", 0

    async def story(stage: Stage) -> None:
        assert stage.intake.declined == []
        assert stage.journal.names == ["install_held_up"]
        assert stage.releasing.report.is_whole
        stage.intake.full_after = 10
        for _ in range(2):
            stage.releasing.news()
            await stage.rest(2)
        assert stage.intake.declined == [(path_of(7), "older")]
        assert stage.journal.names == ["install_held_up", "release_not_taken"]

    stage.run(story)


def test_what_installing_will_not_have_is_reported_with_its_number() -> None:
    stage = Stage(look(body_of(7)))
    stage.intake.refuses = "older"

    async def story(stage: Stage) -> None:
        assert stage.intake.declined == [(path_of(7), "older")]

    stage.run(story)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "malformed"),
        (body_of(8), "disagreement"),
        (body_of(7, id="other"), "disagreement"),
        (body_of(7, sites=("elsewhere",), classes=("patient",)), "other_site"),
    ],
)
def test_a_manifest_that_is_none_or_another_or_of_another_site_is_not_taken(body: bytes, code: str) -> None:
    stage = Stage(look(body, numbers=[7]))
    stage.serve(7, body)

    async def story(stage: Stage) -> None:
        assert stage.intake.wanted == []
        assert stage.intake.declined == [(path_of(7), code)]
        assert stage.manifests.kept == {}

    stage.run(story)


def test_what_the_director_names_no_more_is_withdrawn_by_a_whole_look_at_the_fleets_own_files_alone() -> None:
    async def story(stage: Stage) -> None:
        assert stage.intake.wanted == [7]
        stage.checker.found = [look(refusal=EXPIRED), look()]
        stage.releasing.news()
        await stage.rest(2)
        assert stage.intake.withdrawn == []
        report = await stage.releasing.look_at(FixedSource(stage.files))
        assert report.is_whole
        assert stage.intake.withdrawn == []
        stage.releasing.news()
        await stage.rest(2)
        assert stage.intake.withdrawn == [7]

    Stage(look(body_of(7))).run(story)


def test_what_is_in_probation_stays_while_the_director_names_a_newer_one_of_the_same_specialist() -> None:
    """Else nothing, or what was before, would serve until the newer one has passed; it may never do."""

    async def story(stage: Stage) -> None:
        assert stage.intake.wanted == [7]
        stage.checker.found = [look(body_of(8), numbers=[8])]
        stage.releasing.news()
        await stage.rest(2)
        assert stage.intake.wanted == [7, 8]
        assert stage.intake.withdrawn == []
        stage.checker.found = [look(body_of(5), numbers=[5])]
        stage.releasing.news()
        await stage.rest(2)
        assert sorted(stage.intake.withdrawn) == [7, 8], (
            "the director goes back to an older one: what is newer is taken back"
        )

    Stage(look(body_of(7))).run(story)


def test_a_newer_one_that_cannot_be_taken_takes_nothing_away() -> None:
    newer = Refusal(reason=Reason.OTHER_SITE, about=path_of(8))

    async def story(stage: Stage) -> None:
        installs = stage.intake.installs
        assert no_longer_wanted(installs, (), (newer,)) == []
        assert no_longer_wanted(installs, (), (replace(newer, about=path_of(6)),)) == installs
        assert no_longer_wanted(installs, (), (replace(newer, about="image"),)) == installs
        assert no_longer_wanted(installs, (), (replace(newer, about="models/clinic/another/9.json"),)) == installs

    Stage(look(body_of(7))).run(story)


def test_what_was_withdrawn_and_is_named_again_has_its_manifest_taken_once_more() -> None:
    async def story(stage: Stage) -> None:
        stage.checker.found = [look(), look(body_of(7))]
        stage.releasing.news()
        await stage.rest(2)
        assert stage.intake.withdrawn == [7]
        stage.manifests.kept.clear()  # as installing does with what nobody wants
        stage.releasing.news()
        await stage.rest(2)
        assert stage.intake.wanted == [7, 7]
        assert stage.manifests.kept == {digest_of(body_of(7)): body_of(7)}

    Stage(look(body_of(7))).run(story)


def test_what_is_decided_here_is_not_taken_again_at_every_look() -> None:
    async def story(stage: Stage) -> None:
        (install,) = stage.intake.installs
        stage.intake.installs = [replace(install, state=State.SETTLED)]
        stage.manifests.kept.clear()
        stage.releasing.news()
        await stage.rest(2)
        assert stage.intake.wanted == [7]
        assert stage.manifests.kept == {}

    Stage(look(body_of(7))).run(story)


def test_what_was_carried_here_is_wanted_under_the_lease_that_came_with_it() -> None:
    async def story(stage: Stage) -> None:
        stage.checker.found = [look(body_of(9), numbers=[9], lease_s=30 * DAY_S)]
        report = await stage.releasing.look_at(FixedSource(stage.files))
        assert [agreed.target.path for agreed in report.wanted] == [path_of(9)]
        carried = stage.intake.installs[0].release
        lease = stage.releasing.lease(carried)
        assert lease is not None
        assert lease.expires_at_s == NOW_S + 30 * DAY_S
        assert set(stage.leases.kept) == {digest_of(body_of(7)), digest_of(body_of(9))}

    Stage(look(body_of(7))).run(story)


def test_an_install_that_waits_for_a_lease_has_the_fleet_looked_at_again_but_not_all_the_time() -> None:
    async def story(stage: Stage) -> None:
        release = stage.intake.installs[0].release
        assert stage.releasing.lease(release) is not None
        await stage.rest(2)
        assert stage.looks == 1
        stage.clock.pass_s(DAY_S)
        stage.checker.found = [UNREACHABLE]
        stage.releasing.lease(release)
        await stage.rest(2)
        looks = stage.looks
        for _ in range(5):
            stage.releasing.lease(release)
            await stage.rest(1)
        assert stage.looks == looks
        stage.checker.found = [look(body_of(7), lease_s=3 * DAY_S)]
        await stage.rest(LEASE_AGAIN_S)
        lease = stage.releasing.lease(release)
        assert lease is not None
        assert lease.expires_at_s == NOW_S + 3 * DAY_S

    Stage(look(body_of(7))).run(story)


@pytest.mark.parametrize("rested_s", [60.0, 0.0])
def test_one_change_of_what_is_desired_is_one_look_for_documents_and_releases(rested_s: float) -> None:
    """Also where releases still rest from the look before (`NEWS_PAUSE_S`)."""

    async def story(stage: Stage) -> None:
        await stage.rest(GATHER_S)
        assert stage.intake.wanted == [7]
        await stage.rest(rested_s)
        looks, stage.checker.found = stage.looks, [look(body_of(8), numbers=[8])]
        stage.releasing.news()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(refusal(stage))
            for seconds in (0.0, GATHER_S, NEWS_PAUSE_S, GATHER_S):
                await stage.rest(seconds)
        assert asked.result() == Reason.NOT_DIRECTED
        assert stage.intake.wanted == [7, 8]
        assert stage.looks == looks + 1

    async def refusal(stage: Stage) -> str:
        with pytest.raises(UntrustedError) as caught:
            await SignedDocumentDesk(stage.looking).document(Kind.POLICY, "sha256:" + "a" * 64, stop_epoch=0)
        return caught.value.reason

    Stage(look(body_of(7)), gather_s=GATHER_S).run(story)


def test_the_stop_epoch_is_the_highest_that_link_or_leases_told_of() -> None:
    async def story(stage: Stage) -> None:
        stage.stopping = Stopping(epoch=3, stopped=True)
        assert stage.releasing.stopping() == Stopping(epoch=3, stopped=True)
        stage.trust.trust = replace(stage.trust.trust, floors=replace(stage.trust.trust.floors, stop_epoch=9))
        stage.releasing.news()
        await stage.rest(2)
        assert stage.releasing.stopping().epoch == 9

    Stage(look(body_of(7))).run(story)


def test_of_two_leases_the_later_counts() -> None:
    longer, newer = replace(LEASE, expires_at_s=NOW_S + 99), replace(LEASE, stop_epoch=2)
    assert later(None, LEASE) == LEASE
    assert later(LEASE, longer) == later(longer, LEASE) == longer
    assert later(longer, newer) == newer


def test_a_manifest_of_the_site_and_of_its_own_name_fits() -> None:
    assert unfit(MANIFEST, MANIFEST.target, HERE.site) == ""
    assert release_of(MANIFEST, MANIFEST.target.path, RELEASE.digest) == RELEASE
