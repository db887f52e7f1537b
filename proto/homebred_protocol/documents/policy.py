"""The policy document, the root-owned site ceiling that bounds it, and the one that results from both.

What a policy says about a task is decided in the daemon's core; here is only what a policy says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from homebred_protocol.documents.fields import DocumentError, Fields
from homebred_protocol.documents.task import BUILT_IN_CLASSES

LOCAL_ONLY_BY_DEFAULT = ("client", "patient", "student", "voice", "biometric", "code", "trade_secret")
PRINCIPALS = ("uid", "gid", "token")
EVIDENCE_FIELDS = (
    *("route_id", "specialist", "reason", "classes", "findings", "total_ms", "confidence", "fingerprint"),
    "has_correction",
)
"""What of a piece of evidence may leave a device beside its kind, workflow, time and number of occurrences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPolicy:
    """What a policy says about one workflow; None: the policy's default stands."""

    floor: float | None = None
    """Fitness a specialist must provably reach, in [0, 1]."""
    minimum_margin: float | None = None
    """Fitness margin that keeps a task local, in [-1, 1]."""
    latency_budget_ms: float | None = None
    """Over this an answer counts as slow, milliseconds from acceptance to outcome."""
    minimum_confidence: float | None = None
    """Mean token probability under which an answer counts as weak, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """Measured profile of a cloud model; None: not measured."""

    fitness: float | None = None
    """Mean score in [0, 1]."""
    tokens_per_s: float | None = None
    price_per_1k_tokens: float | None = None
    """Price of 1,000 tokens, in the site's currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftingWeights:
    """Weights of the utility that chooses a drafting lane."""

    quality: float = 1.0
    speed: float = 0.2
    price: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskWeights:
    """What one unmasked token of each kind adds, set against the default `maximum_residual_risk` of 0.2.

    One unknown word or one odd number may be a product or a quantity and stays under it; two of them, which is what a
    full name or a split identifier leaves, go over it. A code, a long number or the rest of an address does so alone.
    """

    capitalised: float = 0.15
    """A capitalised word outside the vocabulary; half of it where a sentence begins."""
    digits: float = 0.15
    """A run of four to six digits that is no year and no round figure."""
    rare: float = 0.25
    """A code of letters and digits, a run of seven digits or more, a long word that nobody could pronounce."""
    address: float = 0.25
    """A street, flat or box that was left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerProfile:
    """What holds for every task of one caller."""

    adds_classes: tuple[str, ...] = ()
    """Labels that each of its tasks bears."""
    may_escalate: bool | None = None
    """None: yes for a user or group, no for a gateway token."""
    workflows: tuple[str, ...] | None = None
    """The only workflows it may use; None: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePolicy:
    """What of the evidence for breeding may leave a device; content never does by this."""

    leaves: bool = True
    """False: no piece of evidence is sent to the fleet's controller."""
    fields: frozenset[str] = frozenset(EVIDENCE_FIELDS)
    """Those of EVIDENCE_FIELDS that may; of local-only tasks neither ids nor names do in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy as it holds on a site: its document, bounded by the site's ceiling."""

    digest: str = ""
    """`sha256:` of the document's bytes."""
    ceiling_digest: str = ""
    """`sha256:` of the site ceiling's bytes; empty: no ceiling."""
    extra_classes: frozenset[str] = frozenset()
    local_only_classes: frozenset[str] = frozenset(LOCAL_ONLY_BY_DEFAULT)
    default_class: str = "client"
    """What an unlabelled task takes."""
    default_floor: float = 0.6
    default_minimum_margin: float = -0.05
    escalation: bool = True
    """False: no cloud, whatever a task allows."""
    metered_escalation: bool = False
    air_gap: bool = False
    require_recognizer: bool = False
    """True: nothing leaves that a recognizer of names has not searched; a device without one escalates nothing."""
    content_export: bool = False
    """Whether content of evidence may leave the device at all."""
    evidence: EvidencePolicy = EvidencePolicy()
    fallback_model: str = "cloud/default"
    """Alias of the cloud model; its endpoint and key are local configuration."""
    maximum_residual_risk: float = 0.2
    """An escalation whose redacted context is riskier goes to a person, in [0, 1]."""
    workflows: Mapping[str, WorkflowPolicy] = field(default_factory=dict)
    models: Mapping[str, ModelProfile] = field(default_factory=dict)
    drafting: DraftingWeights = DraftingWeights()
    risk_weights: RiskWeights = RiskWeights()
    callers: Mapping[str, CallerProfile] = field(default_factory=dict)
    """By principal: `uid:1001`, `gid:100`, `token:kiosk`."""
    detection_classes: Mapping[str, str] = field(default_factory=dict)
    """Entity type → class it raises, beyond the contract's defaults."""
    ceiling_floor: float = 0.0
    """The ceiling's floor for every workflow that it does not name."""
    ceiling_floors: Mapping[str, float] = field(default_factory=dict)

    def floor(self, workflow: str | None) -> float:
        """The fitness floor that holds for a workflow: policy and ceiling, whichever is higher."""
        own = self.workflows.get(workflow) if workflow is not None else None
        asked = self.default_floor if own is None or own.floor is None else own.floor
        bound = self.ceiling_floor if workflow is None else self.ceiling_floors.get(workflow, self.ceiling_floor)
        return max(asked, bound)

    def minimum_margin(self, workflow: str | None) -> float:
        """The fitness margin that keeps a task of this workflow local, where the task names none."""
        own = self.workflows.get(workflow) if workflow is not None else None
        return self.default_minimum_margin if own is None or own.minimum_margin is None else own.minimum_margin

    def knows_class(self, name: str) -> bool:
        """Whether a label is built in, one of the policy's own, or one of the site ceiling's."""
        return name in BUILT_IN_CLASSES or name in self.extra_classes or name in self.local_only_classes


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCeiling:
    """What the root of a device lets any policy do at most."""

    digest: str = ""
    local_only_classes: frozenset[str] = frozenset()
    escalation: bool = True
    content_export: bool = True
    evidence: EvidencePolicy = EvidencePolicy()
    air_gap: bool = False
    require_recognizer: bool = False
    maximum_residual_risk: float = 1.0
    default_floor: float = 0.0
    floors: Mapping[str, float] = field(default_factory=dict)


