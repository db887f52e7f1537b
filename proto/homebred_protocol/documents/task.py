"""A task as its caller describes it, without its content: what the router may see.

The content (text, messages, schema, attachments) is checked here and not kept: it never enters a decision or a ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from homebred_protocol.documents.fields import DocumentError, Fields
from homebred_protocol.documents.readable import as_lines, lines, without_escapes

KINDS = ("repeat", "tool_loop", "synthesis", "drafting", "other")
REQUIREMENTS = ("vision", "audio", "tools", "embeddings")
BUILT_IN_CLASSES = ("client", "patient", "student", "voice", "biometric", "code", "trade_secret", "public")
MAX_NAME_CHARACTERS = 128
MAX_CLASSES = 32
MAX_CLASS_CHARACTERS = 64
MAX_CONSTRAINT_TEXTS = 32
MAX_CONSTRAINT_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The caller's words about a task; everything but the id may be absent."""

    task_id: str
    """The caller's name for the task; never interpreted."""
    workflow: str | None = None
    """The repeated kind of task it belongs to; None: only generalists may answer."""
    kind: str = "other"
    """One of KINDS; absent is `other` and is never guessed."""
    data_classes: tuple[str, ...] = ()
    """Declared sensitivity labels; empty equals absent."""
    allows_escalation: bool = False
    """Whether the caller lets a cloud model see a redacted minimum of it."""
    minimum_margin: float | None = None
    """Fitness margin the caller asks for, in [-1, 1]."""
    expected_calls: int | None = None
    """Model calls a tool loop expects to make in its session; sets budgets only."""
    deadline_s: float | None = None
    """Seconds from acceptance to outcome."""
    requires: tuple[str, ...] = ()
    """Capabilities of REQUIREMENTS that the specialist must have; `tools` among them where the task has tools."""
    context_tokens: int | None = None
    """Tokens of context the task needs."""
    has_response_schema: bool = False
    """Whether the answer must fit a JSON Schema; the schema itself is content."""


def read_task(document: object) -> Task:
    """The task in one parsed JSON document.

    Raises:
        DocumentError: with every problem found.
    """
    fields = Fields(document)
    task = Task(
        task_id=_name(fields, "task_id", required=True) or "",
        workflow=_name(fields, "workflow") or None,
        kind=fields.choice("kind", KINDS, "other") or "other",
        data_classes=_classes(fields),
        allows_escalation=bool(fields.boolean("allows_escalation", default=False)),
        minimum_margin=fields.number("minimum_margin", low=-1, high=1),
        expected_calls=fields.integer("expected_calls"),
        deadline_s=fields.number("deadline_s", low=0),
        requires=_requires(fields),
        context_tokens=fields.integer("context_tokens"),
        has_response_schema=fields.has("response_schema"),
    )
    _check_content(fields)
    # A caller's own keys are none of our business, but a misspelt `data_classes` would silently declassify a task.
    fields.finish_leniently()
    if fields.problems:
        raise DocumentError("task", fields.problems)
    return task


def _name(fields: Fields, key: str, *, required: bool = False) -> str | None:
    """A name on one line; ledgers keep it, so it has no room for content (I4, I9)."""
    name = fields.text(key, required=required)
    if name is not None and (len(name) > MAX_NAME_CHARACTERS or not (name.isprintable() or not name)):
        fields.complain((key,), "is no name", f"write at most {MAX_NAME_CHARACTERS} printable characters")
        return None
    return name


def _classes(fields: Fields) -> tuple[str, ...]:
    classes = fields.texts("data_classes")
    if len(classes) > MAX_CLASSES or any(len(name) > MAX_CLASS_CHARACTERS for name in classes):
        bounds = f"at most {MAX_CLASSES} labels of at most {MAX_CLASS_CHARACTERS} characters"
        fields.complain(("data_classes",), "is more than labels", f"write {bounds}")
        return ()
    return classes


