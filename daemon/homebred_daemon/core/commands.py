"""What becomes of a command that the fleet's controller sent: whether it is begun, and how it may go on.

The same id is the same command, however often it comes: what was decided of it once stands. It carries nothing out and
asks no clock. There is no command that runs a program, reads a file or shows a task's content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from homebred_protocol.ids import is_command_id

CLOCK_TOLERANCE_S: Final = 300
"""Two clocks that are this close are both right; certificates are backdated by as much."""
WAITING_LIMIT_S: Final = 7 * 86_400
"""What no technician has looked at for so long is not wanted any more."""
MAX_WAITING: Final = 4
"""Commands that wait for a technician at the same time."""
MAX_KEPT: Final = 512
"""Commands that are known by their id, those that ended among them."""
MAX_PARAMETERS: Final = 8
LEVELS: Final = ("debug", "info", "warning", "error")


class Operation(StrEnum):
    """What a device can be told to do."""

    PING = "ping"
    LOG_LEVEL = "log-level"
    DRAIN = "drain"
    RESUME = "resume"
    DIAGNOSTICS = "diagnostics"


PARAMETERS: Final[Mapping[Operation, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        Operation.PING: {},
        Operation.LOG_LEVEL: {"level": LEVELS},
        Operation.DRAIN: {},
        Operation.RESUME: {},
        Operation.DIAGNOSTICS: {},
    }
)
"""The parameters that each must have, and their words: nothing that a controller wrote freely is ever taken."""
CHANGES_SERVICE: Final = frozenset({Operation.DRAIN, Operation.RESUME})
"""Those that are not begun where nobody knows whether they are too late."""


class State(StrEnum):
    """How far a command is; the words of homebred.v1.CommandResult."""

    ACCEPTED = "accepted"
    WAITING = "waiting"
    """For the technician."""
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"


FOLLOWS: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.ACCEPTED: frozenset({State.WAITING, State.DONE, State.FAILED, State.REFUSED, State.EXPIRED}),
        State.WAITING:  frozenset({State.DONE, State.FAILED, State.REFUSED, State.EXPIRED}),
        State.DONE:     frozenset(),
        State.FAILED:   frozenset(),
        State.REFUSED:  frozenset(),
        State.EXPIRED:  frozenset(),
    }
)  # fmt: skip
"""What may follow; nothing follows an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the controller wants done."""

    id: str
    op: str
    deadline_s: int
    """Unix seconds of the controller's clock; it is not begun after it."""
    issued_by: str = ""
    """The administrator's name."""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How far a command is, as the controller is told."""

    id: str
    op: str
    state: State
    at_s: int
    """Unix seconds of this device's clock."""
    problem_code: str = ""
    problem: str = ""
    """What, why, what next; empty: no problem. It never quotes what the controller sent."""
    answer: Mapping[str, str] = field(default_factory=dict)
    attachment: bytes = b""
    """One zstd frame; what a person on the site let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSpan:
    """Between which times the true time must be: the broker takes this device's certificate only while it is valid."""

    begins_s: int
    ends_s: int

    def holds(self, now_s: int) -> bool:
        """Whether a clock that says so can be right."""
        return self.begins_s - CLOCK_TOLERANCE_S <= now_s <= self.ends_s + CLOCK_TOLERANCE_S


def is_command(command: Command) -> bool:
    """Whether it can be known by its id at all; what cannot is dropped, since nobody could be answered."""
    return is_command_id(command.id)


def judged(command: Command, *, now_s: int, span: ClockSpan, open_waiting: int) -> CommandResult:
    """What becomes of a command that was never seen: accepted, refused, or too late.

    Args:
        command: what was asked for.
        now_s: this device's clock, which may be wrong by years.
        span: where the true time must be; outside of it the device's clock is not believed.
        open_waiting: commands that wait for the technician already.
    """
    name = command.op if command.op in set(Operation) else "unknown"
    result = CommandResult(id=command.id, op=name, state=State.ACCEPTED, at_s=now_s)
    if name == "unknown":
        what = "this device knows no such command; update homebred on it, or send another"
        return _ended(result, State.REFUSED, "unknown_command", what)
    operation = Operation(name)
    if not _fits(command.parameters, PARAMETERS[operation]):
        what = f"{name} takes {_described(PARAMETERS[operation])}; send it with these"
        return _ended(result, State.REFUSED, "bad_parameters", what)
    if not span.holds(now_s):
        if operation in CHANGES_SERVICE:
            what = f"the device's clock is wrong, so that nobody knows whether {name} is too late; have its clock set"
            return _ended(result, State.REFUSED, "clock_wrong", what)
    elif now_s > command.deadline_s:
        late_s = now_s - command.deadline_s
        what = f"it came {late_s} s after its deadline by the device's clock; send it again, or have a wrong clock set"
        return _ended(result, State.EXPIRED, "deadline_passed", what)
    if operation is Operation.DIAGNOSTICS and open_waiting >= MAX_WAITING:
        what = f"{open_waiting} bundles wait for the technician; have them looked at: homebred fleet diagnostics list"
        return _ended(result, State.REFUSED, "too_many_waiting", what)
    return result


def moved(
    result: CommandResult,
    state: State,
    *,
    now_s: int,
    problem_code: str = "",
    problem: str = "",
    answer: Mapping[str, str] | None = None,
    attachment: bytes | None = None,
) -> CommandResult:
    """The next state of a command. Raises ValueError where nothing of the kind may follow."""
    if state not in FOLLOWS[result.state]:
        raise ValueError(f"{state} does not follow {result.state}")
    return replace(
        result,
        state=state,
        at_s=now_s,
        problem_code=problem_code,
        problem=problem,
        answer=result.answer if answer is None else answer,
        attachment=result.attachment if attachment is None else attachment,
    )


def has_waited_too_long(result: CommandResult, *, now_s: int) -> bool:
    """Whether what waits for a technician is not wanted any more."""
    return result.state is State.WAITING and now_s - result.at_s > WAITING_LIMIT_S


def as_told(result: CommandResult) -> CommandResult:
    """What the controller is told: a bundle stays here until a person on the site has let it go."""
    return result if result.state is State.DONE else replace(result, attachment=b"")


def _fits(given: Mapping[str, str], wanted: Mapping[str, tuple[str, ...]]) -> bool:
    return given.keys() == wanted.keys() and all(given[name] in words for name, words in wanted.items())


def _described(wanted: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{name}: {', '.join(words)}" for name, words in wanted.items()) or "no parameters"


def _ended(result: CommandResult, state: State, code: str, problem: str) -> CommandResult:
    return replace(result, state=state, problem_code=code, problem=problem)
