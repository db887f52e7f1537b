from __future__ import annotations

import pytest
from tests.support.answering_stage import WORKFLOW, Actor, Stage
from tests.support.metrics_reader import counted
from tests.support.scripted_pool import Hangs, says

from homebred_daemon.core.measures import Given
from homebred_daemon.errors import (
    DeadlineError,
    EngineUnavailableError,
    HomebredError,
    NotPermittedError,
    OverloadedError,
    RequestError,
)
from homebred_daemon.inbound.embedding import Embeddings, EmbeddingTask
from homebred_daemon.services.admission import Admission
from homebred_daemon.services.embedding import Embedding
from homebred_daemon.services.tallying import Tally
from homebred_engines import api

TASK = EmbeddingTask(texts=("two teas", "tea"), workflow=WORKFLOW, caller=("uid:7",), deadline_s=9.0)


def stage(play: object = None, *, capabilities: tuple[str, ...] = ("embeddings",), **policy: object) -> Stage:
    plays = [says("unused")] if play is None else [(play,)]
    return Stage({"a": Actor(plays=plays, capabilities=capabilities)}, policy=policy)  # type: ignore[arg-type]  # any play


def embedding(made: Stage) -> Embedding:
    return Embedding(made.standing, made.pool, Admission())


async def test_texts_become_vectors_of_a_specialist_here() -> None:
    made = stage()
    embedded = await embedding(made).embed(TASK)
    assert embedded == Embeddings(vectors=((1.0,), (1.0,)), made_by="a", prompt_tokens=2)
    assert made.pool.embedded == [("a", ("two teas", "tea"), "uid:7")]
    assert made.ledger.entries == []


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (api.QueueFullError("It is.", retry_after_s=1.0), OverloadedError),
        (api.ContextExceededError("Too long.", prompt_tokens=9, context_tokens=8), RequestError),
        (api.EngineFailedError("It broke."), EngineUnavailableError),
    ],
)
async def test_what_fails_is_told_in_the_callers_words(error: api.EngineError, meant: type[HomebredError]) -> None:
    with pytest.raises(meant):
        await embedding(stage(error)).embed(TASK)


async def test_texts_and_their_tokens_are_counted_by_specialist() -> None:
    made, tally = stage(), Tally()
    tally.know(Given.SPECIALIST, lambda: ["a"])
    await Embedding(made.standing, made.pool, Admission(), tally).embed(TASK)
    assert counted(tally, "homebred_embeddings_total", specialist="a") == 2
    assert counted(tally, "homebred_tokens_total", specialist="a", direction="in") == 2


async def test_it_takes_no_longer_than_it_may() -> None:
    hasty = EmbeddingTask(texts=("tea",), workflow=WORKFLOW, caller=(), deadline_s=0.0)
    with pytest.raises(DeadlineError):
        await embedding(stage(Hangs())).embed(hasty)


async def test_without_a_specialist_for_it_there_are_none() -> None:
    with pytest.raises(RequestError, match="no specialist of this device makes embeddings"):
        await embedding(stage(capabilities=())).embed(TASK)


async def test_a_caller_has_its_own_workflows_alone() -> None:
    with pytest.raises(NotPermittedError):
        await embedding(stage(callers={"uid:7": {"workflows": ["other"]}})).embed(TASK)
