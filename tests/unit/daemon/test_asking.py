from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest
from tests.support.answering_stage import PUBLIC, WORKFLOW, Actor, Stage, accepted_task, means_of
from tests.support.manual_clock import run_with
from tests.support.metrics_reader import counted
from tests.support.scripted_pool import USAGE, Ends, Hangs, Play, Step, Sure, Takes, asks_for, says

from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.core.measures import Given
from homebred_daemon.core.verification import Finding
from homebred_daemon.errors import EngineUnavailableError, HomebredError, OverloadedError, RequestError
from homebred_daemon.inbound.answering import AcceptedTask
from homebred_daemon.services.asking import Asking, AttemptFailedError, Generated
from homebred_daemon.services.cascading import Cascading
from homebred_daemon.services.tallying import Tally
from homebred_engines import api

SCHEMA = '{"type": "object"}'
BROKEN = api.EngineFailedError("It broke.")


def asking(stage: Stage, accepted: AcceptedTask | None = None) -> Asking:
    standing, task, means = stage.standing(), accepted or accepted_task(), means_of(stage)
    cascading = Cascading(standing, task, means, note=lambda _: None)
    return Asking(standing, task, means, stage.hear, route_id="r1", cascading=cascading)


async def asked(play: Play, schema: str = "") -> tuple[list[str], Generated]:
    stage = Stage({"a": Actor(plays=[play])})
    generated = await asking(stage, accepted_task(schema=schema)).ask(("a",))
    return stage.heard, generated


async def test_the_last_of_a_stack_is_streamed_as_it_speaks() -> None:
    heard, generated = await asked((Takes(1.5), "", "hel", "lo", Ends()))
    assert heard == ["<< hel", "<< lo"]
    assert (generated.text, generated.first_token_s, generated.usage) == ("hello", 1.5, USAGE)
    assert (generated.finish_reason, generated.findings) == ("stop", ())


async def test_with_a_schema_everything_is_said_at_once_or_nothing() -> None:
    heard, generated = await asked(says("{", "}"), SCHEMA)
    assert (heard, generated.text) == (["<< {}"], "{}")
    stage = Stage({"a": Actor(plays=[says("{")])})
    with pytest.raises(AttemptFailedError) as caught:
        await asking(stage, accepted_task(schema=SCHEMA)).ask(("a",))
    assert (caught.value.code, caught.value.specialist_id, stage.heard) == ("schema_invalid", "a", [])


async def test_an_answer_that_fits_but_was_cut_short_is_told_with_its_finding() -> None:
    heard, generated = await asked(("{}", Ends(api.FinishReason.LENGTH)), SCHEMA)
    assert (heard, generated.findings) == (["<< {}"], (Finding.TRUNCATED,))


async def test_confidence_is_the_mean_probability_of_the_tokens() -> None:
    _, generated = await asked((Sure("a", math.log(0.5)), Sure("b", 0.0), Ends()))
    assert generated.confidence == pytest.approx(0.75)
    _, unmeasured = await asked(says("a"))
    assert unmeasured.confidence is None


@pytest.mark.parametrize(
    ("failure", "meaning"),
    [
        (api.QueueFullError("Full.", retry_after_s=3), OverloadedError),
        (api.InvalidRequestError("No."), RequestError),
        (api.UnsupportedOptionError("No."), RequestError),
        (api.ContextExceededError("Long.", prompt_tokens=9, context_tokens=8), AttemptFailedError),
        (api.ModelRefusedError("No."), AttemptFailedError),
        (BROKEN, AttemptFailedError),
    ],
)
async def test_what_an_engines_error_means_for_the_task(failure: Exception, meaning: type[Exception]) -> None:
    with pytest.raises(meaning):
        await asked((failure,))


@pytest.mark.parametrize("ending", [(BROKEN,), (Ends(api.FinishReason.CANCELLED),), ()])
async def test_once_something_was_heard_a_failure_is_final(ending: Sequence[Step]) -> None:
    with pytest.raises(EngineUnavailableError, match="in the middle of the answer"):
        await asked(("hel", *ending))
    with pytest.raises(AttemptFailedError):
        await asked(("{", *ending), SCHEMA)


@pytest.mark.parametrize("ending", [(BROKEN,), (Ends(api.FinishReason.CANCELLED),), ()])
async def test_before_anything_was_heard_a_failure_is_only_an_attempts(ending: Sequence[Step]) -> None:
    with pytest.raises(AttemptFailedError) as caught:
        await asked(ending)
    assert not isinstance(caught.value, HomebredError)


