"""Escalations on the stage: what leaves, what comes home, and who answers where it does not."""

from __future__ import annotations

from functools import partial
from typing import NoReturn

import pytest
from tests.support.answering_stage import ESCALATABLE, PRIVATE, Actor, Stage, accepted_task
from tests.support.metrics_reader import counted
from tests.support.scripted_cloud import Asks, ScriptedCloud
from tests.support.scripted_pool import says

from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.core.measures import Given
from homebred_daemon.core.sensitivity import Span
from homebred_daemon.errors import DetectionError
from homebred_daemon.ports.cloud import (
    CloudError,
    CloudFinish,
    CloudUnreachableError,
    CutOffError,
    StoppedAtGateError,
)
from homebred_daemon.services import answering
from homebred_daemon.services.answering import CLOUD_SHARE
from homebred_daemon.services.tallying import Tally

UNFIT = partial(Actor, fitness=0.7, reference_fitness=0.9)
DECIDED = "decided r1 cloud_escalation cloud/default: margin_short"
TEXT = "ask Quill why"


def stage(*script: str | Asks | CloudError | CloudFinish, local: str = "hello") -> Stage:
    """A device whose own specialist is unfit, with a cloud that follows the script, and which knows one Quill."""
    made = Stage({"a": UNFIT(plays=[says(local)])}, cloud=ScriptedCloud(script))
    made.detector.words = {"Quill": "PERSON"}
    return made


def lane(made: Stage) -> ScriptedCloud:
    assert isinstance(made.cloud, ScriptedCloud)
    return made.cloud


async def test_what_leaves_is_masked_and_what_comes_home_is_restored() -> None:
    made = stage("Because ", "{0} ", "knows.", CloudFinish.STOP)
    heard = await made.answer(ESCALATABLE, text=TEXT)
    assert heard == [DECIDED, "<< Because ", "<< Quill ", "<< knows.", "answer by cloud/default"]
    (request,) = lane(made).asked
    assert "Quill" not in repr(request)
    assert request.turns[0].content.startswith("ask ⟦person:")
    (outcome,) = made.outcomes
    assert (outcome.record.prompt_tokens, outcome.record.completion_tokens, outcome.weak) == (7, 3, False)
    assert made.written() == ["r1 answer by cloud/default"]


async def test_a_token_that_comes_in_pieces_is_never_shown() -> None:
    made = stage(*"{0}", CloudFinish.STOP)
    lane(made).script = ()
    first = await made.answer(ESCALATABLE, text=TEXT)
    token = lane(made).asked[0].turns[0].content.split()[1]
    again = stage(*token, "!", CloudFinish.STOP)
    assert "".join(line.removeprefix("<< ") for line in await again.answer(ESCALATABLE, text=TEXT) if "<<" in line) == (
        "Quill!"
    )
    assert first[-1] == "degraded by a: cloud_failed, broken_answer"


@pytest.mark.parametrize(
    "error", [CloudUnreachableError(), StoppedAtGateError({"SECRET"}), CutOffError()], ids=lambda error: error.code
)
async def test_a_cloud_that_fails_before_its_first_word_is_answered_for_here(error: CloudError) -> None:
    assert await stage(error).answer(ESCALATABLE) == [DECIDED, "<< hello", f"degraded by a: cloud_failed, {error.code}"]


async def test_what_was_streamed_of_an_answer_that_is_cut_off_is_taken_back() -> None:
    assert await stage("Bec", CutOffError()).answer(ESCALATABLE) == [
        DECIDED,
        "<< Bec",
        "retracted: cloud_cut_off",
        "<< hello",
        "degraded by a: cloud_failed, cloud_cut_off",
    ]


@pytest.mark.parametrize("invented", ["⟦person:00000000", "⟦person:000000000⟧", "⟦"])
async def test_a_token_that_was_never_issued_takes_the_answer_back(invented: str) -> None:
    assert (await stage("So ", invented, CloudFinish.STOP).answer(ESCALATABLE))[1:] == [
        "<< So ",
        "retracted: altered_token",
        "<< hello",
        "degraded by a: cloud_failed, altered_token",
    ]


@pytest.mark.parametrize(("end", "why"), [((), "broken_answer"), ((CloudFinish.FILTERED,), "cloud_filtered")])
async def test_an_answer_that_is_not_whole_does_not_count(end: tuple[CloudFinish, ...], why: str) -> None:
    assert (await stage("Well", *end).answer(ESCALATABLE))[-1] == f"degraded by a: cloud_failed, {why}"


