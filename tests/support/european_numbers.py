"""Personal numbers of Europe's states and insurances, each with its check."""

from __future__ import annotations

import random

from tests.support.check_digits import (
    birthday,
    digit_sums,
    digits_of,
    first_valid,
    grouped_or_not,
    italian_letter,
    luhn,
    verhoeff,
    weighted,
)


def _nhs_digits(source: random.Random) -> str | None:
    body = digits_of(source, 9)
    check = 11 - weighted(body, range(10, 1, -1)) % 11
    return None if check == 10 else f"{body}{check % 11}"


def nhs(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _nhs_digits), (3, 3, 4), " -")


def nino(source: random.Random) -> str:
    prefix = source.choice(("AB", "CE", "JK", "PW", "SR", "TY", "LX", "HN"))
    return grouped_or_not(source, f"{prefix}{digits_of(source, 6)}{source.choice('ABCD')}", (2, 2, 2, 2, 1), " ")


def pps(source: random.Random) -> str:
    body = digits_of(source, 7)
    second = source.choice(("", "A", "W", "B"))
    value = weighted(body, range(8, 1, -1)) + (9 * (ord(second) - 64) if second and second != "W" else 0)
    return f"{body}{'WABCDEFGHIJKLMNOPQRSTUV'[value % 23]}{second}"


def kvnr(source: random.Random) -> str:
    letter, body = source.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), digits_of(source, 8)
    check = digit_sums(f"{ord(letter) - 64:02d}{body}", (1, 2) * 5) % 10
    return f"{letter}{body}{check}"


def rvnr(source: random.Random) -> str:
    year, month, day = birthday(source)
    area, letter, serial = source.choice(("15", "65", "12", "53")), source.choice("ABCHKMSW"), digits_of(source, 2)
    digits = f"{area}{day:02d}{month:02d}{year % 100:02d}{ord(letter) - 64:02d}{serial}"
    check = digit_sums(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)) % 10
    return grouped_or_not(source, f"{digits[:8]}{letter}{serial}{check}", (2, 6, 1, 3), " ")


def _idnr_digits(source: random.Random) -> str | None:
    digits = source.sample("0123456789", 10)
    digits[source.randrange(1, 10)] = digits[0]  # one digit twice, one missing
    if digits[0] == "0":
        return None
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return "".join(digits) + str((11 - product) % 10)


def idnr(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _idnr_digits), (2, 3, 3, 3), " ")


def _austrian_digits(source: random.Random) -> str | None:
    year, month, day = birthday(source)
    serial, birth = str(source.randint(100, 999)), f"{day:02d}{month:02d}{year % 100:02d}"
    check = (weighted(serial, (3, 7, 9)) + weighted(birth, (5, 8, 4, 2, 1, 6))) % 11
    return None if check == 10 else f"{serial}{check}{birth}"


def austrian(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _austrian_digits), (4, 6), " ")


def ahv(source: random.Random) -> str:
    body = f"756{digits_of(source, 9)}"
    return grouped_or_not(source, f"{body}{-weighted(body, (1, 3) * 6) % 10}", (3, 4, 4, 2), ".")


def nir(source: random.Random) -> str:
    year, month, _ = birthday(source)
    department = source.choice((*(f"{number:02d}" for number in range(1, 96) if number != 20), "2A", "2B"))
    birth = f"{source.choice('12')}{year % 100:02d}{month:02d}"
    body = f"{birth}{department}{digits_of(source, 3)}{source.randint(1, 999):03d}"
    number = int(body.replace("2A", "19").replace("2B", "18")) if department in {"2A", "2B"} else int(body)
    return grouped_or_not(source, f"{body}{97 - number % 97:02d}", (1, 2, 2, 2, 3, 3, 2), " ")


def spi(source: random.Random) -> str:
    body = f"{source.choice('0123')}{digits_of(source, 9)}"
    return grouped_or_not(source, f"{body}{int(body) % 511:03d}", (2, 2, 3, 3, 3), " ")


def belgian(source: random.Random) -> str:
    year, month, day = birthday(source)
    body = f"{year % 100:02d}{month:02d}{day:02d}{source.randint(1, 997):03d}"
    number = f"{body}{97 - int(body) % 97:02d}"
    return source.choice((number, f"{body[:2]}.{body[2:4]}.{body[4:6]}-{body[6:]}.{number[-2:]}"))


def _bsn_digits(source: random.Random) -> str | None:
    body = f"{source.randint(1, 9)}{digits_of(source, 7)}"
    check = weighted(body, range(9, 1, -1)) % 11
    return None if check == 10 else f"{body}{check}"


def bsn(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _bsn_digits), (4, 2, 3), " .")


def luxembourg(source: random.Random) -> str:
    year, month, day = birthday(source)
    body = f"{year}{month:02d}{day:02d}{digits_of(source, 3)}"
    return luhn(body) + verhoeff(body)[-1]


def nuss(source: random.Random) -> str:
    province, serial = source.randint(1, 50), source.randint(10_000_000, 99_999_999)
    return grouped_or_not(source, f"{province:02d}{serial}{int(f'{province}{serial}') % 97:02d}", (2, 8, 2), " /")


_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def dni(source: random.Random) -> str:
    body = digits_of(source, 8)
    return f"{body}{source.choice(('', '-'))}{_DNI[int(body) % 23]}"


def nie(source: random.Random) -> str:
    first, body = source.randrange(3), digits_of(source, 7)
    dash = source.choice(("", "-"))
    return f"{'XYZ'[first]}{dash}{body}{dash}{_DNI[int(f'{first}{body}') % 23]}"


