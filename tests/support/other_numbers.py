"""Numbers of cards, accounts and things, and personal numbers from outside Europe, each with its check."""

from __future__ import annotations

import random

from tests.support.check_digits import (
    base36,
    digits_of,
    grouped,
    grouped_or_not,
    italian_letter,
    luhn,
    verhoeff,
    weighted,
)
from tests.support.made_values import made

_CARDS = (
    (("4",), 16, (4, 4, 4, 4)),
    (("51", "52", "53", "54", "55", "2221", "2500", "2720"), 16, (4, 4, 4, 4)),
    (("34", "37"), 15, (4, 6, 5)),
    (("6011", "65", "644"), 16, (4, 4, 4, 4)),
    (("300", "305", "36", "38"), 14, (4, 6, 4)),
    (("3528", "3589"), 16, (4, 4, 4, 4)),
    (("62",), 16, (4, 4, 4, 4)),
    (("5018", "5020", "6304"), 16, (4, 4, 4, 4)),
)


def card(source: random.Random) -> str:
    prefixes, length, sizes = source.choice(_CARDS)
    prefix = source.choice(prefixes)
    return grouped_or_not(source, luhn(prefix + digits_of(source, length - 1 - len(prefix))), sizes, " -")


_PLAIN_ACCOUNTS = {
    "DE": "{d:18}",
    "AT": "{d:16}",
    "CH": "{d:17}",
    "GB": "NWBK{d:14}",
    "NL": "ABNA0{d:9}",
    "SE": "{d:20}",
    "DK": "{d:14}",
    "IE": "AIBK{d:14}",
    "LU": "{d:16}",
}


def _spanish_account(source: random.Random) -> str:
    bank, account = digits_of(source, 8), digits_of(source, 10)
    weights = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)
    checks = [(11 - weighted(part, weights)) % 11 for part in (f"00{bank}", account)]
    return bank + "".join(str(1 if check == 10 else check) for check in checks) + account


def _belgian_account(source: random.Random) -> str:
    body = digits_of(source, 10)
    return f"{body}{int(body) % 97 or 97:02d}"


def _portuguese_account(source: random.Random) -> str:
    body = digits_of(source, 19)
    return f"{body}{98 - int(body) * 100 % 97:02d}"


def _polish_account(source: random.Random) -> str:
    bank = digits_of(source, 7)
    return f"{bank}{-weighted(bank, (3, 9, 7, 1, 3, 9, 7)) % 10}{digits_of(source, 16)}"


def _french_account(source: random.Random) -> str:
    body = digits_of(source, 21)
    return f"{body}{97 - (89 * int(body[:5]) + 15 * int(body[5:10]) + 3 * int(body[10:])) % 97:02d}"


def _italian_account(source: random.Random) -> str:
    body = digits_of(source, 22)
    return italian_letter(body) + body


_CHECKED_ACCOUNTS = {
    "ES": _spanish_account,
    "BE": _belgian_account,
    "PT": _portuguese_account,
    "IT": _italian_account,
    "PL": _polish_account,
    "FR": _french_account,
}


