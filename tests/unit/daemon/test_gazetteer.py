from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.adapters.detectors.gazetteer import Gazetteer, Known
from homebred_daemon.adapters.detectors.hashed_keys import HashedKeys
from homebred_daemon.core.sensitivity import raised_classes
from homebred_daemon.core.spelling import keys


def gazetteer(**classes: list[str]) -> Gazetteer:
    entries = [Known(keys=keys(text), data_class=name) for name, texts in classes.items() for text in texts]
    return Gazetteer(entries, "sha256:" + "0" * 64)


SITE = gazetteer(
    patient=["Anna Müller", "Sean O'Brien", "Anna-Lena Schmidt-Braun", "王伟", "Ludwig van Beethoven", "Zenobia"],
    trade_secret=["PX-4471-B", "Bluebird"],
    client=["Anna Müller", "Nordhafen Logistik GmbH"],
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *(
            ("Anna Müller", "Anna Müller"),
            ("ANNA MUELLER rief an", "ANNA MUELLER"),
            ("Müller, Anna: Befund", "Müller, Anna"),
        ),
        *(("von A. Müller", "A. Müller"), ("Frau Muller wartet", "Muller"), ("ask Dr. med. Müller", "Müller")),
        *(("Prof. Dr. Müller", "Müller"), ("patient Müller is in", "Müller"), ("Anna Müllers Akte", "Anna Müllers")),
        *(("Anna  Müler", "Anna  Müler"), ("Anan Müller", "Anan Müller"), ("Anna\nMüller", "Anna\nMüller")),
        *(
            ("seán obrien", "seán obrien"),
            ("Sean O’Brien", "Sean O’Brien"),
            ("Annalena Schmidt Braun", "Annalena Schmidt Braun"),
        ),
        *(("病人王伟说", "王伟"), ("Mr van Beethoven", "Beethoven"), ("ludwig beethoven", "ludwig beethoven")),
        *(("Mu\u0308ller, Anna", "Mu\u0308ller, Anna"), ("Anna_Mueller.pdf", "Anna_Mueller")),
        *(("part px4471b", "px4471b"), ("PX 4471 B", "PX 4471 B"), ("Px.4471-b.", "Px.4471-b"), ("APX-4471-B", "")),
        *(("the BLUEBIRD press", "BLUEBIRD"), ("bluebirds sing", ""), ("ZENOBIA", "ZENOBIA")),
        *(
            ("Nordhafen-Logistik GmbH", "Nordhafen-Logistik GmbH"),
            ("Nordhaven Logistik GmbH", "Nordhaven Logistik GmbH"),
        ),
    ],
)
def test_what_is_known_is_found_however_it_is_spelt(text: str, found: str) -> None:
    spans = SITE.detect(text)
    longest = max(spans, key=lambda span: span.end - span.start, default=None)
    assert (text[longest.start : longest.end] if longest else "") == found


@pytest.mark.parametrize(
    "text",
    [
        *("Anna spoke", "the miller ground it", "a Müller", "I Müller", "Müller", "patient miller", "mother of Sean"),
        *("Anna. He met no Müller", "4471", "PX-44", "B 4471 PX", "Peter Müller", "Anna Schmidt", "a müller"),
    ],
)
def test_what_is_not_known_is_left_alone(text: str) -> None:
    assert SITE.detect(text) == ()


def test_a_hit_raises_each_of_its_classes() -> None:
    spans = SITE.detect("Anna Müller")
    assert {(span.type, span.tier) for span in spans} == {("KNOWN_PATIENT", 2), ("KNOWN_CLIENT", 2)}
    assert raised_classes(spans, {}) == {"patient", "client"}
    assert SITE.entity_types == {"KNOWN_PATIENT", "KNOWN_CLIENT", "KNOWN_TRADE_SECRET"}


def test_an_empty_list_finds_nothing() -> None:
    assert gazetteer().detect("Anna Müller PX-4471-B") == ()


@given(st.dictionaries(st.text(max_size=4), st.sets(st.integers(1, 255), min_size=1, max_size=3), max_size=60))
def test_hashed_keys_give_back_every_number_of_every_key(numbers: dict[str, set[int]]) -> None:
    kept = HashedKeys((key, number) for key, several in numbers.items() for number in several)
    assert {key: set(kept.numbers(key)) for key in numbers} == numbers
    assert all(key in kept for key in numbers)
    assert "absent" not in kept
