"""Addresses that only a text that leaves is searched for: streets abroad and in small letters, further postcodes.

A table of patterns for `cloud_context`, which runs it; the cloud lane's alone (tier 3). `places` has what both lanes
look for, `address_parts` what is taken along.
"""

from __future__ import annotations

from homebred_daemon.adapters.detectors.shapes import REST, UPPER, one_of

_APART = r"(?<![\w./$€£-])(?<!\d,)"
_NAME = rf"[{UPPER}]{REST}{{1,30}}"
_POSTCODE = "(?:zip|postcode|post code|postal code|plz)(?: code)?"
_FILLER = "(?:(?i:is|was|to|of|number|for|it|the|my|new|our|your)[ :]{1,2}){0,4}"
# Small letters: a number, up to three words that join no clause, a word for a way.
_CLAUSE = one_of(
    "on in at of the a an per from to and or for with is by down more other people cars miles km hours days minutes"
)
_STREET = one_of("street avenue ave road rd lane boulevard blvd terrace crescent highway parkway turnpike mews grove")
_MAYBE_STREET = one_of("drive way court square place st dr ln ct close gardens loop hwy circle trail walk row hill")
_LAID_OUT = rf"{_APART}\d{{1,5}}[a-z]?(?:[-/]\d{{1,5}})?,? (?:(?!{_CLAUSE}\b)[^\W_][\w'.-]{{1,20}} ){{1,3}}?"
_WAY = one_of(
    r"rue avenue boulevard bd allée chemin quai impasse via viale vicolo corso largo contrada canale borgo incrocio"
    r" stretto piazza strada calle avenida plaza paseo camino travessa praça alameda rua carrer bulevardul aleea"
    r" intrarea ulica ul\. al\. aleja os\. trg náměstí nám\. c\."
)
_WAY_OF = r"(?:(?:de la|de los|de las|della|delle|del|dei|di|de|do|da|dos|das|du|des|d')[ ']?)?"
_BEHIND = one_of(
    "pot most cesta ulica ulice utca tér út körút šetalište vijenac obala trg náměstí gatan gata gate vägen vej vejen"
    " gade katu tie kuja iela gatvė tänav sokak caddesi cad. straat laan plein kade singel weg gasse platz allee straße"
    " strasse str. ring ufer damm steig promenade"
)
_ARTICLE = "(?:d(?:er|em|en|as)|(?:m|d|s|k)?ein(?:er|em|en)?|unser\\w{0,2}|ihr\\w{0,2}|versehen|angst|neugier)"
_TOWN = r"[^\W\d_][\w-]{2,30}"
_HOUSE_END = r"(?![\w:%]|[.,]\d)"

RULES: tuple[tuple[str, str], ...] = (
    ("STREET_ADDRESS", r"(?i:\b(?:psc|unit|cmr) \d{1,5},? box \d{1,5}(?:\s{1,3}[adf]po,? a[aep],? \d{5}\b)?)"),
    ("STREET_ADDRESS", r"(?i:\b(?:the )?corner of )(?=[^\W\d_]|\d)"),
    ("STREET_ADDRESS", r"(?i:\b[adf]po,? a[aep],? \d{5})(?!\w)"),
    ("STREET_ADDRESS", r",\s{0,2}(?P<v>[A-Z]{1,3},?\s{1,4}\d{4,6}(?:-\d{4})?)(?!\w)"),
    ("STREET_ADDRESS", r"(?i:\bp\.? ?o\.? ?box \d{1,6}\b)"),
    ("STREET_ADDRESS", rf"(?i:{_LAID_OUT}{_STREET}\b\.?)"),
    ("STREET_ADDRESS", rf"(?i:{_LAID_OUT}{_MAYBE_STREET}\b\.?(?=[,\n;]|$| (?:in|apt|suite|unit|flat|#)\b))"),
    (  # Mizarska pot 786, Vrazovo šetalište 5b/4
        "STREET_ADDRESS",
        (
            rf"(?<!\w){_NAME}(?: [{UPPER}a-zà-ž]{REST}{{1,20}})? (?i:{_BEHIND}) \d{{1,4}} ?[a-z]?"
            rf"(?:[/-]\d{{1,4}}[a-z]?)?{_HOUSE_END}"
        ),
    ),
    (  # Largo de Maia, 21; al. Jana III Sobieskiego 401
        "STREET_ADDRESS",
        (
            rf"(?<!\w)(?i:{_WAY}) {_WAY_OF}{_NAME}(?: (?:(?:de|da|do|del|di|la|e|y|dos) ){{0,2}}{_NAME}){{0,3}}"
            rf"(?:,? (?:n[ºr.]{{1,2}} ?)?\d{{1,4}}[a-z]?(?:/\d{{1,4}})?{_HOUSE_END})?"
        ),
    ),
    (
        "LOCATION",
        rf"(?i:\b(?:ich|wir) (?:bin|sind|komm|stamm)\w{{0,3}}\b[^.!?\n]{{0,40}}? aus) (?!{_ARTICLE}\b)(?P<v>{_TOWN})",
    ),
    ("POSTCODE", r"(?i:\b[a-z]{1,2}\d[a-z\d]? \d[abd-hjlnp-uw-z]{2}\b)"),  # British
    ("POSTCODE", r"(?i:(?<![\w-])[abceghj-nprstvxy]\d[a-z] ?\d[a-z]\d(?![\w-]))"),  # Canadian
    ("POSTCODE", r"(?i:(?<![\w-])[ac-fhknprtv-y]\d[\dw] (?=[a-z]{0,3}\d)[\dac-fhknprtv-y]{4}(?![\w-]))"),  # Irish
    ("POSTCODE", r"(?i:\b(?:in|to|at|near|from|around)) (?P<v>\d{5})(?<!000)(?=[.,!?;](?!\d)|\s|$)"),
    ("POSTCODE", rf"(?i:\b{_POSTCODE})[ :#]{{1,3}}{_FILLER}(?P<v>(?=[\w-]{{0,9}}\d)[\w-]{{3,10}}(?: \d\w{{1,3}}\b)?)"),
)