async def test_nobody_here_to_stand_in_sends_it_to_a_person() -> None:
    made = Stage({}, cloud=ScriptedCloud([CloudUnreachableError()]))
    assert await made.answer(ESCALATABLE) == [DECIDED, "review needs_review: cloud_failed, cloud_unreachable"]


TEAS = ESCALATABLE | {"constraints": {"contains": ["Quill"], "max_characters": 10}}


async def test_a_cloud_answer_with_constraints_is_held_back_restored_and_held_to_them_here() -> None:
    made = stage("Ask ", "{0}", CloudFinish.STOP)
    assert await made.answer(TEAS, text=TEXT) == [DECIDED, "<< Ask Quill", "answer by cloud/default"]
    assert "Quill" not in repr(lane(made).asked)


async def test_one_that_breaks_them_does_not_count_and_nothing_of_it_was_shown() -> None:
    made = stage("Please ask ", "{0}", CloudFinish.STOP, local="Quill!")
    assert await made.answer(TEAS, text=TEXT) == [DECIDED, "<< Quill!", "degraded by a: cloud_failed, cloud_unfit"]


class BlindDetector:
    """Searches the first few texts, and fails with every other one."""

    digest = "sha256:blind"
    entity_types = frozenset[str]()

    def __init__(self, searches: int) -> None:
        self.searches = searches

    def detect(self, text: str) -> tuple[Span, ...]:
        del text
        self.searches -= 1
        if self.searches < 0:
            raise DetectionError
        return ()


async def test_what_cannot_be_searched_before_it_is_decided_stays_here() -> None:
    made = stage("never said")
    made.leaving_looks = BlindDetector(0)
    assert await made.answer(ESCALATABLE, text=TEXT) == [
        "decided r1 local a: offline_local",
        "<< hello",
        "answer by a: unsearched",
    ]
    assert not lane(made).asked


async def test_what_cannot_be_searched_as_it_is_masked_stays_here() -> None:
    made = stage("never said")
    made.leaving_looks = BlindDetector(1)
    assert await made.answer(ESCALATABLE, text=TEXT) == [DECIDED, "<< hello", "degraded by a: cloud_failed, unsearched"]
    assert not lane(made).asked


async def test_a_value_is_not_restored_into_a_link() -> None:
    made = stage("see https://x.example/?q={0}", CloudFinish.STOP)
    heard = await made.answer(ESCALATABLE, text=TEXT)
    assert not any("Quill" in line for line in heard)
    assert heard[-1] == "answer by cloud/default: withheld"


@pytest.mark.parametrize(
    "link",
    [r"https:\/\/x.example\/{0}", r"![x]\u0028https:\u002f\u002fx\u002eexample\u002f{0})", r"\u003cimg src='{0}'>"],
    ids=["slashes", "every letter", "tag"],
)
async def test_no_escape_of_json_hides_a_link_from_the_place_where_a_value_is_withheld(link: str) -> None:
    made = stage('{{"see": "', link, '"}}', CloudFinish.STOP)
    heard = await made.answer(ESCALATABLE, text=TEXT, schema='{"type": "object"}')
    assert not any("Quill" in line for line in heard)
    assert heard[-1] == "answer by cloud/default: withheld"


async def test_a_value_ends_no_string_of_an_answer_in_json() -> None:
    made = stage('{{"name": "{0}"}}', CloudFinish.STOP)
    made.detector.words = {'Ada "Quill"': "PERSON"}
    heard = await made.answer(ESCALATABLE, text='ask Ada "Quill" why', schema='{"required": ["name"]}')
    assert heard[1] == r'<< {"name": "Ada \"Quill\""}'


async def test_what_an_answer_in_json_says_beside_its_calls_may_be_prose() -> None:
    made = stage("For {0}.", Asks("ring", "{}"), CloudFinish.TOOL_CALLS)
    heard = await made.answer(ESCALATABLE | {"tools": [{"name": "ring"}]}, text=TEXT, schema='{"type": "object"}')
    assert heard[1:] == ["<< For Quill.", "asks for ring {}", "answer by cloud/default"]


async def test_an_answer_that_must_fit_a_schema_is_held_back_until_it_does() -> None:
    schema = '{"type": "object", "required": ["name"]}'
    fits = stage('{{"name": ', '"{0}"}}', CloudFinish.STOP)
    assert await fits.answer(ESCALATABLE, text=TEXT, schema=schema) == [
        DECIDED,
        '<< {"name": "Quill"}',
        "answer by cloud/default",
    ]
    unfit = stage("[]", CloudFinish.STOP, local='{"name": 1}')
    assert (await unfit.answer(ESCALATABLE, schema=schema))[1:] == [
        '<< {"name": 1}',
        "degraded by a: cloud_failed, cloud_unfit",
    ]


