"""Numbers that a state, a bank or an employer gave a person. They are redacted and raise nothing by default."""

from __future__ import annotations

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import APART, ENDS, LONG_RUN, Anywhere, Label, Rule, Run
from homebred_daemon.adapters.detectors.shapes import CODE, END, TAIL, numbered

_B = r"(?<![\w.-])"
_ACCOUNT_WORDS = (
    *("acct", "account", "iban", "kontonummer", "kontonr", "bankleitzahl", "blz", "depotnummer", "numéro de compte"),
    *(
        "compte n°",
        "rekeningnummer",
        "sort code",
        "kundennummer",
        "kundennr",
        "kd. nr",
        "numéro client",
        "numéro de client",
    ),
    *numbered(
        "account", "acct", "bank account", "konto", "customer", "client", "kunden", "vertrags", "loyalty", "membership"
    ),
)
_STAFF_WORDS = (
    *(
        "personalnummer",
        "personalnr",
        "mitarbeiternummer",
        "matrikelnummer",
        "schülernummer",
        "numéro étudiant",
        "matricule",
    ),
    *numbered("employee", "staff", "badge", "personal", "mitarbeiter", "student", "pupil", "matrikel", "payroll"),
)
_LICENCE_WORDS = (
    *(
        "führerscheinnummer",
        "führerschein nr",
        "permis de conduire",
        "rijbewijs",
        "driver's license",
        "drivers license",
    ),
    *(
        "driver's licence",
        "drivers licence",
        "driver license",
        "driving licence",
        "driving license",
        "dl no",
        "dl number",
    ),
    *numbered("driver's license", "drivers license", "driver license", "driving licence", "license", "licence"),
)
_ID_WORDS = (
    *("personalausweisnummer", "ausweisnummer", "ausweis nr", "personalausweis", "carte d'identité", "identity card"),
    *("national id", "dni", "nie", "codice fiscale", "cpr nummer", "personnummer", "pesel", "aadhaar", "curp", "cnic"),
    *numbered("identity card", "id card", "national id", "green card", "visa", "resident permit", "residence permit"),
)

