"""Installs and the releases of a model store in memory; held to the same contracts as those on the disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from homebred_daemon.core.activation import BY_HAND, Activation, InForce
from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event, Install, State, Tally
from homebred_daemon.core.pairs import Pairs
from homebred_daemon.core.releases import Release
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import StateError, UnwritableError
from homebred_daemon.ports.building import BuiltForm
from homebred_daemon.ports.installs import Counted, Declined, Step

KEPT_REFUSALS, APART_S = 256, 86_400


class MemoryInstallStore:
    """Fulfils `ports.installs.InstallStore`."""

    def __init__(self) -> None:
        self.is_full = False
        """Whether the disk is."""
        self._installs: dict[int, Install] = {}
        self._steps: list[Step] = []
        self._untold: list[int] = []
        self._versions: dict[int, str] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._through = ""
        self._declined: list[Declined] = []
        self._declined_seq = 0
        self._untold_declined: list[int] = []

    def close(self) -> None:
        """Nothing to close."""

    def begin(self, release: Release, *, now_s: int, ends: Install | None = None, reason: str = "") -> Install:
        self._write()
        if ends is not None:
            self._keep(ends.moved(Event.NEWER, now_s=now_s, reason=reason), Event.NEWER, {})
        seq = len(self._installs) + 1
        install = Install(seq=seq, release=release, state=State.DOWNLOADING, begun_at_s=now_s, changed_at_s=now_s)
        self._keep(install, None, {})
        return install

    def move(
        self,
        install: Install,
        event: Event,
        *,
        now_s: int,
        refusal: Refusal | None = None,
        facts: Mapping[str, int],
        built: Built | None = None,
    ) -> Install:
        self._write()
        if event is Event.ACTIVATED:
            for other in self.unfinished():
                is_watched = other.state is State.PROBATION and other.seq != install.seq
                if is_watched and other.release.id == install.release.id:
                    told = f"release {install.release.number} took its place"
                    self._keep(other.moved(Event.NEWER, now_s=now_s, reason=told), Event.NEWER, {})
        code, reason = ("", "") if refusal is None else (refusal.code, refusal.sentence)
        moved = install.moved(event, now_s=now_s, code=code, reason=reason)
        moved = moved if built is None else replace(moved, built=built)
        self._keep(moved, event, facts)
        return moved

    def hold(self, install: Install, refusal: Refusal, *, attempts: int) -> Install:
        held = replace(install, attempts=attempts, code=refusal.code, reason=refusal.sentence)
        if held != install:
            self._write()
            self._installs[install.seq] = held
        return held

    def compare(self, install: Install, pairs: Pairs) -> Install:
        self._write()
        self._installs[install.seq] = replace(self._installs[install.seq], pairs=pairs)
        return self._installs[install.seq]

    def refer(self, install: Install, version: str, reference: Tally) -> Install:
        self._write()
        self._versions[install.seq] = version
        self._installs[install.seq] = replace(self._installs[install.seq], reference=reference)
        return self._installs[install.seq]

    def find(self, seq: int) -> Install | None:
        return self._installs.get(seq)

    def unfinished(self) -> Sequence[Install]:
        return [install for install in self._installs.values() if not install.is_over]

    def history(self, specialist_id: str = "") -> Sequence[Install]:
        found = (each for each in self._installs.values() if specialist_id in {"", each.release.id})
        return list(found)[::-1]

    def steps(self, install: Install) -> Sequence[Step]:
        return [step for step in self._steps if step.install == install.seq]

    def untold(self) -> Sequence[tuple[Install, Step]]:
        return [(self._installs[step.install], step) for step in self._steps if step.seq in self._untold]

    def told(self, step: Step) -> None:
        self._write()
        self._untold = [seq for seq in self._untold if seq != step.seq]

    def decline(self, about: str, code: str, digest: str, *, now_s: int) -> None:
        self._write()
        same = [one for one in self._declined if (one.about, one.code, one.digest) == (about, code, digest)]
        if any(abs(one.at_s - now_s) < APART_S for one in same):
            return
        self._declined_seq += 1
        self._declined.append(Declined(seq=self._declined_seq, about=about, code=code, digest=digest, at_s=now_s))
        self._untold_declined.append(self._declined_seq)
        order = sorted(self._declined, key=lambda one: (one.seq in self._untold_declined, one.seq))
        self._declined = sorted(order[-KEPT_REFUSALS:], key=lambda one: one.seq)

    def declined(self) -> Sequence[Declined]:
        return list(self._declined)

    def untold_declined(self) -> Sequence[Declined]:
        return [each for each in self._declined if each.seq in self._untold_declined]

    def told_declined(self, declined: Declined) -> None:
        self._write()
        self._untold_declined = [seq for seq in self._untold_declined if seq != declined.seq]

    def counted_through(self) -> str:
        return self._through

    def count(self, counted: Sequence[Counted], *, through: str) -> None:
        self._write()
        if through == self._through:
            return
        self._through = through
        for each in counted:
            key = (each.specialist, each.version)
            self._tallies[key] = self.tally(*key).plus(each.tally)
            for seq, install in self._installs.items():
                is_meant = install.release.id == each.specialist and self._versions.get(seq) == each.version
                if is_meant and install.state is State.PROBATION:
                    self._installs[seq] = replace(install, counted=install.counted.plus(each.tally))

    def tally(self, specialist_id: str, version: str) -> Tally:
        return self._tallies.get((specialist_id, version), Tally())

    def _keep(self, install: Install, event: Event | None, facts: Mapping[str, int]) -> None:
        self._installs[install.seq] = install
        step = Step(
            seq=len(self._steps) + 1,
            install=install.seq,
            at_s=install.changed_at_s,
            event=event,
            state=install.state,
            code=install.code,
            reason=install.reason,
            facts=dict(facts),
            built=install.built.digest,
        )
        self._steps.append(step)
        self._untold.append(step.seq)

    def _write(self) -> None:
        if self.is_full:
            raise UnwritableError("the disk is full")


class MemoryReleaseStore:
    """Fulfils `ports.installs.ReleaseStore`; what is in its slots is up to its owner."""

    def __init__(self) -> None:
        self.slots: dict[tuple[str, int], StoredSpecialist] = {}
        self.offers: dict[str, StoredSpecialist | Refusal] = {}
        """What taking a release's files comes to, by its digest."""
        self.damaged: set[tuple[str, int]] = set()
        self.is_full = False
        self.to_build: set[tuple[str, int]] = set()
        """Slots with what a recipe builds of, all of it."""
        self._built: dict[tuple[str, int], Built] = {}
        self._in_force: dict[str, InForce] = {}

    def take(self, folder: Path, release: Release) -> Refusal | None:
        self._write()
        offer = self.offers[release.digest]
        if isinstance(offer, Refusal):
            return offer
        slot = (release.id, release.number)
        self.damaged.discard(slot)
        self._built.pop(slot, None)
        if release.recipe is not None:
            self.slots.pop(slot, None)
            self.to_build.add(slot)
        else:
            self.slots[slot] = replace(offer, release=release.number)
        return None

    def inputs(self, release: Release) -> Sequence[Path] | None:
        slot = (release.id, release.number)
        return [Path("base"), Path("peft")] if slot in self.to_build and slot not in self.damaged else None

    def take_built(self, release: Release, form: BuiltForm) -> Refusal | None:
        self._write()
        offer, slot = self.offers[release.digest], (release.id, release.number)
        assert not isinstance(offer, Refusal)
        digest = form.built.digest
        self.slots[slot] = replace(offer, release=release.number, adapter_digest=digest, built=digest)
        self._built[slot] = form.built
        self.to_build.discard(slot)
        return None

    def built(self, release: Release) -> Built | None:
        is_there = self.stored(release.id, release.number) is not None
        return self._built.get((release.id, release.number)) if is_there else None

    def stored(self, specialist_id: str, number: int) -> StoredSpecialist | None:
        slot = (specialist_id, number)
        return None if slot in self.damaged else self.slots.get(slot)

    def golden_paths(self, release: Release) -> Mapping[str, Path]:
        return {demand.workflow: Path(demand.path) for demand in release.golden}

    def in_force(self, specialist_id: str) -> InForce:
        by_hand = Activation(number=BY_HAND) if (specialist_id, BY_HAND) in self.slots else None
        found = self._in_force.get(specialist_id)
        if found is None:
            return InForce(current=by_hand)
        return found if found.last_good is not None else replace(found, last_good=by_hand)

    def activate(self, specialist_id: str, after: InForce) -> None:
        self._write()
        self._in_force[specialist_id] = after

    def settle(self, specialist_id: str, after: InForce) -> None:
        self._write()
        self._in_force[specialist_id] = after

    def move_back(self, specialist_id: str) -> None:
        last = self.in_force(specialist_id).last_good
        if last is None or last.number == BY_HAND:
            self._in_force.pop(specialist_id, None)
        else:
            self._in_force[specialist_id] = InForce(current=last)

    def released(self) -> Mapping[str, Collection[int]]:
        found: dict[str, list[int]] = {specialist_id: [] for specialist_id in self._in_force}
        for specialist_id, number in sorted({*self.slots, *self.to_build}):
            if number != BY_HAND:
                found.setdefault(specialist_id, []).append(number)
        return found

    def remove_release(self, specialist_id: str, number: int) -> int:
        self._write()
        if number == BY_HAND or number in self.in_force(specialist_id).needed:
            raise StateError(f"{number} is needed")
        slot = (specialist_id, number)
        is_there = slot in self.to_build or slot in self.slots
        self.to_build.discard(slot)
        self.slots.pop(slot, None)
        return int(is_there)

    def _write(self) -> None:
        if self.is_full:
            raise StateError("the disk is full")
