"""Random valid tasks, registries, policies and ceilings, drawn so that boundaries, ties and rare branches are common.

Every function draws from the `Random` it is given and from nothing else, so a seed reproduces its documents. They do
NOT contain anything the documents' shapes forbid: a site's labels, principals and figures are always well-formed.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

from tests.support.oracle import BUILT_IN_CLASSES, DEFAULTS, Document, entry_margin, rounded, wilson
from tests.support.situations import LINKS, STEP

WORKFLOWS: Final = ("intake.normalise", "letter.sort", "note.summarise")
EXTRA_CLASSES: Final = ("hr", "lab", "ledger")
MISSPELT_CLASSES: Final = ("Public", "clients", " code")
ALL_CLASSES: Final = (*sorted(BUILT_IN_CLASSES), *EXTRA_CLASSES, *MISSPELT_CLASSES)
PRINCIPALS: Final = ("uid:0", "uid:1001", "gid:7", "gid:100", "token:desk", "token:kiosk")
CAPABILITIES: Final = ("vision", "audio", "tools", "embeddings")
KINDS: Final = ("repeat", "tool_loop", "tool_loop", "synthesis", "drafting", "other")
MODELS: Final = ("cloud/default", "cloud/big")
SPECIALISTS: Final = ("s1", "s10", "s2", "s9", "S3", "t-small", "t")
SAMPLES: Final = (0, 1, 2, 5, 20, 150, 150, 1000, 1000)
SHARES: Final = (0.0, 0.5, 0.8, 0.9, 0.9, 0.95, 0.99, 1.0)
MINIMUM_MARGINS: Final = (-1.0, -0.5, -0.5, -0.2, -0.05, -0.02, 0.0, 0.05, 1.0)
CONTEXTS: Final = (512, 4096, 8192)
SECONDS: Final = (0.5, 1.0, 2.0)
RISKS: Final = (0.0, 0.1, 0.2, 1.0)
SPEEDS: Final = (0, 10, 25.5, 50, 60, 80)
PRICES: Final = (0, 0.001, 0.004, 0.01, 1.0)
WEIGHTS: Final = (0.0, 0.1, 0.2, 1.0, 100.0)


def random_registry(chance: Random) -> Document:
    """Up to seven specialists sharing few distinct entries, so that margins tie and size ranks and ids decide."""
    entries = [_entry(chance) for _ in range(chance.randint(1, 6))]
    specialists = []
    for name in chance.sample(SPECIALISTS, chance.choice((0, 1, 2, 3, 4, 5, 7))):
        workflows = {workflow: chance.choice(entries) for workflow in (*WORKFLOWS, "*") if chance.random() < 0.6}
        optional = {
            "size_rank": chance.randint(0, 3),
            "available": chance.random() < 0.9,
            "capabilities": chance.sample(CAPABILITIES, chance.randint(2, 4)),
            "max_context": chance.choice(CONTEXTS),
            "p95_s": chance.choice((*SECONDS, 2.5)),
        }
        measured = {"tokens_per_s": chance.choice(SPEEDS)} if chance.random() < 0.9 else {}
        given = _some(chance, 0.6, optional)
        specialists.append({"id": name, "engine": "llamacpp", "workflows": workflows, **measured, **given})
    return {"specialists": specialists}


def random_policy(chance: Random, registry: Document) -> Document:
    """A policy with any of its keys missing; some of its figures sit exactly on those of the registry."""
    extra = _subset(chance, EXTRA_CLASSES, 3)
    known = (*sorted(BUILT_IN_CLASSES), *extra)
    models = {name: _lane_profile(chance) for name in MODELS if chance.random() < 0.9}
    settings = {
        "local_only_classes": _subset(chance, known, 5),
        "default_class": chance.choice(("public", "public", "public", "client", *extra)),
        "default_floor": _floor(chance, registry),
        "default_minimum_margin": _minimum_margin(chance, registry),
        "escalation": chance.random() < 0.9,
        "metered_escalation": chance.random() < 0.5,
        "air_gap": chance.random() < 0.1,
        "fallback_model": chance.choice(MODELS),
        "maximum_residual_risk": chance.choice(RISKS),
        "drafting": _some(chance, 0.7, {name: chance.choice(WEIGHTS) for name in ("quality", "speed", "price")}),
        "workflows": {name: _workflow_settings(chance, registry) for name in WORKFLOWS if chance.random() < 0.6},
        "callers": {name: _caller_profile(chance, known) for name in PRINCIPALS if chance.random() < 0.5},
    }
    given = {"models": models} if chance.random() < 0.9 else {}
    return {"version": 1, **({"extra_classes": extra} if extra else {}), **given, **_some(chance, 0.6, settings)}


def random_ceiling(chance: Random, registry: Document) -> Document:
    """A site's bounds, any of them missing."""
    bounds = {
        "local_only_classes": _subset(chance, (*sorted(BUILT_IN_CLASSES), *EXTRA_CLASSES), 2),
        "escalation": chance.random() < 0.8,
        "air_gap": chance.random() < 0.2,
        "maximum_residual_risk": chance.choice(RISKS),
        "default_floor": _floor(chance, registry),
        "workflows": {name: {"floor": _floor(chance, registry)} for name in WORKFLOWS if chance.random() < 0.5},
    }
    return _some(chance, 0.4, bounds)