async def test_a_cascade_ends_at_the_first_answer_that_withstands_verification() -> None:
    script = {"s": [says(" ")], "m": [says("he", "llo")], "l": [says("never")]}
    stage = Stage({name: Actor(plays=plays) for name, plays in script.items()})
    generated = await asking(stage).ask(("s", "m", "l"))
    assert (generated.specialist_id, stage.heard) == ("m", ["<< hello"])
    assert [name for name, _ in stage.pool.asked] == ["s", "m"]


async def test_a_cascades_last_answer_stands_however_weak() -> None:
    stage = Stage({"s": Actor(plays=[(BROKEN,)]), "l": Actor(plays=[says(" ")])})
    generated = await asking(stage).ask(("s", "l"))
    assert (generated.specialist_id, generated.findings) == ("l", (Finding.EMPTY,))


async def test_a_cascade_whose_last_one_fails_fails_in_its_name() -> None:
    stage = Stage({"s": Actor(plays=[says(" ")]), "l": Actor(plays=[(BROKEN,)])})
    with pytest.raises(AttemptFailedError) as caught:
        await asking(stage).ask(("s", "l"))
    assert caught.value.specialist_id == "l"


def of_loop(stage: Stage) -> Asking:
    return asking(stage, accepted_task(PUBLIC | {"kind": "tool_loop"}))


def test_a_cascades_smaller_specialist_that_hangs_leaves_the_best_its_time() -> None:
    stage = Stage({"s": Actor(plays=[("hel", Hangs())]), "l": Actor(plays=[says("hello")], size_rank=1, p95_s=2.0)})

    async def late() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(of_loop(stage).ask(("s", "l")))
            for passed_s in (27.9, 0.2):
                for _ in range(10):
                    await asyncio.sleep(0)
                assert [name for name, _ in stage.pool.asked] == ["s"]
                stage.clock.pass_s(passed_s)

    run_with(stage.clock, late())
    assert (stage.heard, [name for name, _ in stage.pool.asked]) == (["<< hello"], ["s", "l"])


async def test_a_smaller_specialist_is_asked_again_only_while_a_call_is_left_for_the_best() -> None:
    script = {"s": [says("[]")], "l": [says("[]"), says("[]"), says("{}")]}
    stage = Stage({name: Actor(plays=plays) for name, plays in script.items()})
    task = accepted_task(PUBLIC | {"kind": "tool_loop", "expected_calls": 1}, schema=SCHEMA)
    generated = await asking(stage, task).ask(("s", "l"))
    assert [name for name, _ in stage.pool.asked] == ["s", "l", "l", "l"]  # the best is never short of asks
    assert (generated.specialist_id, stage.heard) == ("l", ["<< {}"])


NO_COFFEE = PUBLIC | {"constraints": {"excludes": ["coffee"], "matches": "^two"}}


async def test_an_answer_that_breaks_a_constraint_is_held_back_and_asked_for_again_with_what_was_wrong() -> None:
    stage = Stage({"a": Actor(plays=[says("two ", "coffees"), says("two ", "teas")])})
    generated = await asking(stage, accepted_task(NO_COFFEE)).ask(("a",))
    assert (stage.heard, generated.findings) == (["<< two teas"], ())
    assert stage.pool.asked[1][1].messages[-1].content == "That does not fit: it contains 'coffee'. Try again."


async def test_a_cascade_goes_on_from_an_answer_that_breaks_a_constraint_and_its_last_one_stands_weak() -> None:
    stage = Stage({"s": Actor(plays=[says("one tea")]), "l": Actor(plays=[says("two teas")])})
    assert (await asking(stage, accepted_task(NO_COFFEE)).ask(("s", "l"))).specialist_id == "l"
    stage = Stage({"s": Actor(plays=[says("one tea")]), "l": Actor(plays=[says("coffee")])})
    generated = await asking(stage, accepted_task(NO_COFFEE)).ask(("s", "l"))
    assert (stage.heard, generated.findings) == (["<< coffee"], (Finding.CONSTRAINT_BROKEN,))
    assert len(stage.pool.asked) == 6


async def test_a_call_of_a_tool_is_held_to_no_constraint() -> None:
    stage = Stage({"a": Actor(plays=[asks_for("ring", '{"times": 2}', "coffee")])})
    generated = await asking(stage, accepted_task(RING | NO_COFFEE)).ask(("a",))
    assert (generated.finish_reason, generated.findings, len(stage.pool.asked)) == ("tool_calls", (), 1)


