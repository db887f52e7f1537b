"""What two specialists made of the same tasks: counts alone, never content (I4). It judges nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One task that both answered."""

    serving_is_good: bool
    newcomer_is_good: bool
    serving_ms: int = 0
    newcomer_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """All that was counted of a newcomer beside one version of what serves."""

    version: str = ""
    """Of what serves; empty: nothing was counted."""
    both_good: int = 0
    only_serving: int = 0
    """Where the newcomer's answer alone was not good."""
    only_newcomer: int = 0
    neither: int = 0
    serving_ms: int = 0
    """Of all tasks together that both answered well, as `newcomer_ms`."""
    newcomer_ms: int = 0

    @property
    def seen(self) -> int:
        """Tasks that both answered."""
        return self.both_good + self.only_serving + self.only_newcomer + self.neither

    def beside(self, version: str) -> Pairs:
        """What was counted beside that version; nothing, where it was another."""
        return self if self.version == version else Pairs(version=version)

    def plus(self, pair: Pair) -> Pairs:
        """With one more."""
        match pair.serving_is_good, pair.newcomer_is_good:
            case True, True:
                return replace(
                    self,
                    both_good=self.both_good + 1,
                    serving_ms=self.serving_ms + pair.serving_ms,
                    newcomer_ms=self.newcomer_ms + pair.newcomer_ms,
                )
            case True, False:
                return replace(self, only_serving=self.only_serving + 1)
            case False, True:
                return replace(self, only_newcomer=self.only_newcomer + 1)
            case _:
                return replace(self, neither=self.neither + 1)


NONE_YET = Pairs()


def pairs_record(pairs: Pairs) -> dict[str, str | int]:
    """The counts as a JSON value; empty where there are none."""
    return asdict(pairs) if pairs != NONE_YET else {}


def read_pairs(record: dict[str, str | int]) -> Pairs:
    """The counts in a record that `pairs_record` made.

    Raises:
        ValueError: it is none.
    """
    kinds: dict[str, type] = {each.name: str if each.name == "version" else int for each in fields(Pairs)}
    if not record:
        return NONE_YET
    if set(record) != set(kinds) or not all(type(value) is kinds[name] for name, value in record.items()):
        raise ValueError("what was counted beside what serves is no record of it")
    return Pairs(**record)  # type: ignore[arg-type]  # each was looked at
