"""What cloud calls may cost within one UTC day: calls, bytes and money.

A call is charged with what it may cost at most before it starts, so that calls side by side cannot outspend a budget
together, and corrected once it is known what it did cost. Nothing is kept here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What something costs."""

    calls: int = 0
    transferred_bytes: int = 0
    """Of requests and answers, without what HTTP and TLS add."""
    money: float = 0.0
    """In the site's currency."""

    def __add__(self, other: Charge) -> Charge:
        """Both together."""
        return Charge(
            calls=self.calls + other.calls,
            transferred_bytes=self.transferred_bytes + other.transferred_bytes,
            money=self.money + other.money,
        )

    def __sub__(self, other: Charge) -> Charge:
        """What this costs more."""
        return self + Charge(calls=-other.calls, transferred_bytes=-other.transferred_bytes, money=-other.money)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits for one UTC day; None: none."""

    calls: int | None = None
    transferred_bytes: int | None = None
    money: float | None = None

    def spent_on(self, day: date) -> Spending:
        """What a day has cost of which nobody knows it: all that it may."""
        whole = Charge(calls=self.calls or 0, transferred_bytes=self.transferred_bytes or 0, money=self.money or 0.0)
        return Spending(day=day, so_far=whole)

    def exceeded_by(self, charge: Charge) -> tuple[str, ...]:
        """The limits that a day's whole charge goes over, by name."""
        limits = (
            ("calls", self.calls, charge.calls),
            ("bytes", self.transferred_bytes, charge.transferred_bytes),
            ("money", self.money, charge.money),
        )
        return tuple(name for name, limit, spent in limits if limit is not None and spent > limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What one UTC day has cost so far."""

    day: date = date.min
    so_far: Charge = field(default_factory=Charge)

    def plus(self, charge: Charge, now: datetime) -> Spending:
        """With one more charge, of a new day where one has begun. A clock that goes back brings no new budget."""
        so_far = Charge() if now.date() > self.day else self.so_far
        return Spending(day=max(self.day, now.date()), so_far=so_far + charge)

    def corrected(self, by: Charge, of_day: date) -> Spending:
        """With what a charge of that day was too low or too high; nothing, where that day is over."""
        return Spending(day=self.day, so_far=self.so_far + by) if of_day == self.day else self
