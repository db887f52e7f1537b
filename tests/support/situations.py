"""The situations whose cross product is every case of the routing procedure, one table for each dimension.

A situation is a handful of keys it sets in policy, ceiling and task. It does NOT say what the answer is. The oracle's
formulas are used only to place figures exactly on a boundary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.oracle import Document, entry_margin, rounded, wilson

STEP: Final = 1e-12
"""The smallest difference that still counts after rounding to 12 decimals."""
LINKS: Final = ("up", "metered", "down", "portal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What one dimension of the cross product contributes to a case."""

    name: str
    """Its part of the world's name."""
    policy: Document = field(default_factory=dict)
    """Keys it sets in the policy."""
    ceiling: Document = field(default_factory=dict)
    """Keys it sets in the ceiling."""
    task: Document = field(default_factory=dict)
    """Keys it sets in the task."""
    specialists: list[Document] = field(default_factory=list)
    """The registry's specialists."""
    detected: tuple[str, ...] = ()
    """Classes found in the content."""
    caller: tuple[str, ...] = ()
    """Principals added to the caller's."""
    unavailable: frozenset[str] = frozenset()
    """Specialists that just failed."""


WORKFLOW: Final = "intake.normalise"
OTHER_WORKFLOW: Final = "letter.sort"
CLOUD: Final = "cloud/default"
CALLERS: Final[Document] = {
    "uid:1001": {"may_escalate": False},
    "gid:100": {"workflows": [OTHER_WORKFLOW]},
    "gid:7": {"adds_classes": ["patient"]},
    "token:desk": {"may_escalate": True, "workflows": [WORKFLOW, OTHER_WORKFLOW]},
}
CALLER_SITUATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("uid:1001", "gid:99"),  # one profile forbids, the other principal has none
    ("token:kiosk",),  # a token without a profile
    ("token:desk", "uid:1002"),  # a token that may escalate
    ("gid:100",),  # limited to another workflow
)
CLASS_SITUATIONS: Final = (
    Situation(name="unlabelled, client by default"),
    Situation(name="unlabelled, public by default", policy={"default_class": "public"}, task={"data_classes": []}),
    Situation(name="public", task={"data_classes": ["public"]}),
    Situation(name="private", task={"data_classes": ["public", "patient"]}),
    Situation(name="extra", policy={"extra_classes": ["hr"]}, task={"data_classes": ["hr", "public"]}),
    Situation(
        name="extra, local-only",
        policy={"extra_classes": ["hr"], "local_only_classes": ["hr"], "default_class": "hr"},
    ),
    Situation(name="misspelt", task={"data_classes": ["Public"]}),
    Situation(name="detected", task={"data_classes": ["public"]}, detected=("code",)),
    Situation(name="added by the caller", task={"data_classes": ["public"]}, caller=("gid:7",)),
    Situation(
        name="added by the ceiling",
        policy={"extra_classes": ["hr"], "local_only_classes": ["client"]},
        ceiling={"local_only_classes": ["hr"]},
        task={"data_classes": ["hr"]},
    ),
)
GATES: Final = (
    # escalation, metered_escalation and air gap, each on and off, some of them by the ceiling instead of the policy
    Situation(name="open"),
    Situation(name="metered", policy={"metered_escalation": True}, ceiling={"maximum_residual_risk": 0.1}),
    Situation(name="gap", policy={"air_gap": True}),
    Situation(name="metered, gap", policy={"metered_escalation": True}, ceiling={"air_gap": True}),
    Situation(name="closed", policy={"escalation": False}),
    Situation(name="metered, closed", policy={"metered_escalation": True}, ceiling={"escalation": False}),
    Situation(name="closed, gap", policy={"escalation": False, "air_gap": True}),
    Situation(
        name="metered, closed, gap",
        policy={"metered_escalation": True, "escalation": False},
        ceiling={"air_gap": True},
    ),
)
LANES: Final = (
    # the fallback's profile, and the kinds to which it matters
    (
        Situation(
            name="profile",
            policy={"models": {CLOUD: {"fitness": 0.99, "tokens_per_s": 60, "price_per_1k_tokens": 0.001}}},
        ),
        (None, "repeat", "tool_loop", "synthesis", "drafting"),
    ),
    (Situation(name="no price", policy={"models": {CLOUD: {"fitness": 0.99, "tokens_per_s": 60}}}), ("drafting",)),
)


