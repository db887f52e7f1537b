"""Whether a value that has the right shape is one: checksums and ranges. Each takes the value as written.

Published algorithms come from python-stdnum, loaded when first needed; only those it lacks are written here.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cache

from homebred_daemon.core.vocabulary import WORDS

Check = Callable[[str], bool]
_Library = Callable[..., bool]
_NOT_ALPHANUMERIC = re.compile(r"[^0-9A-Za-z]")


def stdnum(module: str) -> Check:
    """The check `stdnum.<module>.is_valid`, imported at its first use."""

    def holds(value: str) -> bool:
        return _is_valid(module)(value)

    return holds


@cache
def _is_valid(module: str) -> _Library:
    validate: _Library = importlib.import_module(f"stdnum.{module}").is_valid
    return validate


def _plain(value: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", value).upper()


def _luhn(digits: str) -> bool:
    return _is_valid("luhn")(digits)


def us_ssn(value: str) -> bool:
    """Area not 000, 666 or 9xx, group not 00, serial not 0000 (SSA POMS RM 10201.035)."""
    digits = _plain(value)
    return digits[:3] not in {"000", "666"} and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def us_itin(value: str) -> bool:
    """9xx with a group that the IRS assigns: 50-65, 70-88, 90-92, 94-99."""
    group = int(_plain(value)[3:5])
    return group in {*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)}


def uk_nino(value: str) -> bool:
    """A prefix that HMRC allocates (NIM39110)."""
    return _plain(value)[:2] not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}


def kvnr(value: str) -> bool:
    """German Krankenversichertennummer: letter as two digits, weights 1 and 2, digit sums, modulo 10 (§ 290 SGB V)."""
    plain = _plain(value)
    digits = f"{ord(plain[0]) - 64:02d}{plain[1:9]}"
    return sum(_digit_sum(int(d) * (1 + i % 2)) for i, d in enumerate(digits)) % 10 == int(plain[9])


def rvnr(value: str) -> bool:
    """German Rentenversicherungsnummer: weights 2 1 2 5 7 1 2 1 2 1 2 1, digit sums, modulo 10 (VKVV § 4)."""
    plain = _plain(value)
    digits = f"{plain[:8]}{ord(plain[8]) - 64:02d}{plain[9:11]}"
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    return sum(_digit_sum(int(d) * w) for d, w in zip(digits, weights, strict=True)) % 10 == int(plain[11])


def _digit_sum(number: int) -> int:
    return number // 10 + number % 10


def iban(value: str) -> bool:
    """The check of ISO 13616 and the length of the country; a bank's own check inside is not looked at."""
    return _is_valid("iban")(value, check_country=False)


def latvian(value: str) -> bool:
    """A personal code, which is read like a tax number but begins with a birthday."""
    return int(value[:2]) <= 31 and _is_valid("lv.pvn")(value)  # noqa: PLR2004 - days


def luxembourg(value: str) -> bool:
    """Matricule: a birthday and a serial, Luhn over both, then Verhoeff over both (law of 19 June 2013)."""
    return _luhn(value[:12]) and _is_valid("verhoeff")(value[:11] + value[12])


def nuss(value: str) -> bool:
    """Spanish social security number: the rest of province and serial by 97."""
    digits = _plain(value)
    province, serial = int(digits[:2]), digits[2:10]
    return int(f"{province}{serial.removeprefix('0')}") % 97 == int(digits[10:])


def taj(value: str) -> bool:
    """Hungarian social security number: weights 3 and 7, modulo 10 (Act XX of 1996)."""
    *digits, last = map(int, _plain(value))
    return sum(digit * weight for digit, weight in zip(digits, (3, 7) * 4, strict=True)) % 10 == last


def medicare_australia(value: str) -> bool:
    """Australian Medicare card: weights 1, 3, 7, 9 over eight digits, modulo 10, then the issue."""
    digits = [int(char) for char in _plain(value)]
    return sum(d * w for d, w in zip(digits, (1, 3, 7, 9) * 2, strict=False)) % 10 == digits[8]


_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CHECKS = {1, 0x2BC830A3}  # BIP 173, and BIP 350 for the later versions


def bech32(value: str) -> bool:
    """The checksum of a Bitcoin address that begins with `bc1`, over its prefix and its data."""
    remainder = 1
    for symbol in (3, 3, 0, 2, 3, *map(_BECH32.index, value[3:])):
        top, remainder = remainder >> 25, (remainder & 0x1FFFFFF) << 5 ^ symbol
        for place, generator in enumerate(_BECH32_GENERATORS):
            remainder ^= generator if top >> place & 1 else 0
    return remainder in _BECH32_CHECKS


def npi(value: str) -> bool:
    """US National Provider Identifier: Luhn with the prefix 80840 (45 CFR 162.406)."""
    return _luhn("80840" + _plain(value))


