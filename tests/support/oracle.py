"""A second implementation of the routing contract, to hold the product's router against.

It is written from the contract's prose and the documented shapes of task, registry and policy, shares no code with the
product and goes about the work differently: it first states nine facts about a task, then looks them up in one
decision table (`TABLE`). It does NOT validate its inputs, explain itself (no sentence, no trace), detect classes,
measure risk or project a link: those arrive as arguments.

Readings: what the contract leaves open, and how it is read here.

Documents
 1. A JSON null equals an absent key, an empty `workflow` an absent one. An unknown `kind` is `other`; an unknown link
    forbids escalation.
 2. A missing policy key takes the default in `DEFAULTS`. The tables `models`, `workflows` and `callers` have none:
    their figures are measured or chosen, so a missing one is missing. The fallback needs no profile to be escalated to.
 3. `"*"` means "any workflow" in a registry only. In a policy's `workflows` or a caller's list it is a plain name.
Classes
 4. Only declared classes replace the default class; caller-added and detected ones join it.
 5. The misspelling rule holds for every class of the union, wherever it came from (the policy's own default class
    included), and compares exactly: "Public" and "" are misspellings.
Callers
 6. Every matching profile counts. A uid or gid permits escalation unless its profile forbids it; a token forbids it
    unless its profile permits it, also when it has no profile.
 7. A present `workflows` list limits even when it is empty, and a task without a workflow is outside every list.
    Outside means no candidates and no escalation: `no_candidate` in the local-only branch, `no_route` elsewhere.
Site ceiling
 8. Each document resolves its own floor for the workflow (its workflow table, else its default), then the higher one
    is used; a ceiling that names none bounds nothing. That floor also stands in for a missing reference.
 9. A ceiling's `escalation = false` is policy (no `offline_local`); its `air_gap` is an air gap (`offline_local`).
Candidates
10. "Excluded everywhere" makes a specialist without samples no candidate: alone, it yields `no_candidate`, not
    `below_floor`. `samples` 0 does so whatever else the entry holds, a paired table included.
11. Absent `max_context` and `p95_s` are no limits; equality passes.
12. The floor a generalist must reach is that of the task's workflow.
Margins
13. Margins, minimum margins, Wilson lower limits, floors and utilities compare after rounding to 12 decimals; risk,
    deadlines and contexts compare as they are.
14. A paired table of four zeros is absent. One that counts needs no `reference_fitness`; the floor is still judged by
    `fitness` and `samples`. A `reference_samples` without a `reference_fitness` is no reference.
15. "A workflow with a local-only class has no cloud reference" says what a registry holds. Where an entry has a
    reference all the same, the local-only branch ranks by it like any other.
Escalation
16. Nothing orders `residual_risk` against the utility rule, so a `utility_cloud` is stopped like any escalation:
    `no_op`, though the local margin was met. An unknown risk stops an escalation; where none is reached, risk is not
    looked at (`offline_local` included).
17. A metered link without `metered_escalation` is the link forbidding. `escalation = false` is the policy forbidding,
    together with an air gap too: `no_route`.
18. Utility: a tie or a missing figure keeps the reason `utility_local` (the rule was applied and said local). A figure
    is missing even where its weight is 0. The local fitness is the mean of the entry in use, not its Wilson limit.
Cascades
19. Every local decision of a tool loop may be a cascade. The best itself need not be at the floor when its margin was
    met; `size_rank` compares strictly.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import product
from math import sqrt
from typing import Any, Final

Document = dict[str, Any]
"""A parsed JSON or TOML object."""

Z_ONE_SIDED_95: Final = 1.6448536269514722

BUILT_IN_CLASSES: Final = frozenset(
    {"client", "patient", "student", "voice", "biometric", "code", "trade_secret", "public"}
)
DEFAULTS: Final[Document] = {
    "extra_classes": [],
    "local_only_classes": ["client", "patient", "student", "voice", "biometric", "code", "trade_secret"],
    "default_class": "client",
    "default_floor": 0.6,
    "default_minimum_margin": -0.05,
    "escalation": True,
    "metered_escalation": False,
    "air_gap": False,
    "fallback_model": "cloud/default",
    "maximum_residual_risk": 0.2,
}
DEFAULT_WEIGHTS: Final[Document] = {"quality": 1.0, "speed": 0.2, "price": 0.2}

RECORDS: Final[dict[str, tuple[str, bool, bool, str]]] = {
    # reason code to runtime, redaction, evidence and fallback: the contract's own table
    "local_only": ("local", False, False, "none"),
    "margin_met": ("local", False, False, "none"),
    "utility_local": ("local", False, False, "none"),
    "offline_local": ("local", False, True, "none"),
    "margin_short": ("cloud_escalation", True, True, "local_summary"),
    "utility_cloud": ("cloud_escalation", True, True, "local_summary"),
    "below_floor": ("no_op", False, True, "human_review"),
    "no_candidate": ("no_op", False, True, "human_review"),
    "residual_risk": ("no_op", False, True, "human_review"),
    "no_route": ("no_op", False, True, "human_review"),
}

FACTS: Final = (
    "private",  # a class of the task is local-only
    "candidate",  # there is at least one candidate
    "at_floor",  # at least one candidate's Wilson lower limit reaches the floor
    "met",  # the best candidate's margin reaches the minimum
    "draft",  # a drafting task whose classes are public and nothing else
    "permitted",  # task, policy and caller permit an escalation
    "connected",  # link and air gap permit an escalation
    "cloud_better",  # the cloud lane has the higher utility, by figures that are all known
    "risky",  # the residual risk is unknown or over the bound
)
TABLE: Final = (
    # Exactly one row fits every combination of facts ("-": whichever), so the rows' order carries no meaning.
    # Columns in the order of FACTS.
    ("1 1 1 - - - - - -", "local_only"),
    ("1 1 0 - - - - - -", "below_floor"),
    ("1 0 - - - - - - -", "no_candidate"),
    ("0 - - 1 0 - - - -", "margin_met"),
    ("0 - - 1 1 0 - - -", "margin_met"),
    ("0 - - 1 1 1 0 - -", "margin_met"),
    ("0 - - 1 1 1 1 0 -", "utility_local"),
    ("0 - - 1 1 1 1 1 0", "utility_cloud"),
    ("0 - - 1 1 1 1 1 1", "residual_risk"),
    ("0 - - 0 - 1 1 - 0", "margin_short"),
    ("0 - - 0 - 1 1 - 1", "residual_risk"),
    ("0 - 1 0 - 1 0 - -", "offline_local"),
    ("0 - 0 0 - 1 0 - -", "no_route"),
    ("0 - - 0 - 0 - - -", "no_route"),
)


def reasons_for(facts: Iterable[bool]) -> list[str]:
    """Every row of the table that fits the facts, given in the order of `FACTS`."""
    bits = ["1" if fact else "0" for fact in facts]
    return [
        reason for row, reason in TABLE if all(cell in ("-", bit) for cell, bit in zip(row.split(), bits, strict=True))
    ]


@cache
def _reason_by_facts() -> dict[tuple[bool, ...], str]:
    return {facts: reasons_for(facts)[0] for facts in product((False, True), repeat=len(FACTS))}


@lru_cache(maxsize=1 << 16)
def wilson(share: float, count: float, z: float = Z_ONE_SIDED_95) -> tuple[float, float]:
    """Wilson's score limits (lower, upper) of a proportion.

    They solve n(p - x)² = z²·x(1 - x), that is (n + z²)x² - (2np + z²)x + np² = 0. The lower limit is the smaller root,
    as the product of both over the larger one. The upper limit of what succeeds is what the lower limit of what fails
    leaves. So both ends are exact: 0 at p = 0, 1 at p = 1.
    """
    return _smaller_root(share, count, z), 1 - _smaller_root(1 - share, count, z)


def _smaller_root(share: float, count: float, z: float) -> float:
    linear = 2 * count * share + z * z
    discriminant = z * z * (z * z + 4 * count * share * (1 - share))
    return min(1.0, 2 * count * share * share / (linear + sqrt(discriminant)))


@lru_cache(maxsize=1 << 16)
def unpaired_margin(p1: float, n1: float, p2: float, n2: float, z: float = Z_ONE_SIDED_95) -> float:
    """Lower limit of p1 - p2 (Newcombe 1998, Statistics in Medicine 17:873, method 10); n2 = 0 makes p2 a constant."""
    below = p1 - wilson(p1, n1, z)[0]
    above = wilson(p2, n2, z)[1] - p2 if n2 else 0.0
    return p1 - p2 - sqrt(below * below + above * above)


@lru_cache(maxsize=1 << 16)
def paired_margin(both: int, only_local: int, only_reference: int, neither: int, z: float = Z_ONE_SIDED_95) -> float:
    """Lower limit of the paired difference (Newcombe 1998, Statistics in Medicine 17:2635, method 10)."""
    count = both + only_local + only_reference + neither
    local, reference = both + only_local, both + only_reference
    p1, p2 = local / count, reference / count
    below, above = p1 - wilson(p1, count, z)[0], wilson(p2, count, z)[1] - p2
    excess = both * neither - only_local * only_reference
    # Newcombe's continuity correction pulls a positive correlation towards none and leaves a negative one alone.
    corrected = max(0.0, excess - count / 2) if excess >= 0 else excess
    marginals = local * (count - local) * reference * (count - reference)
    phi = corrected / sqrt(marginals) if marginals else 0.0
    spread = below * below - 2 * phi * below * above + above * above
    return (only_local - only_reference) / count - sqrt(max(0.0, spread))


def rounded(figure: float) -> float:
    """A figure as it is compared: 12 decimals."""
    return round(figure, 12)


def oracle(
    task: Document,
    *,
    registry: Document,
    policy: Document,
    ceiling: Document | None = None,
    link: str,
    caller: tuple[str, ...] = (),
    detected: tuple[str, ...] = (),
    residual_risk: float | None = None,
    unavailable: frozenset[str] = frozenset(),
) -> Document:
    """What the contract says about one task.

    Args:
        task: One task, content not needed.
        registry: The specialists' document.
        policy: The parsed policy, before the ceiling.
        ceiling: The site's own bounds on any policy, if it has any.
        link: The projected link: up, metered, down or portal.
        caller: Principals such as "uid:1001", "gid:100", "token:kiosk".
        detected: Classes found in the content.
        residual_risk: In [0, 1]; None where it was not measured.
        unavailable: Ids of specialists that just failed.
    """
    bounds = ceiling or {}
    workflow = task.get("workflow") or None
    profile = _merged_profile(policy, caller)
    listed = profile["workflows"] is None or workflow in profile["workflows"]
    classes = set(task.get("data_classes") or [_setting(policy, "default_class")])
    classes |= profile["classes"] | set(detected)
    floor = _floor(policy, bounds, workflow)
    able = [s for s in registry["specialists"] if listed and s["id"] not in unavailable and _is_able(s, task)]
    candidates = [figures for specialist in able for figures in _figures(specialist, workflow, floor)]
    at_floor = [figures for figures in candidates if figures["at_floor"]]
    best = min(candidates, key=_preference, default=None)
    facts = (
        not classes.isdisjoint(_local_only(policy, bounds, classes)),
        bool(candidates),
        bool(at_floor),
        best is not None and best["margin"] >= rounded(_minimum_margin(task, policy, workflow)),
        task.get("kind") == "drafting" and classes <= {"public"},
        listed and profile["may_escalate"] and _is_permitted(task, policy, bounds),
        _is_connected(policy, bounds, link),
        best is not None and _is_cloud_better(best, policy),
        _is_risky(policy, bounds, residual_risk),
    )
    reason = _reason_by_facts()[facts]
    runtime, redaction, evidence, fallback = RECORDS[reason]
    chosen = best if reason in ("margin_met", "utility_local") else min(at_floor, key=_preference, default=None)
    return {
        "selected_runtime": runtime,
        "selected_model_or_stack": _stack(runtime, task, policy, chosen, at_floor),
        "redaction_required": redaction,
        "evidence_required": evidence,
        "fallback_target": fallback,
        "reason_code": reason,
        "classes": sorted(classes),
    }


def _setting(policy: Document, key: str) -> Any:
    found = policy.get(key)
    return DEFAULTS[key] if found is None else found


def _merged_profile(policy: Document, caller: tuple[str, ...]) -> Document:
    """All principals' profiles as one: classes by union, permission by AND, workflows (None: any) by intersection."""
    classes: set[str] = set()
    may_escalate = True
    workflows: set[str] | None = None
    for principal in caller:
        profile = (policy.get("callers") or {}).get(principal) or {}
        classes |= set(profile.get("adds_classes") or [])
        may_escalate = may_escalate and profile.get("may_escalate", not principal.startswith("token:"))
        limit = profile.get("workflows")
        if limit is not None:
            workflows = set(limit) if workflows is None else workflows & set(limit)
    return {"classes": classes, "may_escalate": may_escalate, "workflows": workflows}


