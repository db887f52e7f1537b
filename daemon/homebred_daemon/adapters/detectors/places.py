"""Where somebody lives, is or drives: streets, postcodes, coordinates, vehicles. They raise nothing by default."""

from __future__ import annotations

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import APART, ENDS, Anywhere, Label, Rule, Run, Start
from homebred_daemon.adapters.detectors.shapes import END, REST, TAIL, UPPER, one_of

_WORD = rf"[{UPPER}]{REST}{{1,30}}"
_US_SUFFIX = one_of(
    "Street St Avenue Ave Road Rd Boulevard Blvd Lane Ln Drive Dr Court Ct Place Pl Square Sq Terrace Ter Parkway Pkwy "
    "Way Circle Cir Highway Hwy Close Crescent Cres Gardens Grove Mews Row Walk Hill Trail Loop Alley Plaza Turnpike"
)
_UNIT = r"(?:,?\s(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|#)\.?\s?#?\w{1,6})"
_UK_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}"
_CITY = rf"(?:,?\s{{1,2}}{_WORD}){{0,3}}"
_US_TAIL = rf"(?:{_CITY},?\s{{1,2}}(?:[A-Z]{{2}},?\s{{1,2}}\d{{5}}(?:-\d{{4}})?|{_UK_POSTCODE})(?!\w))?"
_EU_TAIL = rf"(?:,?\s{{1,2}}(?:(?:D|A|CH|F|B|NL|L)-)?\d{{4,5}}(?:\s[A-Z]{{2}})?\s{_WORD}(?:\s(?:am|an der)\s{_WORD})?)?"
_GERMAN_END = (
    r"(?:straße|strasse|str\.|weg|platz|allee|gasse|ufer|damm|chaussee|steig|graben|straat|laan|plein|gracht|kade)"
)
_NOT_A_STREET = r"(?!(?:Arbeits|Park|Stell|Sitz|Steh|Lade|Steck|Liege|Um|Aus|Hin|Rück)(?:platz|weg))"
_NO_ARTICLE = r"(?!(?:Der|Die|Das|Den|Dem|In|An|Auf|Von|Zur|Zum|Im|Am)\s)"
_HOUSE = r"\s\d{1,4}(?:\s?[a-zA-Z])?(?:[-/]\d{1,4}[a-z]?)?(?![\w:%]|[.,]\d)"
_FRENCH_WAY = one_of(
    "rue avenue av boulevard bd place chemin impasse allée quai route cours square Rue Avenue Boulevard Place"
)
_SPANISH_WAY = one_of("Via Viale Piazza Corso Calle Avenida Plaza Paseo Rua Rúa ul.")
_DECIMAL = r"(?<![\w.])-?(?:[1-8]?\d|90)\.\d{4,10},\s{0,2}-?(?:1[0-7]\d|180|\d{1,2})\.\d{4,10}(?![\w.]\d)"
_DECIMAL_WITH_LETTERS = r"(?<![\w.])-?\d{1,3}\.\d{3,10}°?\s?[NS][,;\s]{1,3}-?\d{1,3}\.\d{3,10}°?\s?[EWO](?!\w)"
_DEGREES = r"(?<![\w.])\d{1,3}°\s?\d{1,2}['\u2032]\s?(?:\d{1,2}(?:\.\d{1,4})?[\"\u2033]\s?)?[NSEWO](?!\w)"