def _requires(fields: Fields) -> tuple[str, ...]:
    requires = fields.texts("requires")
    for requirement in requires:
        if requirement not in REQUIREMENTS:
            fields.complain(("requires",), f"names {requirement!r}", f"write any of: {', '.join(REQUIREMENTS)}")
    needs_tools = bool(fields.raw("tools")) and "tools" not in requires
    return (*requires, "tools") if needs_tools else requires


def content_text(document: dict[str, Any]) -> str:
    """Everything in a checked task document that a person wrote, attachments aside, as one text for detection."""
    parts = [document.get("text")]
    for message in document.get("messages") or ():
        parts += [message.get("name"), message.get("content")]
        if message.get("role") == "tool":  # mostly JSON, which names a thing on one line and spells it as an escape
            parts.append(as_lines(message.get("content") or ""))
        for call in message.get("tool_calls") or ():
            parts += [call["name"], as_lines(call["arguments"])]
    for tool in document.get("tools") or ():
        parts += [tool["name"], tool.get("description"), _schema_text(tool.get("parameters"))]
    parts.append(_schema_text(document.get("response_schema")))
    constraints = document.get("constraints") or {}
    parts += [constraints.get("matches"), *(constraints.get("contains") or ()), *(constraints.get("excludes") or ())]
    return without_escapes("\n".join(part for part in parts if part))


def _schema_text(schema: object) -> str:
    return "" if schema is None else lines(schema)


def _check_content(fields: Fields) -> None:
    fields.text("text")
    for message in fields.listed("messages"):
        message.text("role", required=True)
        message.text("content", required=not message.has("tool_calls"))
        message.text("name")
        message.text("tool_call_id")
        for call in message.listed("tool_calls"):
            for key in ("id", "name", "arguments"):
                call.text(key, required=True)
            call.finish()
        message.finish()
    _check_schema(fields, "response_schema")
    for tool in fields.listed("tools"):
        tool.text("name", required=True)
        tool.text("description")
        tool.boolean("runs_here")
        _check_schema(tool, "parameters")
        tool.finish()
    for attachment in fields.listed("attachments"):
        for key in ("name", "media_type", "text", "data"):
            attachment.text(key)
        attachment.finish()
    fields.text("tool_choice")
    _check_constraints(fields)
    if _name(fields, "rejects") and not fields.raw("session_id"):
        fields.complain(("rejects",), "is there without a `session_id`", "name the session of the rejected answer")
    _name(fields, "session_id")
    given = [key for key in ("text", "messages") if fields.has(key) and fields.raw(key) != []]
    if len(given) != 1:
        what = "both `text` and `messages` are given" if given else "neither `text` nor `messages` is given"
        fields.complain((), what, "write exactly one of them")


def _check_constraints(fields: Fields) -> None:
    constraints = fields.table("constraints")
    if constraints is None:
        return
    if len(constraints.text("matches") or "") > MAX_CONSTRAINT_CHARACTERS:
        constraints.complain(("matches",), "is too long", f"write at most {MAX_CONSTRAINT_CHARACTERS} characters")
    for key in ("contains", "excludes"):
        texts = constraints.texts(key)
        if len(texts) > MAX_CONSTRAINT_TEXTS or not all(0 < len(text) <= MAX_CONSTRAINT_CHARACTERS for text in texts):
            bounds = f"at most {MAX_CONSTRAINT_TEXTS} texts of 1 to {MAX_CONSTRAINT_CHARACTERS} characters"
            constraints.complain((key,), "is more than texts to look for", f"write {bounds}")
    constraints.integer("max_characters", low=1)
    constraints.finish()


def _check_schema(fields: Fields, key: str) -> None:
    schema = fields.raw(key)
    if schema is not None and not isinstance(schema, dict):
        fields.complain((key,), "is not a JSON Schema object", 'write an object such as {"type": "object"}')
