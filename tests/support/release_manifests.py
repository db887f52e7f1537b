"""Releases' manifests for tests: a whole one, a small one with places changed, and any that Hypothesis thinks of."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from hypothesis import strategies as st

from homebred_protocol.documents.release_parts import ALL_PPM, PUBLIC
from homebred_protocol.documents.release_values import (
    FRAME_BYTES,
    MAKES,
    Constraints,
    Gate,
    GoldenDemand,
    Provenance,
    Recipe,
    ReleaseBase,
    ReleaseFile,
    ReleaseManifest,
    Shadow,
)
from homebred_protocol.documents.specialist import SCORERS
from homebred_protocol.targets import MAX_NUMBER

Document = dict[str, Any]


def hexadecimal(text: str) -> str:
    """A digest of something, without its prefix."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest(text: str) -> str:
    """A digest of something."""
    return f"sha256:{hexadecimal(text)}"


def file_document(path: str, length: int = 100, of: str = "") -> Document:
    """A file as a manifest lists it, its digests those of a text instead of so many bytes."""
    count = -(-length // FRAME_BYTES)
    whole = hexadecimal(of or path)
    frames = [whole] if count == 1 else [hexadecimal(f"{of or path} {number}") for number in range(count)]
    return {"path": path, "length": length, "digest": f"sha256:{whole if count else hexadecimal('')}", "frames": frames}


BASE = digest("base")
SMALL: Document = {
    "version": 1,
    "kind": "release",
    "family": "clinic",
    "id": "intake",
    "number": 1,
    "title": "Reads an intake note",
    "files": [file_document("golden/intake.jsonl"), file_document("specialist.toml")],
    "frame_bytes": FRAME_BYTES,
    "specialist": "specialist.toml",
    "base": {"digest": BASE, "form": "file", "length": 1000},
    "lineage": {"parents": [], "generation": 0},
    "constraints": {"engine": "llamacpp", "base_digest": BASE},
    "gate": {
        "golden": [
            {"workflow": "intake", "path": "golden/intake.jsonl", "scorer": "json_equal", "minimum_ppm": 900_000}
        ]
    },
    "workflows": ["intake"],
    "licence": "Apache-2.0",
    "provenance": [],
    "classes": ["public"],
    "sites": [],
    "recipe": None,
}
WHOLE: Document = {
    **SMALL,
    "number": 7,
    "files": [
        file_document("adapter/adapter_config.json"),
        file_document("adapter/adapter_model.safetensors", 3 * FRAME_BYTES + 1),
        file_document("golden/intake.jsonl"),
        file_document("specialist.toml"),
    ],
    "lineage": {"parents": ["intake.0", "intake.1"], "generation": 2},
    "constraints": {
        "engine": "llamacpp",
        "engine_version": "2026.10",
        "architecture": "aarch64",
        "gpu_architecture": "sm_87",
        "memory_bytes": 600_000_000,
        "base_digest": BASE,
        "tokenizer_digest": digest("tokenizer"),
    },
    "gate": {
        "golden": [{**SMALL["gate"]["golden"][0], "maximum_p95_ms": 1_500}],
        "maximum_memory_bytes": 900_000_000,
        "shadow": {"outcomes": 100, "longest_s": 86_400},
    },
    "workflows": ["*", "intake"],
    "provenance": [
        {"name": "intake notes of 2026", "licence": "LicenseRef-consent", "digest": digest("notes")},
        {"name": "SmolLM2-135M-Instruct", "licence": "Apache-2.0"},
    ],
    "classes": ["patient"],
    "sites": ["clinic-east", "clinic-west"],
    "recipe": {
        "engine": "llamacpp",
        "form": "file",
        "inputs": [BASE, digest("specialist.toml")],
        "arguments": {"slots": 4, "type": "q4_1"},
    },
}


def written(document: object) -> bytes:
    """A document as canonical JSON writes it, whatever it holds."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def small_with(place: str, value: Any) -> Document:
    """The small manifest with one place set, such as `gate/golden/0/path`; `...` removes it."""
    document = copy.deepcopy(SMALL)
    *folders, last = place.split("/")
    table: Any = document
    for folder in folders:
        table = table[int(folder) if isinstance(table, list) else folder]
    key: Any = int(last) if isinstance(table, list) else last
    if value is ...:
        del table[key]
    else:
        table[key] = value
    return document


def scalars() -> st.SearchStrategy[Any]:
    """What may stand in a document without being in its place."""
    numbers = st.integers(min_value=-5, max_value=2**54) | st.floats()
    return st.none() | st.booleans() | numbers | st.text(max_size=8)


def any_json() -> st.SearchStrategy[Any]:
    """Any JSON value."""
    return st.recursive(
        scalars(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    )


_NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
_LINES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
_HEX = st.binary(max_size=3).map(lambda some: hashlib.sha256(some).hexdigest())
_DIGESTS = _HEX.map("sha256:{}".format)


@st.composite
def _files(draw: st.DrawFn) -> tuple[ReleaseFile, ...]:
    names = draw(st.sets(_NAMES, max_size=4))
    files = []
    for path in sorted([*(f"d{name}/f" for name in names), "golden.jsonl", "specialist.toml"]):
        length = draw(st.integers(min_value=0, max_value=3 * FRAME_BYTES))
        listed = file_document(path, length)
        files.append(ReleaseFile(**{**listed, "frames": tuple(listed["frames"])}))
    return tuple(files)


@st.composite
def manifests(draw: st.DrawFn) -> ReleaseManifest:
    """Any sound manifest."""
    files = draw(_files())
    base = draw(
        st.none() | st.builds(ReleaseBase, digest=_DIGESTS, form=st.just("file"), length=st.integers(1, 10**12))
    )
    base_digest = base.digest if base is not None else draw(st.just("") | _DIGESTS)
    workflows = tuple(sorted(draw(st.sets(_NAMES, min_size=1, max_size=4))))
    classes = tuple(sorted(draw(st.sets(st.sampled_from(("patient", PUBLIC, "ward")), min_size=1))))
    bound = set(classes) != {PUBLIC}
    demand = st.builds(
        GoldenDemand,
        workflow=st.sampled_from(workflows),
        path=st.just("golden.jsonl"),
        scorer=st.sampled_from(SCORERS),
        minimum_ppm=st.integers(0, ALL_PPM),
        maximum_p95_ms=st.integers(0, 10**6),
    )
    demands = draw(st.lists(demand, min_size=1, max_size=3, unique_by=lambda one: one.workflow))
    recipe = st.builds(
        Recipe,
        engine=_NAMES,
        form=st.sampled_from(("file", "folder")),
        inputs=st.just((files[0].digest,)),
        arguments=st.dictionaries(
            st.from_regex(r"[a-z][a-z_]{0,5}", fullmatch=True), _LINES | st.integers(0, 99), max_size=3
        ),
        makes=st.sampled_from(MAKES),
    )
    return ReleaseManifest(
        family=draw(_NAMES),
        id=draw(_NAMES),
        number=draw(st.integers(1, MAX_NUMBER)),
        title=draw(_LINES),
        files=files,
        specialist="specialist.toml",
        base=base,
        parents=tuple(draw(st.lists(_NAMES, max_size=3, unique=True))),
        generation=draw(st.integers(0, 9)),
        constraints=Constraints(
            engine=draw(_NAMES), base_digest=base_digest, memory_bytes=draw(st.integers(0, 10**12))
        ),
        gate=Gate(
            golden=tuple(sorted(demands, key=lambda one: one.workflow)),
            maximum_memory_bytes=draw(st.integers(0, 10**12)),
            shadow=draw(
                st.none() | st.builds(Shadow, outcomes=st.integers(20, 2000), longest_s=st.integers(60, 604_800))
            ),
        ),
        workflows=workflows,
        licence=draw(_LINES),
        provenance=tuple(
            draw(
                st.lists(st.builds(Provenance, name=_LINES, licence=_LINES, digest=st.just("") | _DIGESTS), max_size=3)
            )
        ),
        classes=classes,
        sites=tuple(sorted(draw(st.sets(_NAMES, min_size=int(bound), max_size=3)))),
        recipe=draw(st.none() | recipe),
    )
