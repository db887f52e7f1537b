"""Decides every recorded decision again and compares, field by field (I5). It changes nothing."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import lru_cache

from homebred_daemon.core.records import decision_record, read_inputs
from homebred_daemon.core.routing import decide
from homebred_daemon.ports.ledger import LedgerCheck, LedgerReader, RecordedDecision
from homebred_protocol.documents.policy import Policy, bounded, read_ceiling, read_policy
from homebred_protocol.documents.registry import Registry, read_registry

CACHED_DOCUMENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A recorded decision that does not come out again."""

    route_id: str
    fields: tuple[str, ...]
    """Which fields differ; `record` where the row is altered or not the next one, `documents` where one is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay found."""

    decisions: int
    mismatches: tuple[Mismatch, ...]
    check: LedgerCheck

    @property
    def is_sound(self) -> bool:
        """Whether every decision came out again and every row is there as it was written, as far as can be told."""
        return not self.mismatches and self.check.is_sound


def replay(ledger: LedgerReader) -> ReplayReport:
    """Every recorded decision decided again on exactly its recorded inputs."""
    documents = _Documents(ledger)
    count = 0
    mismatches = []
    for recorded in ledger.decisions():
        count += 1
        differing = _differing(recorded, documents)
        if differing:
            mismatches.append(Mismatch(route_id=recorded.route_id, fields=differing))
    return ReplayReport(decisions=count, mismatches=tuple(mismatches), check=ledger.check())


def _differing(recorded: RecordedDecision, documents: _Documents) -> tuple[str, ...]:
    altered = () if recorded.intact else ("record",)
    try:
        registry = documents.registry(recorded.inputs["registry_digest"])
        policy = documents.policy(recorded.inputs["policy_digest"], recorded.inputs["ceiling_digest"])
        again = decision_record(decide(read_inputs(recorded.inputs, registry=registry, policy=policy)))
    except _MissingDocumentError:
        return (*altered, "documents")
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return ("record",)  # an altered row may hold anything: whatever it breaks, it does not come out again
    return altered + tuple(name for name, value in again.items() if recorded.decision.get(name) != value)


class _MissingDocumentError(Exception):
    """A document that a decision names is not in the ledger, or not as it was."""


class _Documents:
    """The ledger's documents, parsed once each."""

    def __init__(self, ledger: LedgerReader) -> None:
        self._ledger = ledger
        self.registry = lru_cache(CACHED_DOCUMENTS)(self._registry)
        self.policy = lru_cache(CACHED_DOCUMENTS)(self._policy)

    def _registry(self, digest: str) -> Registry:
        return read_registry(json.loads(self._body("registry", digest)), digest)

    def _policy(self, digest: str, ceiling_digest: str) -> Policy:
        policy = read_policy(tomllib.loads(self._body("policy", digest)), digest)
        if not ceiling_digest:
            return policy
        return bounded(policy, read_ceiling(tomllib.loads(self._body("ceiling", ceiling_digest)), ceiling_digest))

    def _body(self, kind: str, digest: object) -> str:
        body = self._ledger.document(kind, digest) if isinstance(digest, str) else None
        if body is None:
            raise _MissingDocumentError
        return body.decode("utf-8")
