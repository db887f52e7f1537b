"""How a context looks when it leaves: a token for everything that was found, no name or id as its caller gave it.

It finds nothing: spans come from a detector. It decides nothing about whether the context may go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from homebred_daemon.core.context import TOOL, MinimumContext
from homebred_daemon.core.documents import Document, with_documents
from homebred_daemon.core.json_masking import masked_json
from homebred_daemon.core.pseudonyms import Pseudonyms
from homebred_daemon.core.sensitivity import Span, clipped, resolve
from homebred_daemon.errors import DetectionError
from homebred_engines.api import TOOL_CHOICES, Message, Tool, ToolCall
from homebred_protocol.documents.readable import without_escapes

Detect = Callable[[str], Sequence[Span]]
_BETWEEN: Final = "\n\n"


def masked(context: MinimumContext, detect: Detect, pseudonyms: Pseudonyms) -> MinimumContext:
    """The same with a token for everything that is found: the same value, the same token throughout.

    Its documents stand in the last turn of the user's, masked, with their names.

    Raises:
        DetectionError: something of it could not be searched.
    """
    found = _found_in_all(context, detect, pseudonyms)
    return _Masking(found.__getitem__, pseudonyms).context(context)


def _found_in_all(context: MinimumContext, detect: Detect, pseudonyms: Pseudonyms) -> dict[str, Sequence[Span]]:
    """What is found in each text of a context.

    One by one, and together, as the residual risk is measured: a name that one of them gives away is one in all.
    """
    texts: dict[str, Sequence[Span]] = {}

    def noted(text: str) -> Sequence[Span]:
        return texts.setdefault(text, ())

    _Masking(noted, pseudonyms).context(context)
    spans, at = resolve(detect(_BETWEEN.join(texts))), 0
    for text in texts:
        texts[text] = (*clipped(spans, at, at + len(text)), *detect(text))
        at += len(text) + len(_BETWEEN)
    return texts


class _Masking:
    """One context; ids of calls are counted through it."""

    def __init__(self, detect: Detect, pseudonyms: Pseudonyms) -> None:
        self._detect = detect
        self._pseudonyms = pseudonyms
        self._ids: dict[str, str] = {}

    def context(self, context: MinimumContext) -> MinimumContext:
        documents = [Document(name=self._text(one.name), text=self._text(one.text)) for one in context.documents]
        return replace(
            context,
            system=self._text(context.system),
            turns=with_documents(tuple(map(self._turn, context.turns)), documents),
            json_schema=self._json(context.json_schema),
            tools=tuple(map(self._tool, context.tools)),
            tool_choice=self._choice(context.tool_choice),
            documents=(),
        )

    def _turn(self, turn: Message) -> Message:
        return replace(
            turn,
            content=self._result(turn.content) if turn.role == TOOL else self._text(turn.content),
            tool_calls=tuple(map(self._call, turn.tool_calls)),
            tool_call_id=self._id(turn.tool_call_id),
        )

    def _result(self, content: str) -> str:
        """What a tool gave back: mostly JSON."""
        try:
            return self._json(content)
        except ValueError:
            return self._text(content)

    def _tool(self, tool: Tool) -> Tool:
        description, parameters = self._text(tool.description), self._json(tool.parameters)
        return Tool(name=self._name(tool.name), description=description, parameters=parameters)

    def _call(self, call: ToolCall) -> ToolCall:
        return ToolCall(id=self._id(call.id), name=self._name(call.name), arguments=self._json(call.arguments))

    def _choice(self, choice: str) -> str:
        return choice if choice in TOOL_CHOICES else self._name(choice)

    def _id(self, given: str) -> str:
        """Ids may be anything; a counted one says nothing."""
        return self._ids.setdefault(given, f"call_{len(self._ids)}") if given else ""

    def _name(self, name: str) -> str:
        """A tool's name has no room for a token: one that says something goes under another name."""
        spoken = name.replace("_", " ").replace("-", " ")
        return self._pseudonyms.alias(name) if self._detect(spoken) else name

    def _text(self, text: str) -> str:
        read = without_escapes(text)
        return self._pseudonyms.masked(read, self._detect(read)) if read else ""

    def _json(self, document: str) -> str:
        if not document:
            return ""
        try:
            return masked_json(document, self._detect, self._pseudonyms.masked)
        except RecursionError:
            raise DetectionError("a JSON document is nested too deeply to be searched") from None