LACKS_LOGPROBS = (api.UnsupportedOptionError("It has none.", option="logprobs"),)
SURE_OF = {"workflows": {WORKFLOW: {"minimum_confidence": 0.5}}}


async def test_an_engine_without_probabilities_answers_unweighed_and_one_with_them_is_weighed() -> None:
    stage = Stage({"s": Actor(plays=[LACKS_LOGPROBS, says("hello")]), "l": Actor()}, SURE_OF)
    generated = await of_loop(stage).ask(("s", "l"))
    assert (generated.specialist_id, generated.confidence, generated.findings) == ("s", None, ())
    assert [prompt.options.logprobs for _, prompt in stage.pool.asked] == [True, False]
    unsure = (Sure("hm", math.log(0.1)), Ends())
    stage = Stage({"s": Actor(plays=[unsure]), "l": Actor(plays=[LACKS_LOGPROBS, says("hello")])}, SURE_OF)
    assert (await of_loop(stage).ask(("s", "l"))).specialist_id == "l"


RING = {"tools": [{"name": "ring", "parameters": {"type": "object", "required": ["times"]}}]}


async def with_tools(*plays: Play, choice: str = "auto") -> tuple[list[str], Generated]:
    stage = Stage({"a": Actor(plays=plays)})
    generated = await asking(stage, accepted_task(RING, tool_choice=choice)).ask(("a",))
    return stage.heard, generated


async def test_a_tool_call_that_can_be_made_comes_with_the_answer() -> None:
    heard, generated = await with_tools(asks_for("ring", '{"times": 2}', "Wait."))
    assert heard == ["<< Wait."]
    assert [(call.name, call.arguments) for call in generated.tool_calls] == [("ring", '{"times": 2}')]
    assert (generated.finish_reason, generated.findings) == ("tool_calls", ())


async def test_one_that_cannot_is_not_passed_on_and_ends_the_answer_as_unfit() -> None:
    _, generated = await with_tools(asks_for("ring", "{}", "Wait."))
    assert (generated.tool_calls, generated.finish_reason, generated.findings) == (
        (),
        "schema_invalid",
        (Finding.SCHEMA_INVALID,),
    )


async def test_where_a_tool_must_be_asked_for_an_answer_without_is_a_failure() -> None:
    with pytest.raises(AttemptFailedError, match="does not fit"):
        await with_tools(says("no"), choice="required")


async def test_a_recording_is_shown_to_no_engine_that_cannot_hear() -> None:
    wave = Attachment(name="a.wav", media_type="", data=b"RIFF\x00\x00\x00\x00WAVE")
    stage = Stage({"a": Actor(plays=[says("a song")])})
    with pytest.raises(AttemptFailedError, match="no engine takes sound"):
        await asking(stage, accepted_task(attachments=(wave,))).ask(("a",))
    assert stage.pool.asked == []


async def test_an_attached_text_stands_below_what_the_user_said() -> None:
    stage = Stage({"a": Actor(plays=[says("ok")])})
    note = Attachment(name="note.txt", media_type="", data=b"two teas")
    await asking(stage, accepted_task(attachments=(note,))).ask(("a",))
    assert stage.pool.asked[0][1].messages[-1].content == "hello\n\n--- note.txt ---\ntwo teas"


LACKS_SCHEMAS = (api.UnsupportedOptionError("It has none.", option="json_schema"),)
LACKS_TOOLS = (api.UnsupportedOptionError("It has none.", option="tools"),)
CALL = '<tool_call>{"name": "ring", "arguments": {"times": 2}}</tool_call>'


def prompts(stage: Stage) -> list[tuple[str, list[str]]]:
    """What the engine was asked in turn: by which options it was guided, and the roles of the conversation."""
    return [
        ("schema " * bool(prompt.options.json_schema) + "tools" * bool(prompt.options.tools), _roles(prompt.messages))
        for _, prompt in stage.pool.asked
    ]


def _roles(messages: Sequence[api.Message]) -> list[str]:
    return [message.role for message in messages]


async def test_an_answer_that_does_not_fit_is_asked_for_again_with_what_was_wrong() -> None:
    stage = Stage({"a": Actor(plays=[says("[]"), says("{}")])})
    generated = await asking(stage, accepted_task(schema=SCHEMA)).ask(("a",))
    assert (stage.heard, generated.text, generated.findings) == (["<< {}"], "{}", ())
    assert generated.usage.completion_tokens == 2 * USAGE.completion_tokens
    said, complaint = stage.pool.asked[1][1].messages[-2:]
    assert (said.role, said.content, complaint.role) == ("assistant", "[]", "user")
    assert 'not of type "object"' in complaint.content