def bounded(policy: Policy, ceiling: SiteCeiling) -> Policy:
    """The policy under the ceiling: classes by union, permissions by AND, restrictions by OR, risk by minimum."""
    return replace(
        policy,
        ceiling_digest=ceiling.digest,
        local_only_classes=policy.local_only_classes | ceiling.local_only_classes,
        escalation=policy.escalation and ceiling.escalation,
        content_export=policy.content_export and ceiling.content_export,
        evidence=EvidencePolicy(
            leaves=policy.evidence.leaves and ceiling.evidence.leaves,
            fields=policy.evidence.fields & ceiling.evidence.fields,
        ),
        air_gap=policy.air_gap or ceiling.air_gap,
        require_recognizer=policy.require_recognizer or ceiling.require_recognizer,
        maximum_residual_risk=min(policy.maximum_residual_risk, ceiling.maximum_residual_risk),
        ceiling_floor=ceiling.default_floor,
        ceiling_floors=dict(ceiling.floors),
    )


def read_policy(document: object, digest: str) -> Policy:
    """The policy in one parsed TOML document.

    Raises:
        DocumentError: with every problem found.
    """
    fields = Fields(document)
    _check_version(fields)
    default = Policy()
    policy = Policy(
        digest=digest,
        extra_classes=frozenset(fields.texts("extra_classes")),
        local_only_classes=frozenset(fields.texts("local_only_classes", LOCAL_ONLY_BY_DEFAULT)),
        default_class=fields.text("default_class", default.default_class) or default.default_class,
        default_floor=_number(fields, "default_floor", default.default_floor, low=0),
        default_minimum_margin=_number(fields, "default_minimum_margin", default.default_minimum_margin, low=-1),
        escalation=bool(fields.boolean("escalation", default=default.escalation)),
        metered_escalation=bool(fields.boolean("metered_escalation", default=default.metered_escalation)),
        air_gap=bool(fields.boolean("air_gap", default=default.air_gap)),
        require_recognizer=bool(fields.boolean("require_recognizer", default=default.require_recognizer)),
        content_export=bool(fields.boolean("content_export", default=default.content_export)),
        evidence=_evidence(fields.table("evidence")),
        fallback_model=fields.text("fallback_model", default.fallback_model) or default.fallback_model,
        maximum_residual_risk=_number(fields, "maximum_residual_risk", default.maximum_residual_risk, low=0),
        workflows={name: _workflow(entry) for name, entry in fields.tables("workflows")},
        models={name: _model(entry) for name, entry in fields.tables("models")},
        drafting=_drafting(fields.table("drafting")),
        risk_weights=_risk_weights(fields.table("residual_risk")),
        callers={name: _caller(entry) for name, entry in fields.tables("callers")},
        detection_classes=_detection(fields.table("detection")),
    )
    _check_names(fields, policy)
    fields.finish()
    if fields.problems:
        raise DocumentError("policy", fields.problems)
    return policy