def codice_fiscale(source: random.Random) -> str:
    consonants = "BCDFGLMNPRSTVZ"
    name = "".join(source.choices(consonants, k=6))
    year, month, day = birthday(source)
    place = f"{source.choice('ABCDEFGHL')}{source.randint(1, 999):03d}"
    body = f"{name}{year % 100:02d}{'ABCDEHLMPRST'[month - 1]}{day + source.choice((0, 40)):02d}{place}"
    return body + italian_letter(body)


def portuguese(source: random.Random) -> str:
    body = f"{source.choice('12')}{digits_of(source, 7)}"
    check = 11 - weighted(body, range(9, 1, -1)) % 11
    return grouped_or_not(source, f"{body}{0 if check > 9 else check}", (3, 3, 3), " ")


def amka(source: random.Random) -> str:
    year, month, day = birthday(source)
    return luhn(f"{day:02d}{month:02d}{year % 100:02d}{digits_of(source, 4)}")


def personnummer(source: random.Random) -> str:
    year, month, day = birthday(source)
    body = luhn(f"{year % 100:02d}{month:02d}{day:02d}{source.randint(1, 999):03d}")
    return f"{source.choice(('', str(year)[:2]))}{body[:6]}-{body[6:]}"


def _cpr_digits(source: random.Random) -> str | None:
    year, month, day = birthday(source, 1937, 1999)
    body = f"{day:02d}{month:02d}{year % 100:02d}{source.randrange(100, 400)}"
    check = -weighted(body, (4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return None if check == 10 else f"{body}{check}"


def cpr(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _cpr_digits), (6, 4), "-")


def _norwegian_digits(source: random.Random) -> str | None:
    year, month, day = birthday(source, 1940, 1999)
    body = f"{day:02d}{month:02d}{year % 100:02d}{source.randrange(500):03d}"
    first = -weighted(body, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -weighted(f"{body}{first}", (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return None if 10 in {first, second} else f"{body}{first}{second}"


def norwegian(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _norwegian_digits), (6, 5), " ")


def hetu(source: random.Random) -> str:
    century = source.choice((19, 20))
    year, month, day = source.randrange(30, 99) if century == 19 else source.randrange(10), *birthday(source)[1:]
    date, serial = f"{day:02d}{month:02d}{year:02d}", f"{source.randrange(2, 900):03d}"
    check = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(date + serial) % 31]
    return f"{date}{'-' if century == 19 else 'A'}{serial}{check}"


def _kennitala_digits(source: random.Random) -> str | None:
    year, month, day = birthday(source)
    body = f"{day:02d}{month:02d}{year % 100:02d}{source.randint(20, 99)}"
    check = -weighted(body, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return None if check == 10 else f"{body}{check}9"


def kennitala(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _kennitala_digits), (6, 4), "-")


def pesel(source: random.Random) -> str:
    year, month, day = birthday(source)
    body = f"{year % 100:02d}{month:02d}{day:02d}{digits_of(source, 4)}"
    return f"{body}{-weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10}"


def baltic(source: random.Random) -> str:
    """The personal code of Estonia and Lithuania: two rounds of weights."""
    year, month, day = birthday(source)
    body = f"{source.choice('34')}{year % 100:02d}{month:02d}{day:02d}{digits_of(source, 3)}"
    check = weighted(body, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(body, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return f"{body}{check}"


def _latvian_digits(source: random.Random) -> str | None:
    year, month, day = birthday(source)
    body = f"{day:02d}{month:02d}{year % 100:02d}1{digits_of(source, 3)}"
    check = (1 + weighted(body, (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))) % 11
    return None if check == 10 else f"{body}{check}"


def latvian(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _latvian_digits), (6, 5), "-")


def _birth_number_digits(source: random.Random) -> str | None:
    year, month, day = birthday(source, 1955, 1999)
    body = f"{year % 100:02d}{month + source.choice((0, 50)):02d}{day:02d}{digits_of(source, 3)}"
    check = int(body) % 11
    return None if check == 10 else f"{body}{check}"


def birth_number(source: random.Random) -> str:
    return grouped_or_not(source, first_valid(source, _birth_number_digits), (6, 4), "/")


def taj(source: random.Random) -> str:
    body = digits_of(source, 8)
    return grouped_or_not(source, f"{body}{weighted(body, (3, 7) * 4) % 10}", (3, 3, 3), " -")


def cnp(source: random.Random) -> str:
    year, month, day = birthday(source)
    county = source.choice((*range(1, 47), 51, 52))
    body = f"{source.choice('12')}{year % 100:02d}{month:02d}{day:02d}{county:02d}{source.randint(1, 999):03d}"
    check = weighted(body, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return f"{body}{1 if check == 10 else check}"


def egn(source: random.Random) -> str:
    year, month, day = birthday(source)
    body = f"{year % 100:02d}{month:02d}{day:02d}{digits_of(source, 3)}"
    return f"{body}{weighted(body, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10}"


def oib(source: random.Random) -> str:
    body = digits_of(source, 10)
    product = 10
    for digit in body:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return f"{body}{(11 - product) % 10}"


def _emso_digits(source: random.Random) -> str | None:
    year, month, day = birthday(source)
    body = f"{day:02d}{month:02d}{year % 1000:03d}50{digits_of(source, 3)}"
    check = -weighted(body, (7, 6, 5, 4, 3, 2) * 2) % 11
    return None if check == 10 else f"{body}{check}"


def emso(source: random.Random) -> str:
    return first_valid(source, _emso_digits)


def rntrc(source: random.Random) -> str:
    body = digits_of(source, 9)
    return f"{body}{weighted(body, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10}"


def turkish(source: random.Random) -> str:
    body = f"{source.randint(1, 9)}{digits_of(source, 8)}"
    tenth = (7 * sum(map(int, body[::2])) - sum(map(int, body[1::2]))) % 10
    return f"{body}{tenth}{(sum(map(int, body)) + tenth) % 10}"