async def test_it_is_asked_for_again_twice_and_no_more() -> None:
    stage = Stage({"a": Actor(plays=[says("[]")])})
    with pytest.raises(AttemptFailedError):
        await asking(stage, accepted_task(schema=SCHEMA)).ask(("a",))
    assert (len(stage.pool.asked), stage.heard) == (3, [])


async def test_what_was_cut_short_or_shown_is_not_asked_for_again() -> None:
    stage = Stage({"a": Actor(plays=[("{", Ends(api.FinishReason.LENGTH))])})
    with pytest.raises(AttemptFailedError):
        await asking(stage, accepted_task(schema=SCHEMA)).ask(("a",))
    assert len(stage.pool.asked) == 1
    _, generated = await with_tools(asks_for("ring", "{}", "Wait."), asks_for("ring", '{"times": 2}'))
    assert generated.finish_reason == "schema_invalid"


async def test_a_call_that_does_not_fit_is_asked_for_again_while_nothing_was_shown() -> None:
    heard, generated = await with_tools(asks_for("ring", "{}"), asks_for("ring", '{"times": 2}'))
    assert (heard, generated.finish_reason) == ([], "tool_calls")


async def test_an_engine_that_cannot_be_guided_is_told_in_words_and_checked() -> None:
    stage = Stage({"a": Actor(plays=[LACKS_SCHEMAS, says("Sure: {}"), says("```json\n{}\n```")])})
    generated = await asking(stage, accepted_task(schema=SCHEMA)).ask(("a",))
    assert (stage.heard, generated.text, generated.finish_reason) == (["<< {}"], "{}", "stop")
    assert prompts(stage) == [
        ("schema ", ["user"]),
        ("", ["system", "user"]),
        ("", ["system", "user", "assistant", "user"]),
    ]


async def test_an_engine_without_tools_asks_for_them_in_words() -> None:
    heard, generated = await with_tools(LACKS_TOOLS, says("Wait. ", CALL))
    assert (heard, generated.finish_reason) == (["<< Wait. "], "tool_calls")
    assert [(call.name, call.arguments) for call in generated.tool_calls] == [("ring", '{"times": 2}')]


@pytest.mark.parametrize("call", [CALL.replace("2", ""), CALL.replace("ring", "sing"), CALL.replace('"times": 2', "")])
async def test_a_call_in_words_that_cannot_be_made_is_asked_for_again_and_never_passed_on(call: str) -> None:
    heard, generated = await with_tools(LACKS_TOOLS, says("So: ", call))
    assert (heard, generated.tool_calls, generated.finish_reason) == (["<< So: "], (), "schema_invalid")
    heard, generated = await with_tools(LACKS_TOOLS, says(call), says(CALL))
    assert (heard, generated.finish_reason) == ([], "tool_calls")


async def test_a_call_that_must_be_made_is_guided_by_a_schema_where_the_engine_has_no_tools() -> None:
    plays = [LACKS_TOOLS, says('{"name": "ring", "arguments": {"times": 2}}')]
    stage = Stage({"a": Actor(plays=plays)})
    generated = await asking(stage, accepted_task(RING, tool_choice="required")).ask(("a",))
    assert (stage.heard, generated.finish_reason, len(generated.tool_calls)) == ([], "tool_calls", 1)
    assert [guided for guided, _ in prompts(stage)] == ["tools", "schema "]


async def test_an_option_that_cannot_be_told_in_words_is_refused() -> None:
    with pytest.raises(RequestError):
        await asked((api.UnsupportedOptionError("It has none.", option="seed"),))
    stage = Stage({"a": Actor(plays=[LACKS_SCHEMAS])})
    with pytest.raises(RequestError):
        await asking(stage, accepted_task(schema=SCHEMA)).ask(("a",))


async def test_first_text_each_further_one_and_tokens_are_told_by_specialist() -> None:
    tally = Tally()
    tally.know(Given.SPECIALIST, lambda: ["a"])
    stage = Stage({"a": Actor(plays=[says("o", "n", "e")])}, measures=tally)
    await stage.answer()
    assert counted(tally, "homebred_first_token_seconds_count", specialist="a") == 1
    assert counted(tally, "homebred_inter_token_seconds_count", specialist="a") == 2
    assert counted(tally, "homebred_tokens_total", specialist="a", direction="out") == 3
