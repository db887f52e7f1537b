"""How to reach a person or a machine: mail, telephone, web and network addresses. They raise nothing by default."""

from __future__ import annotations

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import APART, ENDS, Anywhere, Label, Rule, Run, Start
from homebred_daemon.adapters.detectors.shapes import one_of

_DOMAINS = one_of("com org net edu gov mil info biz io co eu de at ch fr nl be it es pt pl se no dk fi ie uk us ca au")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_NO_PHONE = (
    *(
        "order",
        "invoice",
        "isbn",
        "ean",
        "part",
        "lot",
        "batch",
        "ref",
        "tracking",
        "version",
        "article",
        "bestell",
        "sku",
    ),
    *(
        "rechnung",
        "serial",
        "serie",
        "ticket",
        "artikel",
        "commande",
        "facture",
        "po ",
        "charge",
        "model",
        "drawing",
    ),
)
_PHONE_WORDS = (
    *(
        "phone",
        "telephone",
        "tel",
        "telefon",
        "telefonnummer",
        "fax",
        "telefax",
        "mobile",
        "cell",
        "cellphone",
        "handy",
    ),
    *(
        "handynummer",
        "mobil",
        "mobilnummer",
        "rufnummer",
        "call",
        "text",
        "sms",
        "whatsapp",
        "ring",
        "dial",
        "pager",
        "desk",
    ),
    *("reach me", "reach us", "reached at", "contact number", "callback number", "call back", "hotline", "rückruf"),
    *("téléphone", "tél", "portable", "appeler", "appelez", "numéro de téléphone", "anrufen", "erreichbar", "telefono"),
)
_PHONE_FILLER = (
    r"(?:\.-(?:Nr|No)\b)?(?:\s(?:me|us|him|her|them|back|number|no|nr|is|ist|est|at|on|unter|au|under|the|office|home|work|line|"
    r"oder|or|and|und|a|le|la|for|für|phone|mobile|details)\b\.?){0,4}"
)

# 415-555-0198, (415) 555-0198, 1 415 555 0198 ext. 3
_NORTH_AMERICAN = (
    r"(?<![\w.-])(?:1[ .-]?)?(?:\(\d{3}\) ?[-.]?|\d{3}([.-])(?=\d{3}\1)|[2-9]\d{2} (?=\d{3}[ -]))\d{3}[ .-]\d{4}"
    r"(?:,?\s?(?:x|ext\.?|extension)\s?\d{1,6})?(?![\w-])"
)
# National numbers: 030 123456, 089/1234567, (0171) 2345678, 020 7946 0958, 06 12 34 56 78
_EUROPEAN = r"(?<![\w.,/-])(?<!\d )\(?0[1-9]\d{0,3}\)?(?:[ ./-]{1,3}\d{2,8}){1,5}(?![\w]|[.,-]\d)"