def _local_only(policy: Document, bounds: Document, classes: set[str]) -> set[str]:
    """The classes that keep this task at home, its misspellings among them."""
    misspelt = classes - BUILT_IN_CLASSES - set(_setting(policy, "extra_classes"))
    return misspelt | set(_setting(policy, "local_only_classes")) | set(bounds.get("local_only_classes") or [])


def _workflow_setting(document: Document, workflow: str | None, key: str) -> Any:
    return ((document.get("workflows") or {}).get(workflow) or {}).get(key)


def _floor(policy: Document, bounds: Document, workflow: str | None) -> float:
    own = _workflow_setting(policy, workflow, "floor")
    site = _workflow_setting(bounds, workflow, "floor")
    floors = [_setting(policy, "default_floor") if own is None else own]
    floors += [bound for bound in [bounds.get("default_floor") if site is None else site] if bound is not None]
    return float(max(floors))


def _minimum_margin(task: Document, policy: Document, workflow: str | None) -> float:
    sources = (
        task.get("minimum_margin"),
        _workflow_setting(policy, workflow, "minimum_margin"),
        _setting(policy, "default_minimum_margin"),
    )
    return next(float(figure) for figure in sources if figure is not None)


def _is_able(specialist: Document, task: Document) -> bool:
    """Whether a specialist is available and has what the task asks for, its workflow aside."""
    limits = (  # what the task needs, what the specialist offers; either absent: no limit
        (task.get("context_tokens"), specialist.get("max_context")),
        (specialist.get("p95_s"), task.get("deadline_s")),
    )
    return (
        specialist.get("available") is not False
        and set(task.get("requires") or []) <= set(specialist.get("capabilities") or [])
        and all(need is None or offer is None or need <= offer for need, offer in limits)
    )


