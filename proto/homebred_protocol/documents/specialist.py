"""The manifest of a specialist: which base model and adapter it is, how it is asked, and what it is measured with.

It describes one specialist's folder (`specialist.toml`). It opens none of the files that it names, holds no measured
fitness, and checks a response schema only as far as being a JSON object: an engine's adapter knows JSON Schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from homebred_protocol.documents.fields import DocumentError, Fields
from homebred_protocol.documents.registry import GENERALIST
from homebred_protocol.documents.task import REQUIREMENTS

VERSION = 1
SCORERS = ("exact", "json_equal", "json_fields")
INPUT_PLACE = "{input}"
MAX_STOP_STRINGS = 16
"""What an engine takes at most; homebred_engines.api holds it too."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_WORKFLOW = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One solved case shown to the model before the input."""

    input: str
    """As a caller would send it; the template is applied to it too."""
    output: str
    """The answer to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """How the specialist is asked."""

    system: str = ""
    """The system message; empty: none."""
    template: str = INPUT_PLACE
    """What surrounds an input; holds exactly one `{input}`, all else is literal."""
    examples: tuple[Example, ...] = ()
    """Few-shot examples, in order."""
    max_tokens: int = 0
    """Tokens of an answer at most; 0: as many as the context holds."""
    temperature: float = 0.0
    """0: greedy."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer."""
    response_schema: str = ""
    """JSON Schema of the answer as JSON text; empty: free text."""

    def render(self, text: str) -> str:
        """The user's side of a turn: the text in its place in the template."""
        before, _, after = self.template.partition(INPUT_PLACE)
        return before + text + after


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedWorkflow:
    """A workflow the specialist is made for, and how its fitness is measured."""

    golden: str = ""
    """The golden set, as a path below the manifest's folder; empty: it has none."""
    scorer: str = "exact"
    """One of SCORERS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a base model or an adapter is taken from: in a manifest that was read exactly one is not empty."""

    digest: str = ""
    """`sha256:` of one that the store has."""
    file: str = ""
    """Name of a file beside the manifest."""
    folder: str = ""
    """Name of a folder beside the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialistManifest:
    """A specialist as its author describes it."""

    digest: str
    """`sha256:` of the manifest's bytes."""
    id: str
    """Its name on this device: safe as a file name."""
    title: str
    """A sentence for people, printable, on one line."""
    engine: str
    """Engine backend that serves it."""
    base: Source = Source()
    """Its base model."""
    adapter: Source | None = None
    """The LoRA adapter that its base runs with; None: the base alone."""
    workflows: Mapping[str, ServedWorkflow]
    """By name; `*` makes it a generalist. At least one."""
    prompt: Prompt = Prompt()
    size_rank: int = 0
    """Smaller is cheaper; orders cascades."""
    capabilities: tuple[str, ...] = ()
    """What of REQUIREMENTS it has."""
    max_context: int | None = None
    """Context in tokens; None: no limit recorded."""
    licence: str = ""
    """SPDX expression of the base and what was bred into it; empty: not stated."""
    parents: tuple[str, ...] = ()
    """Ids of the specialists it was bred from."""
    generation: int = 0
    """Longest line of ancestors; 0: not bred."""


def read_specialist(document: object, digest: str) -> SpecialistManifest:
    """The manifest in one parsed TOML document, whose bytes have the given digest.

    Raises:
        DocumentError: with every problem found.
    """
    fields = Fields(document)
    if fields.integer("version", required=True) not in (None, VERSION):
        fields.complain(("version",), "is not known", f"this product reads version {VERSION}")
    parents, generation = _lineage(fields.table("lineage"))
    manifest = SpecialistManifest(
        digest=digest,
        id=_matching(fields, "id", _ID, "lower case letters, digits, `.`, `_` and `-`, 64 at most"),
        title=_title(fields),
        engine=_matching(fields, "engine", _ID, "an engine's name, such as llamacpp"),
        base=_base(fields),
        adapter=_adapter(fields),
        workflows=_workflows(fields),
        prompt=_prompt(fields.table("prompt")),
        size_rank=fields.integer("size_rank", 0) or 0,
        capabilities=_capabilities(fields),
        max_context=fields.integer("max_context", low=1),
        licence=fields.text("licence", "") or "",
        parents=parents,
        generation=generation,
    )
    fields.finish()
    if fields.problems:
        raise DocumentError("specialist", fields.problems)
    return manifest


def is_specialist_id(name: str) -> bool:
    """Whether a name may be a specialist's id."""
    return _ID.fullmatch(name) is not None


def is_workflow(name: str) -> bool:
    """Whether a workflow may be called so, or it is `*`."""
    return name == GENERALIST or _WORKFLOW.fullmatch(name) is not None


def _matching(fields: Fields, key: str, pattern: re.Pattern[str], form: str) -> str:
    value = fields.text(key, required=True)
    if value is not None and pattern.fullmatch(value) is None:
        fields.complain((key,), f"is {value!r}", f"write {form}")
    return value or ""


