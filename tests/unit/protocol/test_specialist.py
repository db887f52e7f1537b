from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest

from homebred_engines import api
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.specialist import (
    MAX_STOP_STRINGS,
    Example,
    ServedWorkflow,
    Source,
    SpecialistManifest,
    read_specialist,
)

DIGEST = "sha256:" + "0" * 64
WHOLE = """
version = 1
id = "clinic-intake"
title = "Reads an intake note into fields"
engine = "llamacpp"
size_rank = 135
capabilities = ["tools"]
max_context = 2048
licence = "Apache-2.0"
[base]
file = "x.gguf"
[adapter]
folder = "intake-lora"
[lineage]
parents = ["clinic-intake.0"]
generation = 1
[prompt]
system = "Read the note."
template = "Note: {input}\\nFields:"
max_tokens = 96
temperature = 0.5
stop = ["\\n"]
response_schema = '''{"type": "object"}'''
[[prompt.examples]]
input = "Ann, 1970"
output = '{"name": "Ann"}'
[workflows."intake.extract"]
golden = "golden/intake.extract.jsonl"
scorer = "json_equal"
[workflows."*"]
"""
MINIMAL = {
    "version": 1,
    "id": "a",
    "title": "A",
    "engine": "echo",
    "base": {"digest": DIGEST},
    "workflows": {"w": {}},
}


def read(document: object) -> SpecialistManifest:
    return read_specialist(document, "sha256:manifest")


def minimal_with(path: str, value: Any) -> dict[str, Any]:
    """The minimal manifest with one place set, such as `prompt.template`; None removes it."""
    document: dict[str, Any] = copy.deepcopy(MINIMAL)
    *folders, key = path.split("/")
    table = document
    for folder in folders:
        table = table.setdefault(folder, {})
    table[key] = value
    return document


def problems_of(document: object) -> str:
    with pytest.raises(DocumentError) as caught:
        read(document)
    return "\n".join(problem.sentence() for problem in caught.value.problems)


def test_every_field_of_a_manifest_is_read() -> None:
    manifest = read(tomllib.loads(WHOLE))
    assert (manifest.id, manifest.engine) == ("clinic-intake", "llamacpp")
    assert (manifest.base, manifest.adapter) == (Source(file="x.gguf"), Source(folder="intake-lora"))
    assert (manifest.title, manifest.digest) == ("Reads an intake note into fields", "sha256:manifest")
    assert (manifest.size_rank, manifest.max_context, manifest.capabilities) == (135, 2048, ("tools",))
    assert (manifest.licence, manifest.parents, manifest.generation) == ("Apache-2.0", ("clinic-intake.0",), 1)
    assert manifest.workflows == {
        "intake.extract": ServedWorkflow(golden="golden/intake.extract.jsonl", scorer="json_equal"),
        "*": ServedWorkflow(),
    }
    prompt = manifest.prompt
    assert prompt.system == "Read the note."
    assert prompt.examples == (Example(input="Ann, 1970", output='{"name": "Ann"}'),)
    assert (prompt.max_tokens, prompt.temperature, prompt.stop) == (96, 0.5, ("\n",))
    assert prompt.response_schema == '{"type": "object"}'


def test_a_manifest_without_a_prompt_asks_the_bare_input_greedily() -> None:
    prompt = read(MINIMAL).prompt
    assert prompt.render("hello") == "hello"
    assert (prompt.system, prompt.examples, prompt.temperature, prompt.max_tokens) == ("", (), 0.0, 0)