def random_task(chance: Random, registry: Document) -> Document:
    """A task with any of its optional keys missing; one in five is public drafting, which has a rule of its own."""
    optional = {
        "workflow": chance.choice((*WORKFLOWS, *WORKFLOWS, "", "never.heard.of")),
        "kind": chance.choice(KINDS),
        "data_classes": _classes(chance),
        "allows_escalation": chance.random() < 0.9,
    }
    rare = {
        "minimum_margin": _minimum_margin(chance, registry),
        "deadline_s": chance.choice(SECONDS),
        "context_tokens": chance.choice((0, 1, 512, 513, 4096, 4097)),
        "requires": _subset(chance, CAPABILITIES, 2),
        "expected_calls": chance.randint(1, 30),
    }
    task = {"task_id": "t", "text": "x", **_some(chance, 0.85, optional), **_some(chance, 0.25, rare)}
    if chance.random() < 0.2:
        task |= {"kind": "drafting", "data_classes": ["public"], "allows_escalation": True}
    return task


def random_circumstances(chance: Random, registry: Document) -> dict[str, Any]:
    """What a task meets: the link, its caller, what was detected, measured and just failed."""
    names = tuple(specialist["id"] for specialist in registry["specialists"])
    return {
        "link": chance.choice((*LINKS, "up")),
        "caller": tuple(_subset(chance, PRINCIPALS, 3)) if chance.random() < 0.4 else (),
        "detected": tuple(_subset(chance, ALL_CLASSES, 2)) if chance.random() < 0.15 else (),
        "residual_risk": chance.choice((None, 0.0, 0.0, 0.0, 0.1, 0.2, rounded(0.2 + STEP), 1.0)),
        "unavailable": frozenset(_subset(chance, names, 2) if chance.random() < 0.15 else ()),
    }


def _some(chance: Random, probability: float, drawn: Document) -> Document:
    """Each key of a drawn document, kept with the given probability."""
    return {key: value for key, value in drawn.items() if chance.random() < probability}


def _subset(chance: Random, pool: tuple[str, ...], most: int) -> list[str]:
    return chance.sample(pool, chance.randint(0, min(most, len(pool))))


def _share(chance: Random) -> float:
    return chance.choice(SHARES) if chance.random() < 0.7 else chance.random()


def _entry(chance: Random) -> Document:
    reference = {"reference_fitness": _share(chance), "reference_samples": chance.choice(SAMPLES)}
    entry = {"fitness": _share(chance), "samples": chance.choice(SAMPLES), **_some(chance, 0.75, reference)}
    if chance.random() < 0.25:
        most = chance.choice((0, 1, 5, 60))
        cells = ("both", "only_local", "only_reference", "neither")
        entry["paired"] = {cell: chance.randint(0, chance.choice((1, 4)) * most) for cell in cells}
    return entry


def _classes(chance: Random) -> list[str]:
    """Mostly labels that leave the later branches within reach."""
    pool = chance.choice((("public", *EXTRA_CLASSES), ALL_CLASSES))
    return ["public"] if chance.random() < 0.6 else _subset(chance, pool, 3)


def _lane_profile(chance: Random) -> Document:
    figures = {
        "fitness": chance.choice((0.9, 0.95, 1.0, _share(chance))),
        "tokens_per_s": chance.choice(SPEEDS),
        "price_per_1k_tokens": chance.choice(PRICES),
    }
    return _some(chance, 0.95, figures)


def _workflow_settings(chance: Random, registry: Document) -> Document:
    settings = {
        "floor": _floor(chance, registry),
        "minimum_margin": _minimum_margin(chance, registry),
        "latency_budget_ms": 1500,
    }
    return _some(chance, 0.5, settings)


def _caller_profile(chance: Random, known: tuple[str, ...]) -> Document:
    profile = {
        "adds_classes": _subset(chance, known, 1),
        "may_escalate": chance.random() < 0.7,
        "workflows": _subset(chance, WORKFLOWS, 3),
    }
    return _some(chance, 0.3, profile)


def _floor(chance: Random, registry: Document) -> float:
    figures = [wilson(entry["fitness"], entry["samples"])[0] for entry in _sampled_entries(registry)]
    return min(1.0, max(0.0, _near(chance, figures, SHARES)))


def _minimum_margin(chance: Random, registry: Document) -> float:
    figures = [entry_margin(entry, DEFAULTS["default_floor"]) for entry in _sampled_entries(registry)]
    return min(1.0, max(-1.0, _near(chance, figures, MINIMUM_MARGINS)))


def _sampled_entries(registry: Document) -> list[Document]:
    return [entry for one in registry["specialists"] for entry in one["workflows"].values() if entry["samples"]]


def _near(chance: Random, figures: list[float], otherwise: tuple[float, ...]) -> float:
    """A figure to compare with: often exactly one of the registry's, or a step to either side of it.

    A figure that lies within 2 % of a step of where rounding to 12 decimals turns is not used: there two faithful
    computations may differ in the last bit and round apart.
    """
    if figures and chance.random() < 0.5:
        figure = chance.choice(figures)
        if abs(figure / STEP % 1 - 0.5) > 0.02:
            return rounded(rounded(figure) + chance.choice((-STEP, 0, 0, STEP)))
    return chance.choice(otherwise)