RULES = (
    Rule(
        type="US_SSN",
        at=Run((3,), after="-", before=APART + "a"),
        pattern=rf"(?<![\d.-])\d{{3}}-\d\d-\d{{4}}{END}",
        check=checks.us_ssn,
    ),
    Rule(type="US_ITIN", at=Run((3,), after="-"), pattern=rf"{_B}9\d\d-\d\d-\d{{4}}{END}", check=checks.us_itin),
    Rule(
        type="US_SSN",
        at=Run((3, 9), after=ENDS),
        pattern=rf"{_B}\d{{3}}([ .]?)\d\d\1\d{{4}}{END}",
        check=checks.us_ssn,
        context=("ssn", "social sec", "soc sec", "tax id"),
    ),
    Rule(
        type="UK_NINO",
        at=Run((2, 6), after="a ", before="a ", leads=(2, 3)),
        pattern=rf"{_B}(?i:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]){END}",
        check=checks.uk_nino,
    ),
    Rule(
        type="UK_NINO",
        at=Label(("national insurance", "ni", "nino", *numbered("national insurance", "ni"))),
        pattern=TAIL + r"(?P<v>[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D])" + END,
    ),
    Rule(
        type="DE_TAX_ID",
        at=Run((2,), after=" "),
        pattern=rf"{_B}\d\d \d{{3}} \d{{3}} \d{{3}}{END}",
        check=checks.stdnum("de.idnr"),
    ),
    Rule(
        type="DE_TAX_ID",
        at=Run((11,), after=ENDS),
        pattern=rf"{_B}\d{{11}}{END}",
        check=checks.stdnum("de.idnr"),
        context=("steuer", "idnr", "identifikationsnummer", "tax", "tin"),
    ),
    Rule(
        type="NL_BSN",
        at=Run((9, 4, 3), after=ENDS),
        pattern=rf"{_B}\d{{3,4}}[ .]?\d\d[ .]?\d{{3}}{END}|{_B}\d{{9}}{END}",
        check=checks.stdnum("nl.bsn"),
        context=("bsn", "burgerservice", "sofi"),
    ),
    Rule(
        type="NATIONAL_ID", at=Run((8,), after="-a"), pattern=rf"{_B}\d{{8}}-?[A-Z]{END}", check=checks.stdnum("es.dni")
    ),
    Rule(
        type="NATIONAL_ID",
        at=Run((7,), after="-a", before="a-", leads=(1, 2)),
        pattern=rf"{_B}[XYZ]-?\d{{7}}-?[A-Z]{END}",
        check=checks.stdnum("es.nie"),
    ),
    Rule(
        type="NATIONAL_ID",
        at=Run((2,), after="a", before="a", leads=(6,)),
        pattern=rf"{_B}[A-Z]{{6}}\d\d[A-EHLMPRST]\d\d[A-Z]\d{{3}}[A-Z]{END}",
        check=checks.stdnum("it.codicefiscale"),
    ),
    Rule(
        type="NATIONAL_ID",
        at=Run((2,), after="."),
        pattern=rf"{_B}\d\d\.\d\d\.\d\d-\d{{3}}\.\d\d{END}",
        check=checks.stdnum("be.ssn"),
    ),
    Rule(
        type="NATIONAL_ID",
        at=Run((6, 8), after="-+"),
        pattern=rf"{_B}\d{{6,8}}[-+]\d{{4}}{END}",
        check=checks.stdnum("se.personnummer"),
    ),
    Rule(
        type="NATIONAL_ID",
        at=Run((6,), after="-"),
        pattern=rf"{_B}(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d-\d{{4}}{END}",
        context=("cpr",),
    ),
    Rule(
        type="NATIONAL_ID",
        at=Run((4, 12), after="-" + ENDS),
        pattern=rf"{_B}[2-9]\d{{3}}([ -]?)\d{{4}}\1\d{{4}}{END}",
        check=checks.stdnum("in_.aadhaar"),
        context=("aadhaar", "uidai"),
    ),
    Rule(
        type="NATIONAL_ID",
        at=Run((3, 9), after="-" + ENDS),
        pattern=rf"{_B}\d{{3}}([ -]?)\d{{3}}\1\d{{3}}{END}",
        check=checks.stdnum("ca.sin"),
        context=(" sin", "sin ", "sin:", 'sin"', "sin=", "sin\t", "social insurance"),
    ),
    Rule(
        type="NATIONAL_ID",
        at=Label(_ID_WORDS),
        pattern=TAIL + r"(?P<v>(?=[^\s,;]{0,20}\d)[A-Z0-9][A-Z0-9-]{5,18}[A-Z0-9])",
    ),
    Rule(
        type="PASSPORT",
        at=Label(
            (
                "passport",
                "reisepass",
                "reisepassnummer",
                "passnummer",
                "passeport",
                "pasaporte",
                *numbered("passport", "pass"),
            )
        ),
        pattern=TAIL + r"(?P<v>(?=[A-Z0-9]{0,8}\d)[A-Z0-9]{6,12})" + END,
    ),
    Rule(
        type="DRIVER_LICENCE",
        at=Label(_LICENCE_WORDS),
        pattern=TAIL
        + r"(?P<v>(?=[A-Z0-9-]{5})(?:[A-Z]{1,4}-)?[A-Z]{0,8}\d[A-Z0-9]{0,18}(?:[ -][A-Z0-9]{0,8}\d[A-Z0-9]{0,8}){0,4})"
        + END,
    ),
    Rule(
        type="IBAN",
        at=Run((*range(2, LONG_RUN + 1),), after="a" + ENDS, before="a", leads=(2,)),
        # A word behind it is none of its groups: from the second on each has a digit, and small letters have no gaps.
        pattern=r"(?<![^\W_])(?:[A-Z]{2}\d\d ?[A-Z0-9]{4}(?: ?(?=[A-Z]{0,3}\d)[A-Z0-9]{4}){1,6}"
        r"(?: ?(?=[A-Z]{0,2}\d)[A-Z0-9]{1,3})?|[A-Za-z]{2}\d\d[A-Za-z0-9]{11,30})(?![^\W_])",
        check=checks.iban,
    ),
    Rule(
        type="CREDIT_CARD",
        at=Run((4, *range(12, 20)), after="-" + ENDS),
        pattern=rf"{_B}(?:\d{{4}}([ -])\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{3}})?"
        rf"|3\d{{3}}([ -])\d{{6}}\2\d{{4,5}}|\d{{12,19}}){END}",
        check=checks.credit_card,
    ),
    Rule(
        type="CREDIT_CARD",
        at=Run((4, *range(12, 20)), after="-" + ENDS),
        pattern=rf"{_B}\d(?:[ -]?\d){{11,18}}{END}",
        check=checks.card_by_context,
        context=("card", "visa", "mastercard", "amex", "karte", "carte", "maestro", " cc "),
    ),
    Rule(
        type="CARD_CODE",
        at=Label(("cvv", "cvc", "cvv2", "cvc2", "kartenprüfnummer", "prüfziffer der karte", "card security code")),
        pattern=TAIL + r"(?P<v>\d{3,4})" + END,
    ),
    Rule(
        type="ACCOUNT",
        at=Label(("routing", "aba", "rtn", *numbered("routing", "aba"), "routing transit number")),
        pattern=TAIL + r"(?P<v>\d{9})" + END,
        check=checks.aba_routing,
    ),
    Rule(
        type="ACCOUNT",
        at=Label(("bic", "swift", "swift code", "bic code")),
        pattern=TAIL + r"(?P<v>(?-i:[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?))" + END,
    ),
    Rule(
        type="ACCOUNT",
        at=Label(_ACCOUNT_WORDS),
        pattern=TAIL + r"(?P<v>\d\d-\d\d-\d\d"
        r"|(?=(?:[A-Z ./-]{0,8}\d){4})(?:[A-Z]{1,3}[ ./-])?"
        r"[A-Z]{0,8}\d[A-Z0-9]{0,20}(?:[ ./-][A-Z0-9]{0,8}\d[A-Z0-9]{0,8}){0,6})" + END,
    ),
    Rule(type="STAFF_ID", at=Label(_STAFF_WORDS), pattern=TAIL + CODE),
    Rule(
        type="DE_TAX_ID",
        at=Label(("steuernummer", "steuer id", "steuernr", "idnr", "steueridentifikationsnummer")),
        pattern=TAIL + r"(?P<v>\d(?:[ /]?\d){9,12})" + END,
    ),
    Rule(
        type="TAX_ID",
        at=Label(("ein", *numbered("tax", "taxpayer"), "tin", "utr", "nif")),
        pattern=TAIL + r"(?P<v>\d[\d -]{6,14}\d)" + END,
    ),
    Rule(
        type="TAX_ID",
        at=Label(
            (
                "ust idnr",
                "ust id",
                "umsatzsteuer id",
                "vat id",
                "vat no",
                "vat number",
                "tva",
                "partita iva",
                "btw nummer",
            )
        ),
        pattern=TAIL + r"(?P<v>[A-Z]{2} ?(?=[0-9A-Z ]{0,6}\d)[0-9A-Z](?: ?[0-9A-Z]){6,12})" + END,
    ),
    Rule(
        type="CRYPTO_WALLET",
        at=Anywhere(("bc1",)),
        pattern=r"(?<![^\W_])bc1[02-9ac-hj-np-z]{25,62}(?![^\W_])",
        check=checks.bech32,
    ),
    Rule(
        type="CRYPTO_WALLET",
        at=Anywhere(("wallet", "bitcoin", "btc")),
        pattern=r"(?<![^\W_])[13][1-9A-HJ-NP-Za-km-z]{25,34}(?![^\W_])",
        check=checks.stdnum("bitcoin"),
    ),
    Rule(type="CRYPTO_WALLET", at=Anywhere(("0x",)), pattern=r"(?<![^\W_])0x[0-9a-fA-F]{40}(?![^\W_])"),
)
