"""Personal numbers of states that are told from any other number by a check digit and a word near them.

Most are nothing but ten or eleven digits, and one such run in ten passes a check: without the word they are left alone.
Insurance numbers raise `patient`; the others are redacted and raise nothing by default.
"""

from __future__ import annotations

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import ENDS, Rule, Run
from homebred_daemon.adapters.detectors.shapes import END

_BEFORE = r"(?<![\w.-])"
_ANY_STATE = ("national id", "personal code", "personal id", "identity no", "identity number")


def _number(
    kind: str, check: checks.Check, pattern: str, lengths: tuple[int, ...], *words: str, after: str = ENDS
) -> Rule:
    """A run of digits of one of these lengths begins it; one of the words stands near."""
    return Rule(type=kind, at=Run(lengths, after=after), pattern=_BEFORE + pattern + END, check=check, context=words)


RULES = (
    _number(
        "NATIONAL_ID",
        checks.stdnum("be.ssn"),
        r"\d{11}",
        (11,),
        "rijksregister",
        "registre",
        "national",
        "niss",
        "insz",
    ),
    _number("NATIONAL_ID", checks.stdnum("pl.pesel"), r"\d{11}", (11,), "pesel"),
    _number("NATIONAL_ID", checks.stdnum("ee.ik"), r"\d{11}", (11,), "isikukood", *_ANY_STATE),
    _number("NATIONAL_ID", checks.stdnum("lt.asmens"), r"\d{11}", (11,), "asmens kod", *_ANY_STATE),
    _number("NATIONAL_ID", checks.latvian, r"\d{6}-?\d{5}", (6, 11), "personas kod", *_ANY_STATE, after="-" + ENDS),
    _number(
        "NATIONAL_ID",
        checks.stdnum("no.fodselsnummer"),
        r"\d{6} ?\d{5}",
        (6, 11),
        "dselsn",
        "fnr",
        "personn",
        "d-nummer",
    ),
    _number("NATIONAL_ID", checks.stdnum("hr.oib"), r"\d{11}", (11,), "oib", "osobni"),
    _number("NATIONAL_ID", checks.stdnum("tr.tckimlik"), r"\d{11}", (11,), "tckn", "kimlik"),
    _number("NATIONAL_ID", checks.stdnum("br.cpf"), r"\d{11}", (11,), "cpf"),
    _number("NATIONAL_ID", checks.stdnum("br.cpf"), r"\d{3}\.\d{3}\.\d{3}-\d\d", (3,), after="."),
    _number(
        "NATIONAL_ID",
        checks.stdnum("is_.kennitala"),
        r"\d{6}-?\d{4}",
        (6, 10),
        "kennitala",
        "kt.",
        "kt:",
        after="-" + ENDS,
    ),
    _number("NATIONAL_ID", checks.stdnum("dk.cpr"), r"\d{10}", (10,), "cpr", "personn"),
    _number("NATIONAL_ID", checks.stdnum("bg.egn"), r"\d{10}", (10,), "егн", "egn"),
    _number("NATIONAL_ID", checks.stdnum("cz.rc"), r"\d{6}/?\d{3,4}", (6, 9, 10), "rodn", "r.č", "rč", "birth number"),
    _number("NATIONAL_ID", checks.stdnum("ro.cnp"), r"\d{13}", (13,), "cnp", "cod numeric", *_ANY_STATE),
    _number("NATIONAL_ID", checks.stdnum("si.emso"), r"\d{13}", (13,), "emšo", "emso", "jmbg", "мбг"),
    _number("NATIONAL_ID", checks.stdnum("fi.hetu"), r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", (6,), after="-+a"),
    _number("NATIONAL_ID", checks.stdnum("ie.pps"), r"\d{7}[A-Z]{1,2}", (7,), "pps", "personal public", after="a"),
    _number("TAX_ID", checks.stdnum("ua.rntrc"), r"\d{10}", (10,), "рнокпп", "іпн", "rntrc", "ідентифікаційн"),
    _number("TAX_ID", checks.stdnum("pt.nif"), r"\d{3}([ .]?)\d{3}\1\d{3}", (3, 9), "nif", "contribuinte", "fiscal"),
    _number(
        "TAX_ID", checks.stdnum("fr.nif"), r"[0-3]\d ?\d\d ?\d{3} ?\d{3} ?\d{3}", (2, 13), "fiscal", "spi", "impôt"
    ),
    _number("NATIONAL_ID", checks.stdnum("se.personnummer"), r"(?:\d\d)?\d{10}", (10, 12), "personn", "pnr"),
    _number("SOCIAL_INSURANCE", checks.luxembourg, r"\d{13}", (13,), "matricule", "luxemb"),
    _number(
        "SOCIAL_INSURANCE",
        checks.nuss,
        r"\d\d([ /]?)\d{8}\1\d\d",
        (2, 12),
        "seguridad social",
        "nuss",
        "nss",
        "afiliaci",
    ),
    _number("SOCIAL_INSURANCE", checks.stdnum("gr.amka"), r"\d{11}", (11,), "amka", "αμκα"),
    _number("HEALTH_PLAN", checks.taj, r"\d{3}([ -]?)\d{3}\1\d{3}", (3, 9), "taj", after="-" + ENDS),
    _number("HEALTH_PLAN", checks.medicare_australia, r"[2-6]\d{3} ?\d{5} ?\d", (4, 10), "medicare"),
)