def _figures(specialist: Document, workflow: str | None, floor: float) -> list[Document]:
    """The figures a specialist competes with; an empty list where it has none for the workflow."""
    entries = specialist["workflows"]
    entry = entries.get(workflow, entries.get("*")) or {}
    if not entry.get("samples"):
        return []
    return [
        {
            "id": specialist["id"],
            "size_rank": specialist.get("size_rank") or 0,
            "tokens_per_s": specialist.get("tokens_per_s"),
            "fitness": entry["fitness"],
            "price_per_1k_tokens": 0,  # "local price 0"
            "margin": rounded(entry_margin(entry, floor)),
            "at_floor": rounded(wilson(entry["fitness"], entry["samples"])[0]) >= rounded(floor),
        }
    ]


def entry_margin(entry: Document, floor: float) -> float:
    """The fitness margin of one entry of a registry, not rounded; `floor` stands in for a missing reference."""
    paired = entry.get("paired") or {}
    counts = [paired.get(cell) or 0 for cell in ("both", "only_local", "only_reference", "neither")]
    if any(counts):
        return paired_margin(*counts)
    reference = entry.get("reference_fitness")
    if reference is None:
        return unpaired_margin(entry["fitness"], entry["samples"], floor, 0)
    return unpaired_margin(entry["fitness"], entry["samples"], reference, entry.get("reference_samples") or 0)