def _title(fields: Fields) -> str:
    title = fields.text("title", required=True)
    # It is printed on terminals: no control character of a foreign folder may reach one.
    if title is not None and not (title.strip() and title.isprintable()):
        fields.complain(("title",), "is empty or not one printable line", "write a sentence for people")
    return title or ""


def _base(fields: Fields) -> Source:
    base = fields.table("base")
    if base is None:
        fields.complain(("base",), "is missing", 'write digest = "sha256:…" or file = "x.gguf" under [base]')
        return Source()
    return _source(base)


def _adapter(fields: Fields) -> Source | None:
    adapter = fields.table("adapter")
    return None if adapter is None else _source(adapter)


def _source(fields: Fields) -> Source:
    source = Source(**{key: fields.text(key, "") or "" for key in ("digest", "file", "folder")})
    if [source.digest, source.file, source.folder].count("") != 2:  # noqa: PLR2004 - all but one
        fields.complain((), "names several of digest, file and folder, or none", "write exactly one of them")
    if source.digest and _DIGEST.fullmatch(source.digest) is None:
        fields.complain(("digest",), f"is {source.digest!r}", "write sha256: and 64 hexadecimal digits in lower case")
    for key, name in (("file", source.file), ("folder", source.folder)):
        if name and (not _is_path_below(name) or "/" in name):
            fields.complain((key,), f"is {name!r}", f"write the name of a {key} beside this manifest, without a path")
    fields.finish()
    return source


def _lineage(lineage: Fields | None) -> tuple[tuple[str, ...], int]:
    if lineage is None:
        return (), 0
    parents, generation = lineage.texts("parents"), lineage.integer("generation", 0) or 0
    for parent in parents:
        if not is_specialist_id(parent):
            lineage.complain(("parents",), f"names {parent!r}", "write ids of specialists")
    lineage.finish()
    return parents, generation


def _capabilities(fields: Fields) -> tuple[str, ...]:
    capabilities = fields.texts("capabilities")
    for capability in capabilities:
        if capability not in REQUIREMENTS:
            fields.complain(("capabilities",), f"names {capability!r}", f"write any of: {', '.join(REQUIREMENTS)}")
    return capabilities


def _workflows(fields: Fields) -> Mapping[str, ServedWorkflow]:
    workflows = {}
    for name, entry in fields.tables("workflows"):
        if not is_workflow(name):
            entry.complain((), "is not a workflow's name", "use letters, digits, `.`, `_`, `:` and `-`, or `*`")
        golden = entry.text("golden", "") or ""
        # The suffix keeps a golden set from standing where a store keeps a file of its own.
        if golden and not (_is_path_below(golden) and golden.endswith(".jsonl")):
            entry.complain(
                ("golden",), f"is {golden!r}", "write the path of a .jsonl file below this manifest's folder"
            )
        workflows[name] = ServedWorkflow(golden=golden, scorer=entry.choice("scorer", SCORERS, "exact") or "exact")
        entry.finish()
    if not workflows:
        fields.complain(("workflows",), "names no workflow", 'write a table such as [workflows."intake.extract"]')
    return workflows


def _prompt(fields: Fields | None) -> Prompt:
    if fields is None:
        return Prompt()
    template = fields.text("template", INPUT_PLACE) or ""
    if template.count(INPUT_PLACE) != 1:
        count = template.count(INPUT_PLACE)
        fields.complain(("template",), f"holds {INPUT_PLACE} {count} times", f"write {INPUT_PLACE} exactly once")
    stop = fields.texts("stop")
    if not all(stop) or len(stop) > MAX_STOP_STRINGS:
        fields.complain(("stop",), "holds an empty string or too many", f"write at most {MAX_STOP_STRINGS}, none empty")
    prompt = Prompt(
        system=fields.text("system", "") or "",
        template=template,
        examples=tuple(_example(entry) for entry in fields.listed("examples")),
        max_tokens=fields.integer("max_tokens", 0) or 0,
        temperature=fields.number("temperature", 0.0, low=0) or 0.0,
        stop=stop,
        response_schema=_response_schema(fields),
    )
    fields.finish()
    return prompt


def _example(fields: Fields) -> Example:
    example = Example(
        input=fields.text("input", required=True) or "",
        output=fields.text("output", required=True) or "",
    )
    fields.finish()
    return example


def _response_schema(fields: Fields) -> str:
    text = (fields.text("response_schema", "") or "").strip()
    if not text:
        return ""
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError) as error:
        fields.complain(("response_schema",), f"is not JSON: {error}", "write a JSON Schema between ''' and '''")
        return ""
    if not is_object:
        fields.complain(("response_schema",), "is not a JSON object", 'write a schema such as {"type": "object"}')
    return text


def _is_path_below(path: str) -> bool:
    """Whether a path stays below the folder it starts from, whatever else it names."""
    return path.isprintable() and not {"", ".", ".."} & set(path.split("/"))
