"""The cascade of one task: what is left of its budget when somebody is asked, and what that takes of it.

The budget of a tool loop is its session's, that of a task alone its own. It asks nobody; who is asked next is
`core.cascade`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable

from homebred_daemon.core.cascade import Budget, Turn, behind, calls_allowed, plan
from homebred_daemon.core.verification import Finding
from homebred_daemon.inbound.answering import AcceptedTask
from homebred_daemon.services.standing import Means, Standing


class Cascading:
    """The budget of one task, over all its decisions."""

    def __init__(
        self, standing: Standing, accepted: AcceptedTask, means: Means, note: Callable[[Finding], None]
    ) -> None:
        """`note` hears what of a cascade is worth knowing afterwards.

        Raises:
            NotFoundError: the task rejects an answer that its session did not have.
        """
        self._specialists = standing.decider.registry.specialists
        self._accepted = accepted
        self._clock = means.clock
        self._note = note
        self._steps = means.sessions.steps(accepted.caller, accepted.session_id)
        self._rejected = self._steps.answered_by(accepted.rejects) if accepted.rejects else ""
        self._ends_s = means.clock.monotonic_s() + accepted.deadline_s

    def begun(self, stack: tuple[str, ...]) -> tuple[str, ...]:
        """Those of a decision's stack that may be asked: not those whose like the caller rejects."""
        if not self._rejected:
            return stack
        return behind(stack, self._rejected, {one.id: one.size_rank for one in self._specialists})

    def next_turn(self, rest: tuple[str, ...]) -> Turn:
        """Who of the rest is asked now, the best where the budget is spent."""
        task = self._accepted.task
        left = Budget(
            calls=calls_allowed(task.expected_calls) - self._steps.calls,
            seconds=max(0.0, self._ends_s - self._clock.monotonic_s()),
        )
        recorded = {one.id: one.p95_s for one in self._specialists if one.id in rest and one.p95_s is not None}
        planned = plan(rest, left, {**self._steps.took_s, **recorded})
        if planned.is_cut:
            self._note(Finding.CASCADE_BUDGET_SPENT)
            for specialist_id in {*rest} - {turn.specialist_id for turn in planned.turns}:
                self._steps.passed_by(specialist_id)
        return planned.turns[0]

    def called(self, specialist_id: str, took_s: float) -> None:
        """An engine was asked; only what a tool loop asks is of its budget."""
        if self._accepted.task.kind == "tool_loop":
            self._steps.called(specialist_id, took_s)

    def answered(self, route_id: str, answered_by: str) -> None:
        """The caller has an answer, which it may reject later on."""
        self._steps.answered(route_id, answered_by)