def read_ceiling(document: object, digest: str) -> SiteCeiling:
    """The site ceiling in one parsed TOML document.

    Raises:
        DocumentError: with every problem found.
    """
    fields = Fields(document)
    _check_version(fields)
    floors = {}
    for name, entry in fields.tables("workflows"):
        floors[name] = _number(entry, "floor", 0.0, low=0)
        entry.finish()
    ceiling = SiteCeiling(
        digest=digest,
        local_only_classes=frozenset(fields.texts("local_only_classes")),
        escalation=bool(fields.boolean("escalation", default=True)),
        content_export=bool(fields.boolean("content_export", default=True)),
        evidence=_evidence(fields.table("evidence")),
        air_gap=bool(fields.boolean("air_gap", default=False)),
        require_recognizer=bool(fields.boolean("require_recognizer", default=False)),
        maximum_residual_risk=_number(fields, "maximum_residual_risk", 1.0, low=0),
        default_floor=_number(fields, "default_floor", 0.0, low=0),
        floors=floors,
    )
    fields.finish()
    if fields.problems:
        raise DocumentError("site ceiling", fields.problems)
    return ceiling


def advice(policy: Policy, entity_types: Collection[str]) -> tuple[str, ...]:
    """What a valid policy may not have meant, a sentence each; `entity_types` are those that the detector can find."""
    warnings = [
        f"[detection.classes] names {entity!r}, which no detector here finds: it raises nothing"
        for entity in sorted(set(policy.detection_classes) - set(entity_types))
    ]
    if policy.air_gap and policy.escalation:
        warnings.append(
            "air_gap = true wins over escalation = true: no task will reach a cloud; set escalation = false"
        )
    if policy.escalation and not policy.air_gap and policy.fallback_model not in policy.models:
        warnings.append(
            f"fallback_model {policy.fallback_model!r} has no [models] profile: public drafting always stays local"
        )
    if policy.default_class not in policy.local_only_classes:
        warnings.append(
            f"default_class {policy.default_class!r} is not local-only: a task that nobody labelled may leave"
        )
    missing = sorted(set(LOCAL_ONLY_BY_DEFAULT) - policy.local_only_classes)
    if missing:
        warnings.append(f"local_only_classes leaves out {', '.join(missing)}: such data may leave the device")
    return tuple(warnings)


def _check_version(fields: Fields) -> None:
    version = fields.integer("version", 1)
    if version not in (None, 1):
        fields.complain(("version",), f"is {version}", "this product reads version 1")


