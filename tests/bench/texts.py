"""Makes varied texts as a clinic, a kiosk and a factory write them, in English and German, some with identifiers.

Every name and number is made up; numbers have the form of identifiers, and some their checksum.
"""

from __future__ import annotations

import random

NAMES = ("Selma Hartig", "Radek Simunek", "Mrs Okafor", "Dr. Brandt", "Ottilie Grün", "Kwame Asante", "Jürgen Maaß")
PLACES = ("Lindenstraße 14, 04109 Leipzig", "22 Harbour Road, Leith", "Am Alten Markt 3", "Unit 7, Mill Lane")
CLINIC = (
    "{name} came in at {time} with a cough that has lasted {small} days; no fever, appetite fair.",
    "Please move the follow-up of {name}, MRN {record}, to {date} and tell the ward.",
    "Blutdruck {small}0/80, Puls {two}, keine Allergien bekannt, Kontrolle in {small} Wochen.",
    "Patientin {name}, geboren am {date}, wohnhaft {place}, klagt über Schmerzen im linken Knie.",
    "Call back on {phone} after the blood test; the result goes to {mail}.",
    "Überweisung an die Radiologie, Versichertennummer {insured}, Termin am {date} um {time} Uhr.",
    "She takes one tablet in the morning, none at night, and asks whether coffee is allowed.",
)
KIOSK = (
    "Two coffees with oat milk, a cheese roll and a bottle of still water, to take away.",
    "Der Kunde möchte {small} Brezeln, einen Kakao ohne Sahne und die Rechnung getrennt.",
    "Where do I find platform {small}, and is the lift next to the bakery working today?",
    "Pay by card {card}, receipt to {mail} please.",
    "Ist das Parkhaus nach {time} Uhr noch offen, und was kostet eine Stunde?",
    "The ticket machine took my note and printed nothing; I wrote down order {record}.",
    "Do you have anything without nuts? My son is seven and would like something warm.",
)
FACTORY = (
    "Press {small} stopped at {time}: oil temperature {two} degrees, alarm E{two} acknowledged by shift B.",
    "Spindel an Maschine {small} läuft unrund, Lager tauschen, Teil PN-{record}-A aus Regal {small}.",
    "CONFIDENTIAL: tolerance of the new valve seat is 0.0{two} mm, do not forward.",
    "The conveyor at line {small} was cleaned, belt tension checked, no findings.",
    "Charge {record} gesperrt wegen Kratzern, Freigabe durch {name}, Rückfragen unter {phone}.",
    "Controller answers on 10.0.{small}.{two}, token sk_live_{secret}, firmware of {date}.",
    "Werkzeugwechsel nach {record} Hüben, danach {small} Probeteile messen und das Blatt abzeichnen.",
)
SITES = (CLINIC, KIOSK, FACTORY)
PLAIN = tuple(sentence for site in SITES for sentence in site if "{" not in sentence)
PLAIN_SHARE = 0.3
SYLLABLES = (
    "an",
    "ber",
    "dor",
    "el",
    "fin",
    "gar",
    "hel",
    "is",
    "kan",
    "lem",
    "mar",
    "nor",
    "pet",
    "sta",
    "ver",
    "mül",
)
WORDS = "ahnung breit cedar delta emsig fern grain hafen iris jetzt kilo lager motor nadel oben petrol"


def make_texts(number: int, *, characters: int, seed: int) -> list[str]:
    """Texts of exactly so many characters, each of one site or of plain talk; same seed, same texts."""
    source = random.Random(seed)
    return [_text(source, characters) for _ in range(number)]


def make_known(number: int, *, seed: int) -> list[str]:
    """Names and part codes that a site may know: one in ten is a code, and some are in the texts."""
    source = random.Random(seed)
    known = list(NAMES[:2])
    while len(known) < number:
        if len(known) % 10:
            known.append(" ".join(_made_up(source, 2 + part).capitalize() for part in range(2)))
        else:
            known.append(f"{_made_up(source, 1).upper()}-{source.randrange(1000, 100_000)}-{source.choice('ABCD')}")
    return known


def _made_up(source: random.Random, syllables: int) -> str:
    return "".join(source.choice(SYLLABLES) for _ in range(syllables))


def _text(source: random.Random, characters: int) -> str:
    site = PLAIN if source.random() < PLAIN_SHARE else source.choice(SITES)
    text = ""
    while len(text) < characters:
        text += _filled(source, source.choice(site)) + source.choice((" ", "\n"))
    return text[:characters]


def _filled(source: random.Random, sentence: str) -> str:
    first, last = source.choice(WORDS.split()), source.choice(WORDS.split())
    return sentence.format(
        name=source.choice(NAMES),
        place=source.choice(PLACES),
        time=f"{source.randrange(24)}:{source.randrange(60):02d}",
        date=f"{source.randrange(1, 29):02d}.{source.randrange(1, 13):02d}.{source.randrange(1940, 2026)}",
        small=source.randrange(1, 13),
        two=source.randrange(10, 100),
        record=source.randrange(10_000, 9_999_999),
        phone=f"+49 {source.randrange(30, 999)} {source.randrange(10_000, 9_999_999)}",
        mail=f"{first}.{last}@example.org",
        insured=f"{source.choice('AKMZ')}{source.randrange(10**8, 10**9)}",
        card=_with_luhn(f"4{source.randrange(10**13, 10**14)}"),
        secret="".join(source.choices("abcdefghjkmnpqrstuvwxyz23456789", k=24)),
    )


def _with_luhn(digits: str) -> str:
    """The digits and their check digit (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (2 - position % 2) for position, digit in enumerate(reversed(digits))]
    total = sum(value - 9 if value > 9 else value for value in doubled)
    return f"{digits}{-total % 10}"