def _preference(figures: Document) -> tuple[float, int, str]:
    return -figures["margin"], figures["size_rank"], figures["id"]


def _is_permitted(task: Document, policy: Document, bounds: Document) -> bool:
    """Whether task, policy and ceiling permit an escalation, the link and the air gap aside."""
    allowed = bool(task.get("allows_escalation"))
    return allowed and bool(_setting(policy, "escalation")) and bounds.get("escalation") is not False


def _is_connected(policy: Document, bounds: Document, link: str) -> bool:
    if _setting(policy, "air_gap") or bounds.get("air_gap"):
        return False
    return link == "up" or (link == "metered" and bool(_setting(policy, "metered_escalation")))


def _is_risky(policy: Document, bounds: Document, residual_risk: float | None) -> bool:
    bound = _setting(policy, "maximum_residual_risk")
    site = bounds.get("maximum_residual_risk")
    return residual_risk is None or residual_risk > (bound if site is None else min(bound, site))


def _is_cloud_better(best: Document, policy: Document) -> bool:
    weights = DEFAULT_WEIGHTS | (policy.get("drafting") or {})
    cloud = (policy.get("models") or {}).get(_setting(policy, "fallback_model")) or {}
    local_utility, cloud_utility = _utility(best, weights), _utility(cloud, weights)
    return local_utility is not None and cloud_utility is not None and cloud_utility > local_utility


def _utility(lane: Document, weights: Document) -> float | None:
    fitness, speed, price = (lane.get(key) for key in ("fitness", "tokens_per_s", "price_per_1k_tokens"))
    if fitness is None or speed is None or price is None:
        return None
    gain = weights["quality"] * fitness + weights["speed"] * min(1, speed / 50)
    return rounded(gain - weights["price"] * min(1, price / 0.01))


def _stack(runtime: str, task: Document, policy: Document, chosen: Document | None, at_floor: list[Document]) -> str:
    if runtime == "cloud_escalation":
        return str(_setting(policy, "fallback_model"))
    if runtime == "no_op" or chosen is None:
        return "none"
    if task.get("kind") != "tool_loop":
        return str(chosen["id"])
    smaller = [figures for figures in at_floor if figures["size_rank"] < chosen["size_rank"]]
    if not smaller:
        return str(chosen["id"])
    smaller.sort(key=lambda figures: (figures["size_rank"], figures["id"]))
    return "cascade:" + "+".join(figures["id"] for figures in [*smaller, chosen])