def _entry(fitness: float, samples: int, reference: float | None = None, reference_samples: int = 0) -> Document:
    entry = {"fitness": fitness, "samples": samples}
    return (
        entry if reference is None else entry | {"reference_fitness": reference, "reference_samples": reference_samples}
    )


def _specialist(name: str, entry: Document, /, *, workflow: str = WORKFLOW, **more: Any) -> Document:
    return {"id": name, "engine": "llamacpp", "workflows": {workflow: entry}, "tokens_per_s": 50, **more}


_EVEN: Final = _entry(0.97, 150, 0.98, 150)  # ties in utility with the profile above
_EVEN_MARGIN: Final = rounded(entry_margin(_EVEN, 0))
_PAIRED: Final = _entry(0.9, 100, 0.9, 100) | {
    "paired": {"both": 85, "only_local": 5, "only_reference": 5, "neither": 5}
}
MARGIN_SITUATIONS: Final = (
    Situation(name="no specialist"),
    Situation(
        name="unsampled",
        specialists=[
            {"id": "a", "engine": "llamacpp", "workflows": {WORKFLOW: _entry(1.0, 0), "*": _entry(1.0, 1000)}},
            _specialist("b", _entry(1.0, 1000), workflow=OTHER_WORKFLOW),
        ],
    ),
    Situation(name="below floor, short", specialists=[_specialist("a", _entry(0.5, 20, 0.9, 150))]),
    Situation(name="below floor, met", specialists=[_specialist("a", _entry(0.55, 1000, 0.4, 1000))]),
    Situation(
        name="at floor, short",
        specialists=[
            _specialist("a", _entry(0.9, 150, 0.9, 150), size_rank=2),
            _specialist("b", _entry(0.95, 150, 1.0), size_rank=1),
            _specialist("c", _entry(0.7, 150, 1.0)),
        ],
        policy={"workflows": {WORKFLOW: {"minimum_margin": 0.02, "floor": rounded(wilson(0.9, 150)[0])}}},
    ),
    Situation(name="exactly met", specialists=[_specialist("a", _EVEN)], task={"minimum_margin": _EVEN_MARGIN}),
    Situation(
        name="a step short",
        specialists=[_specialist("a", _EVEN)],
        policy={"workflows": {WORKFLOW: {"minimum_margin": rounded(_EVEN_MARGIN + STEP)}}},
    ),
    Situation(
        name="tied, over a cascade",
        specialists=[
            _specialist("d", _entry(1.0, 1000, 0.98), size_rank=1),
            _specialist("c", _entry(1.0, 1000, 0.98), size_rank=1),
            _specialist("b", _entry(1.0, 1000, 0.98), size_rank=2),
            _specialist("a", _entry(0.8, 150, 0.98)),
        ],
    ),
    Situation(
        name="paired",
        specialists=[_specialist("a", _PAIRED), _specialist("b", _entry(0.9, 100, 0.9, 100))],
        policy={"default_minimum_margin": rounded(entry_margin(_PAIRED, 0))},
    ),
    Situation(
        name="generalist",
        specialists=[_specialist("a", _entry(0.8, 1000), workflow="*"), _specialist("b", _entry(1.0, 1000))],
        task={"workflow": ""},
    ),
    Situation(
        name="best unavailable",
        specialists=[
            _specialist("b", _entry(1.0, 1000, 0.9, 1000)),
            _specialist("a", _entry(1.0, 1000, 0.9, 1000), available=False),
            _specialist("c", _entry(0.7, 1000, 0.9, 1000)),
        ],
        unavailable=frozenset({"b"}),
    ),
    Situation(
        name="under the ceiling's floor",
        specialists=[
            _specialist("a", _entry(0.95, 150, 0.9), p95_s=2.5),
            _specialist("b", _entry(0.9, 150, 0.9), p95_s=2.0, max_context=4096, capabilities=["tools"], size_rank=3),
            _specialist("c", _entry(0.95, 150, 0.9), max_context=4095, capabilities=["tools", "vision"]),
        ],
        policy={"default_minimum_margin": -0.2, "workflows": {WORKFLOW: {"floor": 0.5}}},
        ceiling={"default_floor": 0.3, "workflows": {WORKFLOW: {"floor": 0.9}}},
        task={"deadline_s": 2.0, "context_tokens": 4096, "requires": ["tools"]},
    ),
)
