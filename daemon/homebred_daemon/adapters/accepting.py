"""A task document, and what came with it, as a task to be answered: checked whole. It knows no wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from homebred_daemon.core.attached_content import NOTHING_ATTACHED, AttachedContent, Attachment
from homebred_daemon.core.task_content import constraints_of, local_tools_of, requiring, turns_of
from homebred_daemon.errors import RequestError
from homebred_daemon.inbound.answering import AcceptedTask
from homebred_daemon.inbound.embedding import EmbeddingTask
from homebred_engines import api
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.task import content_text, read_task

MAX_TEXTS = 256
"""In one call for embeddings."""


def accepted(
    document: dict[str, Any],
    *,
    attachments: tuple[Attachment, ...],
    options: Callable[[], api.GenerateOptions],
    caller: tuple[str, ...],
    deadline_s: float,
) -> AcceptedTask:
    """The document as a checked task.

    Args:
        document: in the shape that `read_task` checks.
        attachments: what belongs to it.
        options: makes what the caller asks of the generation; called once the document is known to be sound.
        caller: attested principals.
        deadline_s: the most that the call itself allows.

    Raises:
        RequestError: with every problem found.
    """
    try:
        attached = _examined(attachments)
        task = requiring(read_task(document), attached.requires)
        turns = turns_of(document)
        generation = options()
    except DocumentError as error:
        problems = "; ".join(problem.sentence() for problem in error.problems)
        raise RequestError(f"the task cannot be accepted: {problems}") from None
    except api.InvalidRequestError as error:
        raise RequestError(f"the task cannot be accepted: {error.why}") from None
    if not any(turn.content.strip() or turn.tool_calls for turn in turns):
        raise RequestError("the task cannot be accepted: it is empty", hint="send some text")
    return AcceptedTask(
        task=task,
        text="\n".join(filter(None, (content_text(document), attached.text))),
        turns=turns,
        options=generation,
        caller=caller,
        deadline_s=deadline_s if task.deadline_s is None else min(deadline_s, task.deadline_s),
        attachments=attachments,
        content=attached,
        local_tools=local_tools_of(document),
        session_id=document.get("session_id") or "",
        constraints=constraints_of(document),
        rejects=document.get("rejects") or "",
    )


def accepted_embedding(
    texts: Sequence[str], *, workflow: str | None, caller: tuple[str, ...], deadline_s: float
) -> EmbeddingTask:
    """Texts as a checked task. Raises RequestError where there is none, an empty one, or too many."""
    if not 0 < len(texts) <= MAX_TEXTS or not all(text.strip() for text in texts):
        raise RequestError(
            f"{len(texts)} texts cannot be embedded, or one of them is empty",
            hint=f"send 1 to {MAX_TEXTS} texts, none of them empty",
        )
    return EmbeddingTask(texts=tuple(texts), workflow=workflow, caller=caller, deadline_s=deadline_s)


def _examined(attachments: tuple[Attachment, ...]) -> AttachedContent:
    if not attachments:
        return NOTHING_ATTACHED
    from homebred_daemon.core.attachments import attached_content  # noqa: PLC0415  # most devices never need its tables

    return attached_content(attachments)
