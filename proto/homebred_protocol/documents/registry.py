"""The registry document: which specialists a device has and how fit each was measured to be.

It is the router's only knowledge of models. It loads none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from homebred_protocol.documents.fields import DocumentError, Fields

GENERALIST = "*"
CASCADE_PREFIX = "cascade:"
"""Before the ids of a cascade, which `+` joins: `cascade:small+large`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Outcomes of specialist and reference on the same golden rows, counted by who was right."""

    both: int
    only_local: int
    only_reference: int
    neither: int

    @property
    def total(self) -> int:
        """Rows in the table."""
        return self.both + self.only_local + self.only_reference + self.neither


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """Measured fitness of one specialist on one workflow."""

    fitness: float
    """Mean score on the held-out golden set, in [0, 1]."""
    samples: int
    """Rows of that golden set; 0: never a candidate."""
    reference_fitness: float | None = None
    """Mean score of the reference model on the same workflow."""
    reference_samples: int | None = None
    """Rows behind it; absent or 0: the reference is taken as a constant."""
    paired: Paired | None = None
    """Row by row comparison; used instead of the two means when present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialist:
    """A servable local model, as the router sees it."""

    id: str
    engine: str
    """Engine backend that serves it."""
    workflows: Mapping[str, Fitness]
    """Fitness by workflow name; `*` makes it a generalist."""
    size_rank: int = 0
    """Smaller is cheaper; orders cascades and breaks ties."""
    tokens_per_s: float | None = None
    """Measured generation speed, tokens per second."""
    available: bool = True
    """Whether it can be served now."""
    capabilities: tuple[str, ...] = ()
    """What of `vision`, `audio`, `tools`, `embeddings` it has."""
    max_context: int | None = None
    """Context in tokens; None: no limit recorded."""
    p95_s: float | None = None
    """95th percentile of seconds from acceptance to outcome; None: not recorded."""
    version: str = ""
    """Of all that its answers depend on; empty: not recorded. No decision depends on it."""


Measured = tuple[Specialist, Fitness]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """All specialists of a device, with the digest of the document they were read from."""

    digest: str
    """`sha256:` of the document's bytes."""
    specialists: tuple[Specialist, ...]
    _measured: Mapping[str, tuple[Measured, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = {name for specialist in self.specialists for name in specialist.workflows} | {GENERALIST}
        measured = {name: tuple(_measured_for(name, self.specialists)) for name in names}
        object.__setattr__(self, "_measured", measured)

    def measured_for(self, workflow: str | None) -> tuple[Measured, ...]:
        """The available specialists with samples for a workflow, each with its entry; None: the generalists."""
        found = self._measured.get(workflow) if workflow is not None else None
        return self._measured[GENERALIST] if found is None else found


def read_registry(document: object, digest: str) -> Registry:
    """The registry in one parsed JSON document.

    Raises:
        DocumentError: with every problem found.
    """
    fields = Fields(document)
    if not fields.has("specialists"):
        fields.complain(("specialists",), "is missing", "write a list of specialists; an empty list is allowed")
    specialists = tuple(_specialist(entry) for entry in fields.listed("specialists"))
    seen: set[str] = set()
    for position, specialist in enumerate(specialists):
        place = ("specialists", f"[{position}]", "id")
        if specialist.id in seen:
            fields.complain(place, f"{specialist.id!r} is used twice", "ids are unique")
        if "+" in specialist.id or specialist.id.startswith(CASCADE_PREFIX):
            fields.complain(place, f"{specialist.id!r} reads like a cascade", "write an id without `+` or `cascade:`")
        seen.add(specialist.id)
    fields.finish()
    if fields.problems:
        raise DocumentError("registry", fields.problems)
    return Registry(digest=digest, specialists=specialists)


def _measured_for(workflow: str, specialists: tuple[Specialist, ...]) -> Iterator[Measured]:
    for specialist in specialists:
        # A named entry hides the general one, even without samples (CONTRACT "Candidates").
        fitness = specialist.workflows.get(workflow) or specialist.workflows.get(GENERALIST)
        if specialist.available and fitness is not None and fitness.samples:
            yield specialist, fitness


def _specialist(fields: Fields) -> Specialist:
    specialist = Specialist(
        id=fields.text("id", required=True) or "",
        engine=fields.text("engine", required=True) or "",
        workflows={name: _fitness(entry) for name, entry in fields.tables("workflows")},
        size_rank=fields.integer("size_rank", 0) or 0,
        tokens_per_s=fields.number("tokens_per_s", low=0),
        available=fields.boolean("available", default=True) is not False,
        capabilities=fields.texts("capabilities"),
        max_context=fields.integer("max_context"),
        p95_s=fields.number("p95_s", low=0),
        version=fields.text("version", "") or "",
    )
    fields.finish()
    return specialist


def _fitness(fields: Fields) -> Fitness:
    fitness = Fitness(
        fitness=fields.number("fitness", 0.0, low=0, high=1, required=True) or 0.0,
        samples=fields.integer("samples", 0, required=True) or 0,
        reference_fitness=fields.number("reference_fitness", low=0, high=1),
        reference_samples=fields.integer("reference_samples"),
        paired=_paired(fields.table("paired")),
    )
    fields.finish()
    return fitness


def _paired(fields: Fields | None) -> Paired | None:
    if fields is None:
        return None
    names = ("both", "only_local", "only_reference", "neither")
    counts = {name: fields.integer(name, 0, required=True) or 0 for name in names}
    fields.finish()
    return Paired(**counts)
