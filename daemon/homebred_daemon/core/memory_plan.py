"""Who may be in memory: which models leave so that another fits, and which adapters a worker serves.

It measures no memory and moves nothing: needs and bounds come in, the choice goes out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Memory that a model takes while it is loaded, in bytes."""

    ram: int = 0
    gpu: int = 0
    """Of a GPU with memory of its own; where it shares the processor's, all is `ram`."""

    def __add__(self, other: Need) -> Need:
        """Of both together."""
        return Need(ram=self.ram + other.ram, gpu=self.gpu + other.gpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What all loaded models may take together."""

    max_models: int
    ram: int | None = None
    """Bytes; None: not bounded."""
    gpu: int | None = None
    """Bytes; None: not bounded, or there is none."""

    def hold(self, needs: Collection[Need]) -> bool:
        """Whether all of these may be loaded at once."""
        whole = sum(needs, Need())
        return len(needs) <= self.max_models and _within(whole.ram, self.ram) and _within(whole.gpu, self.gpu)

    def beside(self, others: Iterable[Need]) -> Need:
        """The most that one more may take, 0 where that is not bounded."""
        taken = sum(others, Need())
        return Need(ram=_rest(self.ram, taken.ram), gpu=_rest(self.gpu, taken.gpu))


def _within(taken: int, bound: int | None) -> bool:
    return bound is None or taken <= bound


def _rest(bound: int | None, taken: int) -> int:
    return 0 if bound is None else max(1, bound - taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant(Generic[K]):
    """A model in memory, or on its way there."""

    key: K
    need: Need
    used_s: float
    """Monotonic time of its last use."""
    may_leave: bool
    """Whether it is idle and not pinned."""


def who_leaves(need: Need, tenants: Sequence[Tenant[K]], bounds: Bounds) -> list[K] | None:
    """Who leaves so that one more fits: the longest unused first, and none needlessly; None: it cannot fit now."""

    def fits(leaving: Collection[Tenant[K]]) -> bool:
        return bounds.hold([need, *(tenant.need for tenant in tenants if tenant not in leaving)])

    leaving: list[Tenant[K]] = []
    for tenant in sorted((tenant for tenant in tenants if tenant.may_leave), key=lambda tenant: tenant.used_s):
        if fits(leaving):
            break
        leaving.append(tenant)
    if not fits(leaving):
        return None
    for tenant in reversed(leaving[:]):  # a large one may have made room enough for those before it
        others = [other for other in leaving if other is not tenant]
        if fits(others):
            leaving = others
    return [tenant.key for tenant in leaving]


def all_fit(needs: Iterable[Need], staying: Iterable[Need], bounds: Bounds) -> bool:
    """Whether these fit beside those that stay."""
    return bounds.hold([*needs, *staying])


def chosen_adapters(
    wanted: Sequence[str], *, needed: Sequence[str], used_s: Mapping[str, float], most: int
) -> tuple[str, ...]:
    """The adapters that a worker is to serve, by digest: those needed, then the last used, then the first in order.

    Args:
        wanted: those of the specialists on its base, in order.
        needed: those that answers run on, then those that they wait for: of too many, the last must wait.
        used_s: monotonic times of their last use.
        most: how many may be served at once.
    """
    others = sorted((each for each in wanted if each not in needed), key=lambda each: -used_s.get(each, float("-inf")))
    return tuple(sorted([*needed, *others][:most]))
