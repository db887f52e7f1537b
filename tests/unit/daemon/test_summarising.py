"""A synthesis that redaction leaves too risky: summarised here, or read by a person."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.support.answering_stage import ESCALATABLE, Actor, Stage, accepted_task
from tests.support.scripted_cloud import ScriptedCloud
from tests.support.scripted_pool import Play, says

from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.ports.cloud import CloudFinish
from homebred_daemon.services.summarising import WORKFLOW
from homebred_engines import api

SYNTHESIS = ESCALATABLE | {"kind": "synthesis"}
RISKY = "ask whether Zbigniew Wolkenstein may sign 4711-0815-XK9 for us"
HARMLESS = "may a colleague sign a part for us"
UNFIT = partial(Actor, fitness=0.7, reference_fitness=0.9)


def stage(*plays: Play, **summariser: Any) -> Stage:
    """A device whose own specialist is unfit, with one that summarises so, and a cloud."""
    actors = {"a": UNFIT(), "s": Actor(plays=plays, workflow=WORKFLOW, **summariser)}
    return Stage(actors, cloud=ScriptedCloud(["Yes.", CloudFinish.STOP]))


def sent(made: Stage) -> list[str]:
    assert isinstance(made.cloud, ScriptedCloud)
    return [turn.content for request in made.cloud.asked for turn in request.turns]


def trace(made: Stage) -> str:
    return made.ledger.entries[-1].decision.trace[-1]


async def test_a_summary_leaves_where_redaction_alone_leaves_too_much() -> None:
    made = stage(says(HARMLESS))
    heard = await made.answer(SYNTHESIS, text=RISKY)
    assert heard[1:] == ["<< Yes.", "answer by cloud/default"]
    assert "cloud_escalation" in heard[0]
    assert sent(made) == [HARMLESS]
    assert trace(made).startswith("context=summary because redaction_risk=0.")


async def test_the_summariser_is_given_what_would_have_left() -> None:
    made = stage(says(HARMLESS))
    await made.answer(SYNTHESIS, text=RISKY)
    ((_, prompt),) = made.pool.asked
    assert [message.content for message in prompt.messages] == [f"user: {RISKY}"]


async def test_the_summariser_is_told_of_calls_and_their_results() -> None:
    made = stage(says(HARMLESS))
    call = api.ToolCall(id="c", name="may_sign", arguments='{"part": 7}')
    asking = api.Message(role="assistant", content="I look.", tool_calls=(call,))
    accepted = accepted_task(SYNTHESIS, text=RISKY)
    loop = replace(accepted, turns=(*accepted.turns, asking, api.Message(role="tool", content="no", tool_call_id="c")))
    async with made.answering() as answering:
        await answering.answer(loop, made.hear)
    ((_, prompt),) = made.pool.asked
    told = 'assistant: I look.\nasks for may_sign {"part": 7}\n\ntool: no'
    assert prompt.messages[0].content == f"user: {RISKY}\n\n{told}"


async def test_what_needs_no_summary_gets_none() -> None:
    made = stage(says("never asked"))
    await made.answer(SYNTHESIS, text="why is the sky blue")
    assert (sent(made), made.pool.asked) == (["why is the sky blue"], [])
    assert trace(made) == "context=redaction"


@pytest.mark.parametrize(
    "play",
    [
        says("it is Wolkenstein of 4711-0815-XK9 and Zbigniew again"),
        says(""),
        [api.EngineFailedError("It broke.")],
    ],
    ids=["as risky", "empty", "failed"],
)
async def test_without_a_summary_that_leaves_less_a_person_is_asked(play: Play) -> None:
    made = stage(play)
    heard = await made.answer(SYNTHESIS, text=RISKY)
    assert heard[-1].startswith("review needs_review")
    assert sent(made) == []
    assert trace(made).startswith("context=redaction because ")


async def test_who_is_not_fit_to_summarise_is_not_asked() -> None:
    made = stage(says("never asked"), fitness=0.5, reference_fitness=0.9)
    heard = await made.answer(SYNTHESIS, text=RISKY)
    assert (heard[-1].split()[0], made.pool.asked) == ("review", [])
    assert trace(made) == "context=redaction because there is no summary"


async def test_no_other_kind_is_summarised() -> None:
    made = stage(says("never asked"))
    await made.answer(ESCALATABLE, text=RISKY)
    assert (sent(made), made.pool.asked) == ([], [])


async def test_a_dry_run_shows_the_summary() -> None:
    made = stage(says(HARMLESS))
    async with made.answering() as answering:
        routed = await answering.route(accepted_task(SYNTHESIS, text=RISKY))
    assert routed.context is not None
    assert [turn.content for turn in routed.context.turns] == [HARMLESS]


async def test_a_summary_takes_the_place_of_attached_texts_as_well() -> None:
    made = stage(says(HARMLESS))
    letter = Attachment(name="letter.txt", media_type="", data=RISKY.encode())
    await made.answer(SYNTHESIS, text="what does letter want", attachments=(letter,))
    ((_, prompt),) = made.pool.asked
    assert [message.content for message in prompt.messages] == [
        f"user: what does letter want\n\n--- letter.txt ---\n{RISKY}"
    ]
    assert sent(made) == [HARMLESS]
