"""Where the product's router and the oracle disagree; as a command it fails at the first disagreement.

`python -m tests.support.differences` looks at a thinned selection of the cases: what a mutant of the router must not
survive. The full comparison is a scenario test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from tests.support.cases import Case, World, exhaustive_cases, random_cases
from tests.support.oracle import oracle
from tests.support.product import Parsed, parsed, routed

STRIDE = 7
RANDOM_CASES = 60_000


def expected(case: Case) -> dict[str, Any]:
    """The oracle's decision."""
    return oracle(
        case.task,
        registry=case.world.registry,
        policy=case.world.policy,
        ceiling=case.world.ceiling,
        link=case.link,
        caller=case.caller,
        detected=case.detected,
        residual_risk=case.residual_risk,
        unavailable=case.unavailable,
    )


def compared(cases: Iterable[Case]) -> Iterator[tuple[Case, dict[str, Any], dict[str, Any]]]:
    """Each case with the oracle's and the product's decision; a world is parsed once."""
    world: World | None = None
    documents: Parsed | None = None
    for case in cases:
        if documents is None or case.world is not world:
            world, documents = case.world, parsed(case.world)
        yield case, expected(case), routed(case, documents)


def main() -> int:
    """Exit status 1 and the case at the first disagreement."""
    thinned = chain(random_cases(seed=7, count=RANDOM_CASES), islice(exhaustive_cases(), 0, None, STRIDE))
    for case, wanted, got in compared(thinned):
        if wanted != got:
            sys.stderr.write(f"{case}\noracle:  {wanted}\nproduct: {got}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
