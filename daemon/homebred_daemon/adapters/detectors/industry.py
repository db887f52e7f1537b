"""What a factory keeps to itself: part, lot and drawing codes and markers (they raise `trade_secret`), and devices."""

from __future__ import annotations

import re

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import ENDS, Label, Rule, Run, Start
from homebred_daemon.adapters.detectors.shapes import CODE, DISTINCT_CODE, END, TAIL, numbered

_PART_WORDS = (
    *(
        "p/n",
        "pn",
        "partnumber",
        "teilenummer",
        "teilenr",
        "sachnummer",
        "zeichnungsnummer",
        "zeichnungsnr",
        "rezepturnummer",
    ),
    *(
        "chargennummer",
        "chargennr",
        "losnummer",
        "werkzeugnummer",
        "stücklistennummer",
        "materialnummer",
        "bauteilnummer",
    ),
    *("numéro de pièce", "référence pièce", "réf. pièce", "numéro de lot", "n° de lot", "n° de plan", "numéro de plan"),
    *numbered(
        "part", "lot", "batch", "drawing", "dwg", "mould", "mold", "tool", "recipe", "formula", "formulation", "bom"
    ),
    *numbered(
        "component", "assembly", "teile", "zeichnungs", "chargen", "charge", "los", "rezeptur", "werkzeug", "material"
    ),
    *numbered("die", "pattern", "blueprint", "melt", "heat", "coil", "revision"),
)
_BARE_PART_WORDS = (
    "part",
    "lot",
    "batch",
    "charge",
    "drawing",
    "dwg",
    "zeichnung",
    "rezeptur",
    "recipe",
    "bauteil",
    "teil",
    "lot #",
)
_DEVICE_WORDS = (
    *(
        "serial",
        "s/n",
        "seriennummer",
        "seriennr",
        "serien nr",
        "gerätenummer",
        "geräte nr",
        "geräte id",
        "numéro de série",
    ),
    *("n° de série", "udi", "asset tag", "matrikel gerät", "inventarnummer", "serienummer"),
    *numbered("serial", "device", "asset", "pacemaker", "implant", "equipment", "machine serial"),
)
_MARKERS = (
    *(
        "trade secret",
        "trade-secret",
        "commercial in confidence",
        "company secret",
        "internal use only",
        "internal only",
    ),
    *(
        "for internal use",
        "not for distribution",
        "do not distribute",
        "do not share outside",
        "eyes only",
        "top secret",
    ),
    *(
        "strictly private",
        "need to know basis",
        "streng geheim",
        "betriebsgeheimnis",
        "geschäftsgeheimnis",
    ),
    *("firmengeheimnis", "nur intern", "nur für den internen gebrauch", "nur für den dienstgebrauch"),
    *("nur zum internen gebrauch", "nicht zur weitergabe", "vs-nfd", "secret industriel", "secret de fabrication"),
    *("secret des affaires", "secret d'affaires", "usage interne", "diffusion restreinte"),
    *(
        "ne pas diffuser",
        "restricted distribution",
        "under embargo",
        "confidencial",
        "riservato",
        "strettamente riservato",
    ),
)

RULES = (
    Rule(type="PART_CODE", at=Label(_PART_WORDS), pattern=TAIL + CODE),
    Rule(
        type="PART_CODE",
        at=Label(_BARE_PART_WORDS),
        pattern=r"(?![^\W_])[\s:#]{1,3}" + DISTINCT_CODE,
        check=checks.part_code,
    ),
    Rule(type="DEVICE_ID", at=Label(_DEVICE_WORDS), pattern=TAIL + CODE),
    Rule(type="DEVICE_ID", at=Label(("imei",)), pattern=TAIL + r"(?P<v>\d(?:[ -]?\d){13,15})" + END),
    Rule(
        type="DEVICE_ID", at=Run((2,), after="-"), pattern=r"(?<![\w-])\d\d-\d{6}-\d{6}-\d(?![\w-])", check=checks.imei
    ),
    Rule(
        type="DEVICE_ID",
        at=Run((15,), after=ENDS),
        pattern=r"(?<![\w.-])\d{15}(?![\w-])",
        check=checks.imei,
        context=("imei", "device", "handset", "phone", "gerät", "appareil"),
    ),
    Rule(
        type="MARKER",
        at=Start(_MARKERS),
        pattern=rf"(?i:{'|'.join(map(re.escape, _MARKERS))})s?(?![^\W_]| act\b| laws?\b)",
    ),
    # "confidentiality" is a topic, "confidential" a marker.
    Rule(
        type="MARKER",
        at=Start(("confidential", "confidentiel")),
        pattern=r"(?i:confidential|confidentiel(?:le)?s?)(?![^\W_])",
        unless=("non-", "not "),
    ),
    Rule(
        type="MARKER",
        at=Start(("vertraulich",)),
        pattern=r"(?i:vertraulich(?:e[rsnm]?)?)(?![^\W_])",
        unless=("nicht ",),
    ),
    Rule(
        type="MARKER",
        at=Start(("proprietary",)),
        pattern=r"(?i:proprietary)(?![^\W_])(?!\s(?i:software|formats?|licen[cs]es?|vendors?|solutions?|or"
        r"|vs|versus|and open|models?|platforms?|protocols?))",
        unless=("non-", "versus ", "vs ", "or "),
    ),
    Rule(
        type="MARKER",
        at=Start(
            (
                "under nda",
                "under an nda",
                "under the nda",
                "under our nda",
                "nda-protected",
                "nda protected",
                "covered by nda",
                "covered by an nda",
                "subject to nda",
                "subject to an nda",
                "nda:",
                "nda only",
                "signed nda",
                "[nda]",
            )
        ),
        pattern=r"\[?(?i:[a-z ]{0,16}nda(?:[- ]protected| only|:|\])?)",
    ),
)