RULES = (
    Rule(type="EMAIL", at=Anywhere(("@",)), pattern=r"[\w][\w.+%'&-]{0,63}@(?:[\w-]{1,63}\.){1,6}[^\W\d_]{2,24}"),
    Rule(
        type="EMAIL",
        at=Anywhere(("(at)", "[at]", "(dot)", " dot ")),
        pattern=r"[\w][\w.+-]{0,63} ?(?:\(at\)|\[at\]| at ) ?[\w-]{1,63}(?: ?(?:\(dot\)|\[dot\]"
        r"| dot ) ?[\w-]{2,24}){1,3}(?![\w-])",
    ),
    Rule(
        type="URL",
        at=Start(("http://", "https://", "ftp://", "sftp://", "www.")),
        pattern=r"(?i:(?:https?|s?ftp)://|www\.)[^\s<>\"{}|\\^`]{1,2000}(?<![.,;:!?)\]'])",
    ),
    Rule(
        type="URL",
        at=Anywhere(
            (".com", ".org", ".net", ".edu", ".gov", ".io", ".eu", ".de", ".at", ".ch", ".fr", ".nl", ".uk", ".it")
        ),
        pattern=rf"(?<![\w@.-])(?:[A-Za-z0-9][A-Za-z0-9-]{{1,62}}\.){{1,4}}{_DOMAINS}(?![\w@-])"
        rf"(?:/[^\s<>\"]{{0,500}}(?<![.,;:!?)]))?",
    ),
    Rule(
        type="IP_ADDRESS",
        at=Run((1, 2, 3), after="."),
        pattern=rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?:/(?:3[0-2]|[12]?\d))?(?!\.?\d|[\w-])",
        unless=("version", "firmware", "release", "build", "v.", "ver.", "section", "rev"),
    ),
    Rule(
        type="IP_ADDRESS", at=Anywhere(("::",)), pattern=r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?![\w:])", check=checks.ip_v6
    ),
    Rule(
        type="IP_ADDRESS", at=Anywhere((":",)), pattern=r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])"
    ),
    Rule(
        type="MAC_ADDRESS",
        at=Anywhere((":", "-")),
        pattern=r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])",
    ),
    Rule(
        type="MAC_ADDRESS",
        at=Label(("mac", "mac address", "mac addr", "mac adresse")),
        pattern=r"[\s:=]{1,3}(?P<v>[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}|[0-9a-f]{12})(?![\w.])",
    ),
    # International, with + or 00.
    Rule(
        type="PHONE",
        at=Start(("+",)),
        pattern=r"(?<![\w+])\+[1-9](?:[ .\-/]{0,2}(?:\(\d{1,4}\)|\d)){6,14}(?!\d)",
        check=checks.phone,
    ),
    Rule(
        type="PHONE",
        at=Run((*range(2, 16),), after=" .-/($,)"),
        pattern=r"(?<![\w.,-])(?<!\d )00[1-9]\d?(?:[ .\-/]{0,2}(?:\(0\))?\d){7,12}(?!\d)",
        check=checks.phone,
        unless=_NO_PHONE,
    ),
    *(
        Rule(type="PHONE", at=Run(lengths, after, before, (lead,)), pattern=pattern, check=check, unless=_NO_PHONE)
        for lengths, after, pattern, check in (
            ((1, 3), ") .-", _NORTH_AMERICAN, None),
            ((2, 3, 4, 5), ") ./-", _EUROPEAN, checks.phone),
        )
        for before, lead in ((APART, 0), ("(", 1))
    ),
    Rule(
        type="PHONE",
        at=Run((10, 11, 12), after=ENDS),
        pattern=r"(?<![\w.,-])0(?:7[1-9]\d{8}|1[5-7]\d{8,9}|[67]\d{8})(?![\w-])",
        unless=_NO_PHONE,
    ),
    Rule(
        type="PHONE",
        at=Label(_PHONE_WORDS),
        pattern=_PHONE_FILLER
        + r"[\s:=#.\"-]{1,4}(?P<v>[+(]?\d(?:[ .\-/()]{0,2}\d){5,14}(?:,?\s?(?:x|ext\.?)\s?\d{1,6})?)(?![\w-])",
    ),
    # Any grouping, where the text speaks of a telephone.
    Rule(
        type="PHONE",
        at=Run((2, 3, 4), after=" -"),
        pattern=r"(?<![\w.,/-])(?<!\d )\d{2,4}([ -])\d{2,4}\1\d{2,4}(?:\1\d{2,4}){0,2}(?![\w-]|[.,]\d)",
        check=checks.phone,
        context=(
            "answering",
            "voicemail",
            "messages to",
            "my number",
            "phone",
            "call ",
            "text ",
            "mobile",
            "reach",
            "telefon",
        ),
        unless=_NO_PHONE,
    ),
    Rule(
        type="PHONE",
        at=Run((3,), after="-."),
        pattern=r"(?<![\w.-])[2-9]\d\d[-.]\d{4}(?![\w-])",
        context=("call", "phone", "tel", "dial", "text", "mobile", "cell", "fax"),
        unless=_NO_PHONE,
    ),
)
