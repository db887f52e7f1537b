"""Has a specialist of this device summarise what an escalation would send, where masking alone leaves too much.

The summary is masked and measured like anything else that leaves. It decides, records and emits nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from homebred_daemon.core.attached_content import NOTHING_ATTACHED
from homebred_daemon.core.constraints import UNCONSTRAINED
from homebred_daemon.core.context import MinimumContext
from homebred_daemon.core.decision import Runtime
from homebred_daemon.core.documents import with_documents
from homebred_daemon.core.link import Link
from homebred_daemon.core.routing import DecisionInputs, decide
from homebred_daemon.core.verification import Finding, is_weak
from homebred_daemon.errors import HomebredError
from homebred_daemon.inbound.answering import AcceptedTask, AnswerEvent
from homebred_daemon.services.asking import Asking, AttemptFailedError
from homebred_daemon.services.cascading import Cascading
from homebred_daemon.services.standing import Means, Standing
from homebred_engines import api
from homebred_protocol.documents.task import Task

WORKFLOW: Final = "context.summarise"
"""What a specialist must be fit for, to be asked for summaries."""
MAX_TOKENS: Final = 256
SHARE: Final = 0.25
"""Of a task's whole time, at most."""


async def summarised(
    context: MinimumContext, accepted: AcceptedTask, inputs: DecisionInputs, standing: Standing, means: Means
) -> MinimumContext | None:
    """The same with a summary in place of turns and documents; None: nobody is fit to write one, or did so in time.

    `inputs` are those of the task itself: what was found in it need not be looked for again.
    """
    said = "\n\n".join(map(_said, with_documents(context.turns, context.documents)))
    task = Task(task_id=accepted.task.task_id, workflow=WORKFLOW, data_classes=decide(inputs).classes)
    choice = decide(replace(inputs, task=task, link=Link.DOWN, caller=()))  # the device asks, whoever called it
    if choice.selected_runtime is not Runtime.LOCAL:
        return None
    asked = replace(
        accepted,
        task=task,
        text=said,
        turns=(api.Message(role="user", content=said),),
        options=api.GenerateOptions(max_tokens=MAX_TOKENS, temperature=0.0),
        content=NOTHING_ATTACHED,  # the texts are said already
        constraints=UNCONSTRAINED,  # those are of the answer
        rejects="",
    )
    try:
        async with asyncio.timeout(accepted.deadline_s * SHARE):
            alone = Cascading(standing, asked, means, _unnoted)
            asking = Asking(standing, asked, means, _unheard, route_id=means.new_route_id(), cascading=alone)
            generated = await asking.ask(choice.stack)
    except (AttemptFailedError, HomebredError, TimeoutError):  # each of them: no summary, and a person is asked
        return None
    if is_weak(generated.findings):
        return None
    return replace(context, turns=(api.Message(role="user", content=generated.text),), documents=())


def _said(turn: api.Message) -> str:
    calls = (f"asks for {call.name} {call.arguments}" for call in turn.tool_calls)
    return f"{turn.role}: " + "\n".join(filter(None, (turn.content, *calls)))


async def _unheard(event: AnswerEvent) -> None:
    """A summary is for no caller's ears."""
    del event


def _unnoted(finding: Finding) -> None:
    """Nor is the way to it."""
    del finding