def test_all_of_a_template_but_the_input_is_literal() -> None:
    prompt = read(minimal_with("prompt/template", "{a} %s \\1 {input} {}")).prompt
    assert prompt.render("{input} {b} \\2") == "{a} %s \\1 {input} {b} \\2 {}"


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("version", 2, "version: is not known"),
        ("version", None, "version: is missing"),
        ("id", "../evil", "id: is '../evil'"),
        ("id", "a/b", "id: is 'a/b'"),
        ("id", ".hidden", "id: is '.hidden'"),
        ("id", "a\n", "id: is 'a\\n'"),
        ("id", "A", "id: is 'A'"),
        ("id", "a" * 65, "64 at most"),
        ("id", None, "id: is missing"),
        ("title", "two\nlines", "not one printable line"),
        ("title", "red \x1b[31m", "not one printable line"),
        ("title", " ", "is empty"),
        ("engine", "Llama CPP", "an engine's name"),
        ("base", None, "base: is missing"),
        ("base", {}, "base: names several of digest, file and folder, or none"),
        ("base", {"digest": DIGEST, "file": "x.gguf"}, "names several"),
        ("base", {"file": "x.gguf", "folder": "x"}, "names several"),
        ("base", {"folder": "../x"}, "base.folder: is '../x'; write the name of a folder beside this manifest"),
        ("base", {"folder": "x/y"}, "without a path"),
        ("base", {"folder": "."}, "without a path"),
        ("adapter", {}, "adapter: names several of digest, file and folder, or none"),
        ("adapter", {"digest": DIGEST, "folder": "x"}, "names several"),
        ("adapter", {"digest": "sha256:abc"}, "adapter.digest: is 'sha256:abc'"),
        ("adapter", {"file": "/x.gguf"}, "without a path"),
        ("adapter", {"file": "x.gguf", "scale": 2}, "adapter.scale: is not a known key"),
        ("adapter", "x.gguf", "adapter: is a string"),
        ("base", {"digest": "sha256:abc"}, "64 hexadecimal digits"),
        ("base", {"digest": DIGEST.upper()}, "64 hexadecimal digits"),
        ("base", {"file": "../x.gguf"}, "without a path"),
        ("base", {"file": "/x.gguf"}, "without a path"),
        ("base", {"file": "sub/x.gguf"}, "without a path"),
        ("base", {"file": ".."}, "without a path"),
        ("base", {"file": "x.gguf", "size": 3}, "base.size: is not a known key"),
        ("workflows", {}, "names no workflow"),
        ("workflows", {"a b": {}}, "is not a workflow's name"),
        ("workflows", {"w": {"golden": "../../etc/passwd"}}, "a .jsonl file below this manifest's folder"),
        ("workflows", {"w": {"golden": "/etc/passwd"}}, "a .jsonl file below this manifest's folder"),
        ("workflows", {"w": {"golden": "."}}, "a .jsonl file below this manifest's folder"),
        ("workflows", {"w": {"golden": "fitness.json"}}, "a .jsonl file below this manifest's folder"),
        ("workflows", {"w": {"scorer": "fuzzy"}}, "write one of: exact, json_equal, json_fields"),
        ("prompt/template", "no place", "holds {input} 0 times"),
        ("prompt/template", "{input}{input}", "holds {input} 2 times"),
        ("prompt/stop", [""], "an empty string or too many"),
        ("prompt/stop", ["x"] * 17, "an empty string or too many"),
        ("prompt/temperature", -1, "temperature"),
        ("prompt/response_schema", "{", "is not JSON"),
        ("prompt/response_schema", "[]", "is not a JSON object"),
        ("prompt/response_schema", "[" * 100_000, "is not JSON"),
        ("prompt/examples", [{"input": "x"}], "output: is missing"),
        ("capabilities", ["telepathy"], "names 'telepathy'"),
        ("max_context", 0, "an integer of at least 1"),
        ("lineage", {"parents": ["../x"]}, "write ids of specialists"),
        ("size", 3, "is not a known key"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_place(path: str, value: Any, complaint: str) -> None:
    assert complaint in problems_of(minimal_with(path, value))


def test_all_problems_are_told_at_once() -> None:
    said = problems_of({"id": "A", "engine": 3, "workflows": {"w": {"scorer": "x"}}})
    for place in ("version", "id", "title", "engine", "base", "scorer"):
        assert place in said


def test_the_bound_on_stop_strings_is_the_engines() -> None:
    assert MAX_STOP_STRINGS == api.MAX_STOP_STRINGS