async def test_a_schema_leaves_masked_and_its_names_come_home() -> None:
    made = stage('{{"{0}": 1}}', CloudFinish.STOP)
    heard = await made.answer(ESCALATABLE, text=TEXT, schema='{"type": "object", "required": ["Quill"]}')
    assert "Quill" not in repr(lane(made).asked)
    assert heard[1:] == ['<< {"Quill": 1}', "answer by cloud/default"]


async def test_a_schema_that_masking_broke_is_not_sent() -> None:
    made = stage("{}", CloudFinish.STOP, local='{"name": 1}')
    made.detector.words = {"1900": "DATE"}
    heard = await made.answer(ESCALATABLE, schema='{"type": "object", "minProperties": 0, "maxProperties": 1900}')
    assert heard[-1] == "degraded by a: cloud_failed, masked_schema"
    assert lane(made).asked == []


async def test_the_cloud_is_given_a_share_of_the_time_and_asked_once() -> None:
    made = stage(CloudUnreachableError())
    await made.answer(ESCALATABLE, deadline_s=20.0)
    assert lane(made).deadlines_s == [pytest.approx(20.0 * CLOUD_SHARE)]


async def test_a_dry_run_shows_what_would_leave_and_sends_nothing() -> None:
    made = stage("never", CloudFinish.STOP)
    async with made.answering() as answering:
        routed = await answering.route(accepted_task(ESCALATABLE, text=TEXT))
        kept = await answering.route(accepted_task(PRIVATE, text=TEXT))
    assert routed.context is not None
    assert routed.context.turns[0].content.startswith("ask ⟦person:")
    assert kept.context is None
    assert lane(made).asked == []


async def test_a_local_only_task_never_meets_the_lane() -> None:
    made = stage("never", CloudFinish.STOP)
    await made.answer(PRIVATE | {"allows_escalation": True})
    assert lane(made).asked == []