RULES = (
    Rule(
        type="STREET_ADDRESS",
        at=Run((1, 2, 3, 4, 5), after=" ,a-"),
        pattern=rf"(?<![\w.,$€£-])\d{{1,5}}[A-Za-z]?(?:-\d{{1,5}})?,?\s(?:[NSEW]{{1,2}}\.?\s)?"
        rf"(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th))\s){{1,4}}?{_US_SUFFIX}\b\.?(?:\s[NSEW]{{1,2}}\b)?{_UNIT}?{_US_TAIL}",
        unless=("page", "figure", "chapter", "version"),
    ),
    # Whatever the street is called, a flat's number behind it says that it is one.
    Rule(
        type="STREET_ADDRESS",
        at=Run((1, 2, 3, 4, 5), after=" ,a"),
        pattern=rf"(?<![\w.,$€£-])\d{{1,5}}[A-Za-z]?,?\s(?:{_WORD},?\s){{1,4}}?(?:\d{{1,4}}[a-z]?,?\s)?(?:Apt|Suite|Ste)\.?\s#?\d{{1,5}}"
        rf"(?:[,\s]{{1,3}}{_WORD}){{0,3}}(?:[,\s]{{1,3}}\d{{4,5}}(?!\w))?",
    ),
    Rule(
        type="STREET_ADDRESS",
        at=Start(("apt", "apartment ", "suite ", "ste. ", "appartement ", "appt. ", "wohnung ")),
        pattern=r"(?i:apt|apartment|suite|ste|appartement|appt|wohnung)\.?\s?(?:#|no\.?\s|nr\.?\s)?\d{1,5}[A-Za-z]?(?![\w.])",
    ),
    Rule(
        type="STREET_ADDRESS",
        at=Anywhere(
            (
                "straße",
                "strasse",
                "str.",
                "weg",
                "platz",
                "allee",
                "gasse",
                "ufer",
                "damm",
                "straat",
                "laan",
                "gracht",
                "chaussee",
                "steig",
                "graben",
                "plein",
                "kade",
            )
        ),
        pattern=rf"(?<![\w-])(?:{_NO_ARTICLE}{_WORD}[ -])?{_NOT_A_STREET}"
        rf"[{UPPER}]{REST}{{0,30}}?{_GERMAN_END}{_HOUSE}{_EU_TAIL}",
    ),
    Rule(
        type="STREET_ADDRESS",
        at=Anywhere(("straße", "strasse", "str.", "weg", "platz", "allee", "ring", "ufer", "damm")),
        pattern=rf"(?<![\w-]){_WORD}\s(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Ring|Ufer|Damm|Gasse){_HOUSE}{_EU_TAIL}",
    ),
    Rule(
        type="STREET_ADDRESS",
        at=Start(("am ", "an der ", "auf dem ", "im ", "unter den ", "zum ", "zur ", "in der ")),
        pattern=rf"(?:Am|An der|Auf dem|Im|Unter den|Zum|Zur|In der)\s{_WORD}(?:\s{_WORD})?"
        rf"\s\d{{1,3}}[a-z]?,\s(?:D-)?\d{{5}}\s{_WORD}",
    ),
    Rule(
        type="STREET_ADDRESS",
        at=Run((1, 2, 3, 4), after=" ,"),
        pattern=rf"(?<![\w.,-])\d{{1,4}}(?:\s?(?:bis|ter))?,?\s{_FRENCH_WAY}\.?\s(?:(?:de|du|des|de la|de l'|d')\s?)?"
        rf"{_WORD}(?:\s(?:(?:de|du|des|la|le|les|et)\s){{0,2}}{_WORD}){{0,3}}{_EU_TAIL}",
    ),
    Rule(
        type="STREET_ADDRESS",
        at=Start(
            ("via ", "viale ", "piazza ", "corso ", "calle ", "avenida ", "plaza ", "paseo ", "rua ", "rúa ", "ul. ")
        ),
        pattern=rf"{_SPANISH_WAY}\s(?:(?:de|del|de la|da|di|della)\s)?{_WORD}(?:\s{_WORD}){{0,3}}"
        rf",?\s(?:n[º.]?\s?)?\d{{1,4}}{END}{_EU_TAIL}",
    ),
    Rule(
        type="STREET_ADDRESS",
        at=Start(("po box", "p.o. box", "p. o. box", "p.o.box", "postfach", "boîte postale", "post office box")),
        pattern=rf"(?i:p\. ?o\. ?box|po box|postfach|boîte postale|post office box)"
        rf"[\s:#]{{1,3}}(?:no\.?\s)?\d{{2,6}}(?:\s\d{{2,4}})?{END}{_US_TAIL}",
    ),
    Rule(
        type="STREET_ADDRESS",
        at=Label(
            (
                "address",
                "home address",
                "adresse",
                "anschrift",
                "wohnhaft in",
                "wohnt in der",
                "lives at",
                "living at",
                "resides at",
            )
        ),
        pattern=rf"\s{{0,2}}(?:is|:|lautet|est)?\s{{0,2}}(?P<v>(?:\d{{1,5}}[a-z]?,?\s)(?:[^\W\d_][\w.'-]{{1,20}}[\s,]{{1,2}}){{1,4}}?(?:{_WORD}|\d{{5}}){END})",
    ),
    Rule(
        type="POSTCODE",
        at=Run((1, 2), after=" a", before="a", leads=(1, 2)),
        pattern=rf"(?<![\w-]){_UK_POSTCODE}{END}",
        check=checks.uk_postcode,
    ),
    Rule(
        type="POSTCODE",
        at=Run((1,), after="a", before="a", leads=(1,)),
        pattern=rf"(?<![\w#-])[ABCEGHJ-NPRSTVXY]\d[A-Z][ -]?\d[A-Z]\d{END}",
    ),
    Rule(
        type="POSTCODE",
        at=Run((5,), after="-" + ENDS, before=" ", leads=(3,)),
        pattern=rf"(?<![\w-])[A-Z]{{2}}\s\d{{5}}(?:-\d{{4}})?{END}",
        check=checks.us_state_zip,
    ),
    Rule(
        type="POSTCODE",
        at=Run((5,), after="-"),
        pattern=rf"(?<![\w.,-])\d{{5}}-\d{{4}}{END}",
        unless=("part", "lot", "order", "batch", "no."),
    ),
    Rule(
        type="POSTCODE",
        at=Run((4, 5), after=ENDS, before="-", leads=(2, 3)),
        pattern=rf"(?<![\w-])(?:D|A|CH|F|B|NL|L)-\d{{4,5}}(?:\s{_WORD})?{END}",
    ),
    Rule(type="POSTCODE", at=Run((4,), after=" "), pattern=rf"(?<![\w.,-])[1-9]\d{{3}}\s[A-Z]{{2}}\s(?={_WORD})"),
    Rule(
        type="POSTCODE",
        at=Label(
            (
                "zip",
                "zip code",
                "zipcode",
                "postcode",
                "postal code",
                "post code",
                "postleitzahl",
                "plz",
                "code postal",
                "cap",
            )
        ),
        pattern=TAIL + r"(?P<v>[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d"
        r"|\d{4} (?-i:[A-Z]{2})|\d{2}-\d{3}|\d{3} \d{2}|\d{4,6}(?:-\d{4})?)" + END,
    ),
    *(
        Rule(type="COORDINATES", at=Run((1, 2, 3), after, before, (lead,)), pattern=pattern)
        for after, pattern in ((".", _DECIMAL), (".", _DECIMAL_WITH_LETTERS), ("°", _DEGREES))
        for before, lead in ((APART, 0), ("-", 1))
    ),
    Rule(
        type="VEHICLE",
        at=Anywhere(),
        pattern=r"(?<![A-Za-z0-9])(?=[A-HJ-NPR-Z]{0,14}[0-9])(?=[0-9]{0,14}[A-HJ-NPR-Z])[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{6}[0-9]{2}(?![A-Za-z0-9])",
        check=checks.vin,
    ),
    Rule(
        type="VEHICLE",
        at=Label(
            (
                "vin",
                "fin",
                "fahrgestellnummer",
                "fahrzeug identifizierungsnummer",
                "chassis no",
                "chassis number",
                "vehicle identification number",
            )
        ),
        pattern=TAIL + r"(?P<v>[A-HJ-NPR-Z0-9]{17})" + END,
    ),
    Rule(
        type="VEHICLE",
        at=Label(
            (
                "licence plate",
                "license plate",
                "number plate",
                "plate",
                "plate number",
                "plate no",
                "reg no",
                "registration plate",
                "vehicle registration",
                "kennzeichen",
                "kfz kennzeichen",
                "nummernschild",
                "plaque",
                "immatriculation",
                "kenteken",
            )
        ),
        pattern=TAIL
        + r"(?P<v>(?=[A-ZÄÖÜ -]{0,6}\d)(?:(?-i:[A-ZÄÖÜ0-9](?:[ -]?[A-ZÄÖÜ0-9]){3,8})|[a-z0-9]{4,8}))"
        + END,
    ),
    Rule(
        type="VEHICLE",
        at=Anywhere(("-",)),
        pattern=r"(?<![\w-])[A-ZÄÖÜ]{1,3}-[A-ZÄÖÜ]{1,2} [1-9]\d{0,3}[EH]?(?![\w-])",
    ),
    Rule(
        type="VEHICLE",
        at=Run((3,), after="-", before="-", leads=(3,)),
        pattern=r"(?<![\w-])[A-HJ-NP-TV-Z]{2}-\d{3}-[A-HJ-NP-TV-Z]{2}(?![\w-])",
        unless=("part", "lot", "pn", "p/n", "ref", "no.", "code"),
    ),
    Rule(
        type="VEHICLE",
        at=Run((2,), after=" ", before="a", leads=(2,)),
        pattern=r"(?<![\w-])[A-Z]{2}\d{2} [A-Z]{3}(?![\w-])",
    ),
)
