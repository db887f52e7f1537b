from __future__ import annotations

from typing import Any

import pytest

from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.registry import Fitness, Paired, Registry, Specialist, read_registry

MEASURED = {"fitness": 0.9, "samples": 100}
WHOLE = {
    "id": "intake-v3",
    "engine": "llamacpp",
    "workflows": {
        "intake.normalise": {
            "fitness": 0.93,
            "samples": 150,
            "reference_fitness": 0.9,
            "reference_samples": 140,
            "paired": {"both": 120, "only_local": 15, "only_reference": 10, "neither": 5},
        },
        "*": {"fitness": 1, "samples": 0},
    },
    "size_rank": 2,
    "tokens_per_s": 40,
    "available": False,
    "capabilities": ["vision"],
    "max_context": 4096,
    "p95_s": 1.5,
}


def problems_of(document: object) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_registry(document, "")
    return [problem.sentence() for problem in caught.value.problems]


def registry(*specialists: dict[str, Any]) -> Registry:
    return read_registry({"specialists": list(specialists)}, "sha256:r")


def test_everything_that_a_registry_may_say() -> None:
    assert registry(WHOLE).specialists == (
        Specialist(
            id="intake-v3",
            engine="llamacpp",
            workflows={
                "intake.normalise": Fitness(
                    fitness=0.93,
                    samples=150,
                    reference_fitness=0.9,
                    reference_samples=140,
                    paired=Paired(both=120, only_local=15, only_reference=10, neither=5),
                ),
                "*": Fitness(fitness=1.0, samples=0),
            },
            size_rank=2,
            tokens_per_s=40.0,
            available=False,
            capabilities=("vision",),
            max_context=4096,
            p95_s=1.5,
        ),
    )
    assert registry(WHOLE).digest == "sha256:r"


def test_what_may_be_absent() -> None:
    (specialist,) = registry({"id": "a", "engine": "echo"}).specialists
    assert specialist == Specialist(id="a", engine="echo", workflows={})
    assert (specialist.size_rank, specialist.available, specialist.max_context) == (0, True, None)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "(the document): is a list; write a table of keys and values"),
        ({}, "specialists: is missing; write a list of specialists; an empty list is allowed"),
        ({"specialists": {}}, "specialists: is a table; write a list of tables"),
        ({"specialists": [{"engine": "echo"}]}, "specialists[0].id: is missing; write a string"),
        ({"specialists": [{"id": "a", "engine": "echo", "size": 1}]}, "specialists[0].size: is not a known key;"),
        ({"specialists": [], "version": 1}, "version: is not a known key;"),
    ],
)
def test_what_is_wrong_is_said(document: object, complaint: str) -> None:
    assert any(problem.startswith(complaint) for problem in problems_of(document))


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({}, "fitness: is missing; write a number"),
        (MEASURED | {"fitness": 1.01}, "fitness: is 1.01; write a finite number from 0 to 1"),
        (MEASURED | {"samples": -1}, "samples: is -1; write an integer of at least 0"),
        (MEASURED | {"samples": 10**400}, "samples: is too large; write an integer of at most"),
        (
            MEASURED | {"reference_fitness": float("nan")},
            "reference_fitness: is nan; write a finite number from 0 to 1",
        ),
        (MEASURED | {"paired": {"both": 1}}, "paired.only_local: is missing; write an integer"),
    ],
)
def test_a_wrong_figure_is_told_by_its_place(entry: dict[str, Any], complaint: str) -> None:
    specialist = {"id": "a", "engine": "echo", "workflows": {"intake.normalise": entry}}
    place = 'specialists[0].workflows."intake.normalise".'
    assert any(problem.startswith(place + complaint) for problem in problems_of({"specialists": [specialist]}))


def test_ids_are_unique_and_do_not_read_like_a_cascade() -> None:
    named = [{"id": name, "engine": "echo"} for name in ("a", "a", "b+c", "cascade:d")]
    assert problems_of({"specialists": named}) == [
        "specialists[1].id: 'a' is used twice; ids are unique",
        "specialists[2].id: 'b+c' reads like a cascade; write an id without `+` or `cascade:`",
        "specialists[3].id: 'cascade:d' reads like a cascade; write an id without `+` or `cascade:`",
    ]


def named(name: str, available: bool = True, **workflows: int) -> dict[str, Any]:  # noqa: FBT001, FBT002  # a helper's switch
    """A specialist with so many samples for each workflow; `any` stands for `*`."""
    entries = {("*" if key == "any" else key): MEASURED | {"samples": count} for key, count in workflows.items()}
    return {"id": name, "engine": "echo", "available": available, "workflows": entries}


@pytest.mark.parametrize(
    ("workflow", "found"),
    [
        ("w", ["named", "both", "general"]),
        ("other", ["both", "hidden", "general"]),
        (None, ["both", "hidden", "general"]),
    ],
)
def test_who_was_measured_for_a_workflow(workflow: str | None, found: list[str]) -> None:
    known = registry(
        named("named", w=9),
        named("both", w=9, any=9),
        named("hidden", w=0, any=9),  # its named entry hides the general one, even without samples
        named("general", any=9),
        named("unmeasured", any=0),
        named("away", available=False, w=9, any=9),
    )
    assert [specialist.id for specialist, _ in known.measured_for(workflow)] == found


def test_the_named_entry_is_the_one_that_counts() -> None:
    ((_, fitness),) = registry(named("both", w=5, any=9)).measured_for("w")
    assert fitness.samples == 5


def test_an_empty_registry_has_nobody_for_anything() -> None:
    assert registry().measured_for("w") == registry().measured_for(None) == ()


def test_a_paired_table_counts_its_rows() -> None:
    assert Paired(both=1, only_local=2, only_reference=3, neither=4).total == 10
