"""Names that a title, a label or a greeting gives away; others are for a later tier. They raise nothing by default."""

from __future__ import annotations

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import Label, Rule, Start
from homebred_daemon.adapters.detectors.shapes import REST, UPPER

_WORD = rf"(?:(?:[A-Z]['\u2019])?[{UPPER}]{REST}{{1,30}}|[{UPPER}]\.)"
_PARTICLE = r"(?:(?:van|von|de|der|den|la|le|di|da|del|dos|el|al|bin|ten|zu|zur)\s){0,2}"
_NAME = rf"{_PARTICLE}{_WORD}(?:[ \t]{_PARTICLE}{_WORD}){{0,2}}"
_SHORT_NAME = rf"{_PARTICLE}{_WORD}(?:[ \t]{_PARTICLE}{_WORD}){{0,1}}"
_FURTHER_TITLES = r"(?:(?:Dr|Prof|med|Mr|Mrs|rer|nat|Dipl|Ing|habil)\.?-?\s){0,3}"

RULES = (
    Rule(
        type="PERSON",
        at=Start(
            (
                "mr ",
                "mr. ",
                "mrs ",
                "mrs. ",
                "ms ",
                "ms. ",
                "miss ",
                "dr ",
                "dr. ",
                "prof ",
                "prof. ",
                "professor ",
                "sir ",
                "mx. ",
            )
        ),
        pattern=rf"(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Professor|Sir|MR|MRS|MS|DR|PROF)\.?\s{_FURTHER_TITLES}(?P<v>{_NAME})",
    ),
    Rule(
        type="PERSON",
        at=Start(
            (
                "herr ",
                "herrn ",
                "frau ",
                "fräulein ",
                "monsieur ",
                "madame ",
                "mme ",
                "mlle ",
                "m. ",
                "señor ",
                "señora ",
                "sig. ",
                "dhr. ",
                "mevr. ",
            )
        ),
        pattern=rf"(?:Herrn?|Frau|Fräulein|Monsieur|Madame|Mme|Mlle|M\.|Señora?|Sig\.|Dhr\.|Mevr\.)\s{_FURTHER_TITLES}(?P<v>{_SHORT_NAME})",
        check=checks.unknown_words,
    ),
    Rule(
        type="PERSON",
        at=Label(("dear", "hi", "hello", "liebe", "lieber", "cher", "chère", "hallo", "bonjour")),
        pattern=rf"\s(?-i:{_FURTHER_TITLES}(?P<v>{_SHORT_NAME}))(?=\s?[,!\n])",
        check=checks.unknown_words,
    ),
    Rule(
        type="PERSON",
        at=Label(
            (
                "my name is",
                "mein name ist",
                "ich heiße",
                "ich heisse",
                "je m'appelle",
                "mon nom est",
                "name is",
                "i am called",
            )
        ),
        pattern=rf"\s(?-i:(?P<v>{_NAME}))",
        check=checks.unknown_words,
    ),
    Rule(
        type="PERSON",
        at=Label(
            (
                "name",
                "patient name",
                "full name",
                "first name",
                "last name",
                "surname",
                "vorname",
                "nachname",
                "patient",
                "patientin",
                "client",
                "customer",
                "kunde",
                "kundin",
                "contact",
                "ansprechpartner",
                "attn",
                "employee",
                "student",
                "guest",
                "gast",
                "nom",
                "prénom",
                "physician",
                "doctor",
                "nurse",
                "guardian",
                "cardholder",
                "account holder",
                "kontoinhaber",
                "next of kin",
            )
        ),
        pattern=rf"[\"']?\s?[:=]\s{{0,3}}[\"']?(?-i:{_FURTHER_TITLES}(?P<v>{_NAME}))",
        check=checks.unknown_words,
    ),
    Rule(
        type="PERSON",
        at=Label(
            (
                "patient",
                "patientin",
                "client",
                "nurse",
                "kunde",
                "kundin",
                "student",
                "resident",
                "mitarbeiter",
                "mitarbeiterin",
                "schwester",
                "colleague",
                "operator",
            )
        ),
        pattern=rf"[ \t](?-i:(?P<v>{_WORD}[ \t]{_PARTICLE}[{UPPER}]{REST}{{1,30}}))",
        check=checks.unknown_words,
    ),
    Rule(
        type="PERSON",
        at=Label(
            (
                "regards",
                "sincerely",
                "cheers",
                "best wishes",
                "yours truly",
                "grüße",
                "grüßen",
                "grüssen",
                "cordialement",
                "signed by",
                "sincerely yours",
            )
        ),
        pattern=rf",?\s{{1,3}}(?-i:{_FURTHER_TITLES}(?P<v>{_NAME}))",
        check=checks.unknown_words,
    ),
)
