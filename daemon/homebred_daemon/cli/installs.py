"""`homebred models history` and `why`: what became of releases on this device, and why it serves what it serves.

Both read what installing has kept, and need no daemon; they change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_daemon.adapters.release_store import ReleaseStore
from homebred_daemon.cli.exits import write_json
from homebred_daemon.core.activation import BY_HAND, Activation, InForce
from homebred_daemon.core.builds import SAME_BYTES, Built
from homebred_daemon.core.deployment import Install, State
from homebred_daemon.errors import RequestError
from homebred_daemon.ports.installs import Step

INSTALLS_NAME = "installs.sqlite"
WITHOUT_CODE = "-"

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file.")]
StateDir = Annotated[str | None, typer.Option("--state-dir", help="The state folder; the store is its `models`.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What installing has kept of a device."""

    installs: Sequence[tuple[Install, Sequence[Step]]]
    """The newest first, each with its steps, the oldest first."""
    store: ReleaseStore


def history(
    specialist_id: Annotated[str, typer.Argument(metavar="[ID]", help="The specialist; else all.")] = "",
    *,
    config: Config = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """List the releases that were installed here, the newest first, and what became of each."""
    with _kept(config, state_dir, specialist_id) as kept:
        if as_json:
            write_json({"installs": [_install_json(install, steps, kept.store) for install, steps in kept.installs]})
            return
        rows = [_row(install, kept.store) for install, _ in kept.installs]
    if not rows:
        typer.echo("no release was ever installed here" + (f" of {specialist_id}" if specialist_id else ""))
        return
    from homebred_daemon.cli.models_view import show_table  # noqa: PLC0415  # rich, where a table is shown

    show_table(("specialist", "release", "state", "since", "serves", "why"), rows)


def why(
    specialist_id: Annotated[str, typer.Argument(metavar="ID", help="The specialist.")],
    *,
    config: Config = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Say why this device serves what it serves as a specialist, and what became of the other releases."""
    with _kept(config, state_dir, specialist_id) as kept:
        in_force = kept.store.in_force(specialist_id)
        if in_force.current is None and not kept.installs:
            raise RequestError(
                f"nothing serves as {specialist_id}, and no release of it was ever installed here",
                hint="`homebred models list` names what is here",
            )
        if as_json:
            write_json(_why_json(specialist_id, in_force, kept))
            return
        for line in _why_lines(specialist_id, in_force, kept):
            typer.echo(line)


@contextmanager
def _kept(config: Path | None, state_dir: str | None, specialist_id: str) -> Iterator[Kept]:
    from homebred_daemon.adapters.store.installs import SqliteInstallStore  # noqa: PLC0415  # sqlite, not for `--help`
    from homebred_daemon.config import load  # noqa: PLC0415  # pydantic, likewise

    flags = {} if state_dir is None else {"--state-dir": state_dir}
    folder = load(config, flags, os.environ).paths.state_dir
    store = ReleaseStore(folder / "models")
    if not (folder / INSTALLS_NAME).is_file():
        yield Kept(installs=(), store=store)
        return
    with closing(SqliteInstallStore(folder / INSTALLS_NAME, read_only=True)) as installs:
        found = [(install, installs.steps(install)) for install in installs.history(specialist_id)]
        yield Kept(installs=found, store=store)


def _serves(install: Install, store: ReleaseStore) -> bool:
    current = store.in_force(install.release.id).current
    return current is not None and current.digest == install.release.digest


def _row(install: Install, store: ReleaseStore) -> tuple[str, ...]:
    release = install.release
    serves = "yes" if _serves(install, store) else ""
    told = f"{install.code}: {install.reason}" if install.code else install.reason
    return (release.id, str(release.number), install.state.value, _time(install.changed_at_s), serves, told)


def _install_json(install: Install, steps: Sequence[Step], store: ReleaseStore) -> dict[str, Any]:
    release = install.release
    return {
        "specialist": release.id,
        "release": release.number,
        "title": release.title,
        "target": release.target,
        "digest": release.digest,
        "state": install.state.value,
        "code": install.code,
        "reason": install.reason,
        "serves": _serves(install, store),
        "begun_at_utc": _time(install.begun_at_s),
        "changed_at_utc": _time(install.changed_at_s),
        "outcomes": {"good": install.counted.good, "seen": install.counted.seen},
        "reference": {"good": install.reference.good, "seen": install.reference.seen},
        "built": _built_json(install.built),
        "shadow": _shadow_json(install),
        "steps": [
            {
                "at_utc": _time(step.at_s),
                "event": "begun" if step.event is None else step.event.value,
                "state": step.state.value,
                "code": step.code,
                "reason": step.reason,
                "facts": dict(step.facts),
                "built": step.built or None,
            }
            for step in steps
        ],
    }


def _built_json(built: Built) -> dict[str, str] | None:
    """What its recipe made here, where it has one."""
    return {"digest": built.digest, "builder": built.builder} if built.digest else None


def _shadow_json(install: Install) -> dict[str, int] | None:
    """What it and what serves made of the same tasks, where its release asks for that."""
    demand, pairs = install.release.shadow, install.pairs
    if demand is None:
        return None
    return {
        "demanded": demand.outcomes,
        "seen": pairs.seen,
        "both_good": pairs.both_good,
        "only_serving_good": pairs.only_serving,
        "only_newcomer_good": pairs.only_newcomer,
    }


def _why_json(specialist_id: str, in_force: InForce, kept: Kept) -> dict[str, Any]:
    return {
        "id": specialist_id,
        "serving": _activation_json(in_force.current),
        "goes_back_to": _activation_json(in_force.last_good),
        "installs": [_install_json(install, steps, kept.store) for install, steps in kept.installs],
    }


def _activation_json(activation: Activation | None) -> dict[str, Any] | None:
    if activation is None:
        return None
    if activation.number == BY_HAND:
        return {"release": BY_HAND}
    return {
        "release": activation.number,
        "digest": activation.digest,
        "activated_at_utc": _time(activation.activated_at_s),
        "lease_expires_at_utc": _time(activation.lease_expires_at_s),
        "is_good": activation.is_good,
        "built": activation.built or None,
    }


def _why_lines(specialist_id: str, in_force: InForce, kept: Kept) -> Iterator[str]:
    yield f"{specialist_id}: {_serving_text(in_force.current)}"
    if in_force.current is not None and in_force.current.number != BY_HAND:
        yield f"  a rollback goes back to {_last_text(in_force.last_good)}"
    for install, steps in kept.installs:
        yield f"release {install.release.number}: {install.state.value} since {_time(install.changed_at_s)}"
        if install.reason:
            yield f"  why       {install.code or WITHOUT_CODE}: {install.reason}"
        if install.built.digest:
            yield f"  built     {install.built.digest} by {install.built.builder}" + _alike(steps)
        if install.state is State.SHADOWING:
            yield f"  compared  {_shadow_text(install)}"
        if install.state in {State.PROBATION, State.SETTLED, State.ROLLING_BACK, State.ROLLED_BACK}:
            yield f"  in use    {install.counted.good} of {install.counted.seen} outcomes good" + _reference(install)
        for step in steps:
            for name, value in step.facts.items():
                yield f"  measured  {name} {value}"


def _serving_text(current: Activation | None) -> str:
    if current is None:
        return "nothing serves"
    if current.number == BY_HAND:
        return "what an administrator put in serves"
    stands = "it has settled" if current.is_good else "it is in probation"
    until = _time(current.lease_expires_at_s)
    return f"release {current.number} serves since {_time(current.activated_at_s)}, under a lease to {until}; {stands}"


def _last_text(last: Activation | None) -> str:
    if last is None:
        return "nothing: no release was good before it"
    return "what an administrator put in" if last.number == BY_HAND else f"release {last.number}"


def _shadow_text(install: Install) -> str:
    demanded = 0 if install.release.shadow is None else install.release.shadow.outcomes
    pairs = install.pairs
    return (
        f"{pairs.seen} of {demanded} tasks; it alone failed at {pairs.only_serving},"
        f" what serves alone at {pairs.only_newcomer}"
    )


def _alike(steps: Sequence[Step]) -> str:
    """What building it again told, the last time."""
    told = [step.facts[SAME_BYTES] for step in steps if SAME_BYTES in step.facts]
    return "" if not told else "; built again, the same bytes" if told[-1] else "; built again, other bytes than before"


def _reference(install: Install) -> str:
    before = install.reference
    return f"; {before.good} of {before.seen} of what it took the place of" if before.seen else ""


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
