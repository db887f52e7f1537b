"""What holds for a task from its acceptance on: policy, registry, specialists and link, and the means to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from homebred_daemon.core.callers import rights_of
from homebred_daemon.core.link import SeenLink
from homebred_daemon.core.shelf import Shelf
from homebred_daemon.errors import NotPermittedError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.engines import EnginePool, ServedAdapter, ServedModel
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.ports.schemas import SchemaChecker
from homebred_daemon.ports.tracing import UNTRACED, Traces
from homebred_daemon.services.deciding import Decider
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.reviews.review_desk import ReviewDesk
from homebred_daemon.services.sessions import Sessions
from homebred_protocol.documents.policy import WorkflowPolicy
from homebred_protocol.documents.registry import GENERALIST
from homebred_protocol.documents.specialist import SpecialistManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A specialist that this device can serve."""

    manifest: SpecialistManifest
    model: ServedModel
    adapter: ServedAdapter | None = None
    """What answers on top of the model; None: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for tasks accepted now; replaced whole when policy or models change."""

    decider: Decider
    specialists: Mapping[str, Served]
    """Those that can be served, by id."""
    shelf: Shelf
    """All that the model store held, the damaged ones too."""
    link: SeenLink

    def adapters(self) -> dict[ServedModel, tuple[ServedAdapter, ...]]:
        """The models of all specialists, each with the adapters that are served on it, by specialist's id."""
        found: dict[ServedModel, tuple[ServedAdapter, ...]] = {}
        for _, served in sorted(self.specialists.items()):
            others = found.setdefault(served.model, ())
            if served.adapter is not None and served.adapter not in others:
                found[served.model] = (*others, served.adapter)
        return found

    def allows(self, caller: tuple[str, ...], workflow: str | None) -> bool:
        """Whether the caller's profile lets it use the workflow."""
        return rights_of(caller, self.decider.policy).allows_workflow(workflow)

    def require_workflow(self, caller: tuple[str, ...], workflow: str | None) -> None:
        """Raises NotPermittedError where the caller may not use the workflow."""
        if not self.allows(caller, workflow):
            raise NotPermittedError(
                f"this caller may not use the workflow {workflow!r}",
                hint="name a workflow of the caller's profile, or have the policy's [callers] table extended",
            )

    def workflows_for(self, caller: tuple[str, ...]) -> tuple[str, ...]:
        """The workflows that policy or specialists name and this caller may use, in order."""
        served = {name for one in self.specialists.values() for name in one.manifest.workflows} - {GENERALIST}
        rights = rights_of(caller, self.decider.policy)
        return tuple(sorted(filter(rights.allows_workflow, served | self.decider.policy.workflows.keys())))

    def workflow_policy(self, workflow: str | None) -> WorkflowPolicy:
        """What the policy says of a workflow; nothing where it names none."""
        return self.decider.policy.workflows.get(workflow or "", WorkflowPolicy())


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What answering works with."""

    recorder: Recorder
    pool: EnginePool
    schemas: SchemaChecker
    reviews: ReviewDesk
    clock: Clock
    sessions: Sessions
    new_route_id: Callable[[], str]
    measures: Measures = UNMEASURED
    traces: Traces = UNTRACED