def iban(source: random.Random) -> str:
    country = source.choice((*_PLAIN_ACCOUNTS, *_CHECKED_ACCOUNTS))
    bban = made(_PLAIN_ACCOUNTS[country], source) if country in _PLAIN_ACCOUNTS else _CHECKED_ACCOUNTS[country](source)
    check = 98 - base36(f"{bban}{country}00") % 97
    iban = f"{country}{check:02d}{bban}"
    return source.choice((iban, grouped(iban, (4,) * -(-len(iban) // 4), " "), iban))


def aba(source: random.Random) -> str:
    body = f"{source.choice(('01', '02', '03', '11', '12'))}{digits_of(source, 6)}"
    return f"{body}{-weighted(body, (3, 7, 1, 3, 7, 1, 3, 7)) % 10}"


_MBI_LETTERS = "ACDEFGHJKMNPQRTUVWXY"


def mbi(source: random.Random) -> str:
    """A Medicare Beneficiary Identifier, place by place: digit, letter, either, digit, and so on (CMS)."""
    alphabets = {"C": "123456789", "A": _MBI_LETTERS, "E": _MBI_LETTERS + "0123456789", "N": "0123456789"}
    return grouped_or_not(source, "".join(source.choice(alphabets[place]) for place in "CAENAENAANN"), (4, 3, 4), "-")


def ssn(source: random.Random) -> str:
    area = source.choice([number for number in range(1, 900) if number != 666])
    return f"{area:03d}-{source.randint(1, 99):02d}-{source.randint(1, 9999):04d}"


def ssn_labelled(source: random.Random) -> str:
    return source.choice((ssn(source), ssn(source).replace("-", ""), ssn(source).replace("-", " ")))


def no_ssn(source: random.Random) -> str:
    return source.choice(
        (
            made("000-{d:2}-{d:4}", source),
            made("666-{d:2}-{d:4}", source),
            made("5{d:2}-00-{d:4}", source),
            made("5{d:2}-{d:2}-0000", source),
        )
    )


def itin(source: random.Random) -> str:
    group = source.choice([*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)])
    return f"9{digits_of(source, 2)}-{group}-{digits_of(source, 4)}"


def npi(source: random.Random) -> str:
    return luhn(f"80840{source.choice('12')}{digits_of(source, 8)}")[5:]


def dea(source: random.Random) -> str:
    body = digits_of(source, 6)
    check = (weighted(body, (1, 2, 1, 2, 1, 2))) % 10
    return f"{source.choice('ABFGMPR')}{source.choice('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}{body}{check}"


_VIN_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
)


def vin(source: random.Random) -> str:
    alphabet = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
    body = source.choice(("1HG", "1FA", "WBA", "WVW", "JTD", "3VW", "5YJ")) + "".join(source.choices(alphabet, k=5))
    tail = "".join(source.choices(alphabet, k=4)) + digits_of(source, 5)
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(
        _VIN_VALUES.get(char, 0) * w if char.isalpha() else int(char) * w
        for char, w in zip(body + tail[:8], weights, strict=True)
    )
    return f"{body}{'0123456789X'[total % 11]}{tail[:8]}"


def imei(source: random.Random) -> str:
    return grouped_or_not(source, luhn(f"35{digits_of(source, 12)}"), (2, 6, 6, 1), "- ")


def sin(source: random.Random) -> str:
    return grouped_or_not(source, luhn(f"{source.choice('124567')}{digits_of(source, 7)}"), (3, 3, 3), " -")


def aadhaar(source: random.Random) -> str:
    return grouped_or_not(source, verhoeff(f"{source.randint(2, 9)}{digits_of(source, 10)}"), (4, 4, 4), " -")


def cpf(source: random.Random) -> str:
    body = digits_of(source, 9)
    for _ in range(2):
        check = 11 - weighted(body, range(len(body) + 1, 1, -1)) % 11
        body += str(0 if check > 9 else check)
    return source.choice((body, f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"))


def medicare_australia(source: random.Random) -> str:
    body = f"{source.randint(2, 6)}{digits_of(source, 7)}"
    number = f"{body}{weighted(body, (1, 3, 7, 9, 1, 3, 7, 9)) % 10}{source.randint(1, 5)}"
    return grouped_or_not(source, number, (4, 5, 1), " ")


def bech32(source: random.Random) -> str:
    """A SegWit address of version 0 (BIP 173)."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    data = [0, *(source.randrange(32) for _ in range(31)), source.choice((0, 16))]
    expanded = [3, 3, 0, 2, 3, *data, *[0] * 6]
    check = 1
    for value in expanded:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    check ^= 1
    return "bc1" + "".join(alphabet[v] for v in (*data, *(check >> 5 * (5 - i) & 31 for i in range(6))))