def dea(value: str) -> bool:
    """DEA registration number: d1 + d3 + d5 + 2 (d2 + d4 + d6) ends in d7."""
    digits = [int(char) for char in _plain(value)[2:]]
    return (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def aba_routing(value: str) -> bool:
    """ABA routing number: weights 3, 7, 1, modulo 10."""
    digits = _plain(value)
    return sum(int(d) * w for d, w in zip(digits, (3, 7, 1) * 3, strict=True)) % 10 == 0


# Issuer ranges by prefix, with the lengths issued (ISO/IEC 7812 and the schemes' public tables).
_CARD_LENGTHS = (
    (re.compile(r"4"), {16, 19}),
    (re.compile(r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"3(?:0[0-5]|[689])"), {14, 16}),
    (re.compile(r"35(?:2[89]|[3-8])"), {16, 17, 18, 19}),
    (re.compile(r"6(?:011|4[4-9]|5|2)"), {16, 17, 18, 19}),
    (re.compile(r"(?:50[1-8]|5[6-8]|6[0-9])"), {12, 13, 14, 15, 16, 17, 18, 19}),
)


def credit_card(value: str) -> bool:
    """Luhn, and an issuer that has numbers of this length."""
    digits = _plain(value)
    return any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _CARD_LENGTHS) and _luhn(digits)


def card_by_context(value: str) -> bool:
    """Luhn alone, for a number that the text calls a card."""
    digits = _plain(value)
    return len(set(digits)) > 1 and _luhn(digits)


def fr_nir(value: str) -> bool:
    """The key of a French NIR, modulo 97; a card number that happens to fit stays a card number."""
    return _is_valid("fr.nir")(value) and not credit_card(value)


def imei(value: str) -> bool:
    """Luhn over 15 digits (3GPP TS 23.003 B.2)."""
    return _luhn(_plain(value))


_VIN_VALUES = {str(digit): digit for digit in range(10)}
for _letters, _first in (("ABCDEFGH", 1), ("JKLMN", 1), ("P", 7), ("R", 9), ("STUVWXYZ", 2)):
    _VIN_VALUES |= {letter: _first + place for place, letter in enumerate(_letters)}
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def vin(value: str) -> bool:
    """The check digit at the ninth place (49 CFR 565.15); European makers do not all set it."""
    remainder = sum(_VIN_VALUES[char] * w for char, w in zip(value.upper(), _VIN_WEIGHTS, strict=True)) % 11
    return value[8].upper() == "0123456789X"[remainder]


def ip_v6(value: str) -> bool:
    """An address that the standard library reads, with more to it than `::`."""
    ipaddress = importlib.import_module("ipaddress")
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return any(char.isalnum() for char in value)


def calendar_date(value: str) -> bool:
    """A day and a month among the first two; with a short year between dots both are written with two digits."""
    first, second, last = re.split(r"[./-]", value)[:3]
    short_year = len(last) < 4  # noqa: PLR2004 - digits of a year
    if short_year and "." in value and not len(first) == len(second) == 2:  # noqa: PLR2004 - 1.2.13 is a version
        return False
    return min(int(first), int(second)) <= 12  # noqa: PLR2004 - months


def phone(value: str) -> bool:
    """Eight to fifteen digits (ITU-T E.164) that do not spell a date or a round figure."""
    digits = _plain(value)
    if re.match(r"\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d", value) or digits.endswith("000000"):
        return False
    return 8 <= len(digits) <= 15  # noqa: PLR2004 - E.164, and the shortest national numbers


_US_STATES = re.compile(
    "A[KLRSZ]|C[AOT]|D[CE]|FL|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEINOPST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]"
)


def us_state_zip(value: str) -> bool:
    """A state's abbreviation before the ZIP code."""
    return _US_STATES.match(value) is not None


_UK_AREAS = re.compile(
    "A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]|E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GMPV]|JE|K[ATWY]|L[ADELNSU]?|"
    "M[EKL]?|N[EGNPRW]?|O[LX]|P[AEHLOR]|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|ZE"
)


def uk_postcode(value: str) -> bool:
    """A postcode area that exists."""
    return _UK_AREAS.fullmatch(re.split(r"\d", value, maxsplit=1)[0]) is not None


def unknown_words(value: str) -> bool:
    """A name, not a heading: some word of it is no common word."""
    return any(word.lower() not in WORDS for word in re.findall(r"[^\W\d_]{2,}", value))


def part_code(value: str) -> bool:
    """A code that stands behind a bare "part" or "lot": digits, and letters, a dash or enough of them."""
    digits = sum(char.isdigit() for char in value)
    return digits > 1 and not re.fullmatch(
        r"\d+(?:st|nd|rd|th)|(?:19|20)\d\d|\d{1,4}[a-z]{1,3}|\d+-\d{1,2}|\d+[./]\d+", value
    )