async def test_what_would_leave_is_chosen_only_where_something_may(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(_: object) -> NoReturn:
        raise AssertionError("a task that stays was read through once more")

    monkeypatch.setattr(answering, "leaving_context", unwanted)
    made = Stage({"a": Actor(plays=[says("hello")])})
    assert (await made.answer(PRIVATE))[-1] == "answer by a"


LOOK_UP = {"name": "look_up", "parameters": {"type": "object", "required": ["who"]}, "runs_here": True}
SEND = {"name": "send", "parameters": {"type": "object"}}
WITH_TOOLS = {**ESCALATABLE, "tools": [LOOK_UP, SEND]}


async def test_a_tool_that_runs_here_is_asked_for_with_the_values_back_in() -> None:
    made = stage("Let me look. ", Asks("0", '{"who": "{0}"}'), CloudFinish.TOOL_CALLS)
    heard = await made.answer(WITH_TOOLS, text=TEXT)
    assert heard[1:] == ["<< Let me look. ", 'asks for look_up {"who": "Quill"}', "answer by cloud/default"]
    (request,) = lane(made).asked
    assert ("Quill" in repr(request), request.tools[0].name) == (False, "look_up")


async def test_a_tool_elsewhere_gets_no_value_and_the_answer_is_weak() -> None:
    heard = await stage(Asks("send", '{"to": "{0}"}'), CloudFinish.TOOL_CALLS).answer(WITH_TOOLS, text=TEXT)
    assert heard[1:] == ['asks for send {"to": "[withheld]"}', "answer by cloud/default: withheld"]


@pytest.mark.parametrize(
    ("asks", "why"),
    [
        (Asks("look_up", "{}"), "cloud_unfit"),
        (Asks("look_up", "{"), "cloud_unfit"),
        (Asks("sing", "{}"), "cloud_unfit"),
        (Asks("look_up", '{"who": "⟦person:000000000⟧"}'), "altered_token"),
    ],
)
async def test_a_call_that_cannot_be_made_takes_back_what_came_before_it(asks: Asks, why: str) -> None:
    heard = await stage("Well, ", asks, CloudFinish.TOOL_CALLS).answer(WITH_TOOLS, text=TEXT)
    assert heard[1:3] == ["<< Well, ", f"retracted: {why}"]
    assert not any(line.startswith("asks") for line in heard)


async def test_within_a_session_a_value_has_one_token_over_all_tasks() -> None:
    made = stage("so", CloudFinish.STOP)
    async with made.answering() as answering:
        for session_id in ("visit", "visit", "other", ""):
            await answering.answer(accepted_task(ESCALATABLE, text=TEXT, session_id=session_id), made.hear)
    first, second, other, alone = (request.turns[0].content for request in lane(made).asked)
    assert first == second
    assert len({first, other, alone}) == 3


async def test_an_attached_text_leaves_masked_and_one_that_is_not_needed_stays() -> None:
    made = stage("so", CloudFinish.STOP)
    attachments = (
        Attachment(name="letter.txt", media_type="", data=b"Dear Quill, the roof leaks."),
        Attachment(name="menu.txt", media_type="", data=b"Two teas."),
    )
    await made.answer(ESCALATABLE, text="what does letter say", attachments=attachments)
    (request,) = lane(made).asked
    assert "--- letter.txt ---\nDear ⟦person:" in request.turns[0].content
    assert "teas" not in repr(request)


@pytest.mark.parametrize("name", ["scan.pdf", "call.wav"])
async def test_what_cannot_be_searched_goes_to_a_person_whatever_the_policy_lets_out(name: str) -> None:
    policy = {"local_only_classes": [], "maximum_residual_risk": 1.0}
    made = Stage({"a": UNFIT()}, policy=policy, cloud=ScriptedCloud(["so", CloudFinish.STOP]))
    attachment = Attachment(name=name, media_type="", data=b"\xff\xfe\xfd\x00\x80")
    heard = await made.answer(ESCALATABLE, attachments=(attachment,))
    assert heard == ["decided r1 no_op none: no_route", "review needs_review: unsearched"]
    assert lane(made).asked == []


async def test_a_class_that_one_step_of_a_session_met_holds_for_all_that_follow() -> None:
    made = stage("so", CloudFinish.STOP)
    async with made.answering() as answering:
        for task, session_id in (
            (ESCALATABLE, "loop"),
            (PRIVATE, "loop"),
            (ESCALATABLE, "loop"),
            (ESCALATABLE, "other"),
        ):
            await answering.answer(accepted_task(task, session_id=session_id), made.hear)
    assert [line for line in made.heard if line.startswith("decided")] == [
        "decided r1 cloud_escalation cloud/default: margin_short",
        "decided r2 local a: local_only",
        "decided r3 local a: local_only",
        "decided r4 cloud_escalation cloud/default: margin_short",
    ]
    assert "session=patient" in made.ledger.entries[2].decision.trace


async def test_what_was_masked_is_counted_by_its_type_and_what_the_provider_counted_by_its_alias() -> None:
    made, tally = stage("fine", CloudFinish.STOP), Tally()
    made.measures = tally
    tally.know(Given.ALIAS, lambda: ["cloud/default"])
    tally.know(Given.ENTITY_TYPE, lambda: made.detector.entity_types)
    await made.answer(ESCALATABLE, text=TEXT)
    assert counted(tally, "homebred_redactions_total", entity_type="PERSON") == 1
    assert counted(tally, "homebred_cloud_tokens_total", alias="cloud/default", direction="in") == 7
    assert counted(tally, "homebred_cloud_tokens_total", alias="cloud/default", direction="out") == 3


@pytest.mark.parametrize(
    "link", ["https:\\/\\/x.example\\/{0}", "https:&#47;&#47;x.example/{0}", "x.example%2F{0}", "\\u003ca href={0}"]
)
async def test_a_link_that_something_else_would_read_out_of_its_spelling_gets_no_value(link: str) -> None:
    heard = await stage(f"see {link}", CloudFinish.STOP).answer(ESCALATABLE, text=TEXT)
    assert not any("Quill" in line for line in heard)
    assert heard[-1] == "answer by cloud/default: withheld"


async def test_a_session_knows_a_class_before_anything_of_its_task_takes_time() -> None:
    made = stage("so", CloudFinish.STOP)
    async with made.answering() as answering:
        await answering.route(accepted_task(PRIVATE, session_id="loop"))
        await answering.answer(accepted_task(ESCALATABLE, session_id="loop"), made.hear)
    assert made.heard[0] == DECIDED


async def test_a_stop_string_ends_the_answer_here_and_never_leaves() -> None:
    made = stage("One. ", "{0} E", "ND of it", CloudFinish.LENGTH)
    heard = await made.answer(ESCALATABLE, text=TEXT, stop=("END",))
    assert heard == [DECIDED, "<< One. ", "<< Quill ", "answer by cloud/default"]
    assert "END" not in repr(lane(made).asked)