def _check_names(fields: Fields, policy: Policy) -> None:
    """Labels that nothing defines would silently be local-only; a misspelling here must be heard of."""

    def check(path: tuple[str, ...], name: str) -> None:
        if name not in BUILT_IN_CLASSES and name not in policy.extra_classes:
            fields.complain(path, f"names the unknown class {name!r}", "correct it or add it to extra_classes")

    for name in sorted(policy.local_only_classes):
        check(("local_only_classes",), name)
    check(("default_class",), policy.default_class)
    for principal, profile in policy.callers.items():
        kind, _, rest = principal.partition(":")
        if kind not in PRINCIPALS or not rest or (kind != "token" and not rest.isdigit()):
            fields.complain(("callers", principal), "is not a principal", "write uid:NUMBER, gid:NUMBER or token:NAME")
        for name in profile.adds_classes:
            check(("callers", principal, "adds_classes"), name)
    for entity, name in policy.detection_classes.items():
        check(("detection", "classes", entity), name)


def _number(fields: Fields, key: str, default: float, *, low: float, high: float = 1.0) -> float:
    value = fields.number(key, default, low=low, high=high)
    return default if value is None else value


def _workflow(fields: Fields) -> WorkflowPolicy:
    workflow = WorkflowPolicy(
        floor=fields.number("floor", low=0, high=1),
        minimum_margin=fields.number("minimum_margin", low=-1, high=1),
        latency_budget_ms=fields.number("latency_budget_ms", low=0),
        minimum_confidence=fields.number("minimum_confidence", low=0, high=1),
    )
    fields.finish()
    return workflow


def _model(fields: Fields) -> ModelProfile:
    model = ModelProfile(
        fitness=fields.number("fitness", low=0, high=1),
        tokens_per_s=fields.number("tokens_per_s", low=0),
        price_per_1k_tokens=fields.number("price_per_1k_tokens", low=0),
    )
    fields.finish()
    return model


def _evidence(fields: Fields | None) -> EvidencePolicy:
    if fields is None:
        return EvidencePolicy()
    named = fields.texts("fields", EVIDENCE_FIELDS)
    for name in sorted(set(named) - set(EVIDENCE_FIELDS)):
        known = ", ".join(EVIDENCE_FIELDS)
        fields.complain(("fields",), f"names the unknown field {name!r}", f"there are {known}")
    evidence = EvidencePolicy(leaves=bool(fields.boolean("leaves", default=True)), fields=frozenset(named))
    fields.finish()
    return evidence


def _drafting(fields: Fields | None) -> DraftingWeights:
    weights = DraftingWeights()
    if fields is None:
        return weights
    high = 1000.0
    weights = DraftingWeights(
        quality=_number(fields, "quality", weights.quality, low=0, high=high),
        speed=_number(fields, "speed", weights.speed, low=0, high=high),
        price=_number(fields, "price", weights.price, low=0, high=high),
    )
    fields.finish()
    return weights


def _risk_weights(fields: Fields | None) -> RiskWeights:
    weights = RiskWeights()
    if fields is None:
        return weights
    weights = RiskWeights(
        capitalised=_number(fields, "capitalised", weights.capitalised, low=0),
        digits=_number(fields, "digits", weights.digits, low=0),
        rare=_number(fields, "rare", weights.rare, low=0),
        address=_number(fields, "address", weights.address, low=0),
    )
    fields.finish()
    return weights


def _caller(fields: Fields) -> CallerProfile:
    profile = CallerProfile(
        adds_classes=fields.texts("adds_classes"),
        may_escalate=fields.boolean("may_escalate"),
        workflows=fields.texts("workflows") if fields.has("workflows") else None,
    )
    fields.finish()
    return profile


def _detection(fields: Fields | None) -> Mapping[str, str]:
    if fields is None:
        return {}
    classes = fields.table("classes")
    found: dict[str, str] = {}
    for entity in classes.keys() if classes is not None else ():
        name = classes.text(entity) if classes is not None else None
        if name is not None:
            found[entity] = name
    fields.finish()
    return found
