"""Dates finer than a year, and ages over 89 (45 CFR 164.514(b)(2)(i)(C)). They raise nothing by default."""

from __future__ import annotations

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import Label, Rule, Run, Start
from homebred_daemon.adapters.detectors.shapes import one_of

_LONG_MONTHS = (
    "january february march april may june july august september october november december januar jänner februar märz "
    "mai juni juli oktober dezember janvier février mars avril juin juillet août septembre octobre novembre décembre"
)
_SHORT_MONTHS = "jan feb mar apr jun jul aug sep sept oct okt nov dec dez"
_MONTH = "(?i:" + one_of(f"{_LONG_MONTHS} {_SHORT_MONTHS}") + r")\b\.?"
_CAPITAL_MONTH = "(?=[A-ZÄÉ])" + _MONTH
_YEAR = r"(?:19|20)\d\d"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_NUMERIC = rf"{_DAY}([./-]){_DAY}\1(?:{_YEAR}|\d\d)(?!\.?\d|\w)"
_ISO = rf"{_YEAR}([./-])(?:0?[1-9]|1[0-2])\1{_DAY}(?!\d)"
_BIRTH_WORDS = (
    *(
        "dob",
        "d.o.b",
        "date of birth",
        "birth date",
        "birthdate",
        "birthday",
        "born",
        "born on",
        "geboren am",
        "geb",
        "geb. am",
    ),
    *(
        "geburtsdatum",
        "geburtstag",
        "né le",
        "née le",
        "date de naissance",
        "geboortedatum",
        "data di nascita",
        "fecha de nacimiento",
    ),
)

RULES = (
    Rule(
        type="DATE",
        at=Run((1, 2), after="./-"),
        pattern=rf"(?<![\w.,/-]){_NUMERIC}",
        check=checks.calendar_date,
        unless=("version", "release", "firmware", "build", " v", "rev", "section", "ver."),
    ),
    Rule(type="DATE", at=Run((4,), after="./-"), pattern=rf"(?<![\w.,/-]){_ISO}"),
    Rule(
        type="DATE",
        at=Run((8,), after="a"),
        pattern=rf"(?<![\w.,/-]){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?=T\d{{4}})",
    ),
    Rule(
        type="DATE",
        at=Run((2,), after="."),
        pattern=r"(?<![\w.,/-])(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.(?!\d)",
        context=("am ", "vom ", "bis ", "zum ", "den ", "ab ", "seit "),
    ),
    Rule(
        type="DATE",
        at=Run((1, 2), after=" a.-"),
        pattern=rf"(?<![\w.,/$€£-]){_DAY}(?:st|nd|rd|th|er|\.)?[ -](?:of\s)?{_MONTH}(?:,?[ -]{_YEAR}"
        rf"|,? '?\d\d(?!\d))?(?!\w)",
    ),
    Rule(
        type="DATE",
        at=Start(tuple(_LONG_MONTHS.split())),
        pattern=rf"{_CAPITAL_MONTH}(?:\s{_DAY}(?:st|nd|rd|th)?(?![\d:.%]\d|\d)(?:,?\s{_YEAR})?|,?\s{_YEAR})(?!\w)",
    ),
    Rule(
        type="DATE",
        at=Start(tuple(_SHORT_MONTHS.split())),
        pattern=rf"{_CAPITAL_MONTH}(?:\s{_DAY}(?:st|nd|rd|th)?(?![\d:.%]\d|\d)(?:,?\s{_YEAR})?|,?\s{_YEAR})(?!\w)",
    ),
    Rule(
        type="DATE",
        at=Label(_BIRTH_WORDS),
        pattern=rf"(?:\s(?:is|am|on|the|ist|in)\b)?[\s:=.\"'(-]{{1,4}}"
        rf"(?P<v>\d{{1,4}}[ ./-]\d{{1,2}}[ ./-]\d{{2,4}}|\d{{6}}|\d{{8}}|{_YEAR})(?!\w)",
    ),
    Rule(
        type="AGE",
        at=Run((2, 3), after=" a-"),
        pattern=r"(?<![\w.,$€£-])(?:9\d|1[0-2]\d)(?:[ -]?(?:years?|yrs?)[ -](?:old|of age)|[ -]?y/?o\b"
        r"|\s?Jahre alt|[ -]?jährige?[rnms]?|\sans\b)",
    ),
    Rule(
        type="AGE",
        at=Label(("aged", "age", "alter", "âge", "âgé de", "âgée de")),
        pattern=r"[\s:=]{1,3}(?P<v>9\d|1[0-2]\d)(?![\w.,%-]\d|\w)",
    ),
)
