"""Check digits by the published algorithms, and how people group the digits. No library of the product is used."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from tests.support.made_values import made


def weighted(digits: Iterable[str], weights: Iterable[int]) -> int:
    """The sum of digits times weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def luhn(digits: str) -> str:
    """The digits and their check digit (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits))]
    return f"{digits}{-sum(value - 9 if value > 9 else value for value in doubled) % 10}"


def digits_of(source: random.Random, count: int) -> str:
    return made(f"{{d:{count}}}", source)


def digit_sums(digits: str, weights: Iterable[int]) -> int:
    return sum(sum(map(int, str(int(digit) * weight))) for digit, weight in zip(digits, weights, strict=False))


def first_valid(source: random.Random, attempt: Callable[[random.Random], str | None]) -> str:
    """The first attempt that has a check digit: some schemes leave out what would need two."""
    while (value := attempt(source)) is None:
        pass
    return value


def birthday(source: random.Random, first: int = 1930, last: int = 1999) -> tuple[int, int, int]:
    return source.randint(first, last), source.randint(1, 12), source.randint(1, 28)


def grouped(digits: str, sizes: Iterable[int], separator: str) -> str:
    groups, at = [], 0
    for size in sizes:
        groups.append(digits[at : at + size])
        at += size
    return separator.join(groups)


def grouped_or_not(source: random.Random, digits: str, sizes: tuple[int, ...], separators: str) -> str:
    """As it is, or in groups with one of the separators between them."""
    separator = source.choice(("", *separators))
    return grouped(digits, sizes, separator) if separator else digits


def base36(text: str) -> int:
    return int("".join(str(int(char, 36)) for char in text))


_CIN_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def italian_letter(text: str) -> str:
    """The control letter of Italian codes: odd places by table, even ones by value (D.M. 23 December 1976)."""
    values = [int(char) if char.isdigit() else ord(char) - 65 for char in text]
    return chr(65 + sum(_CIN_ODD[v] if place % 2 == 0 else v for place, v in enumerate(values)) % 26)


def _dihedral(a: int, b: int) -> int:
    """The product in the dihedral group of the pentagon."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
    return 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5


def verhoeff(digits: str) -> str:
    permutations = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    while len(permutations) < 8:
        permutations.append([permutations[1][value] for value in permutations[-1]])
    total = 0
    for place, digit in enumerate(reversed(digits), 1):
        total = _dihedral(total, permutations[place % 8][int(digit)])
    return f"{digits}{next(d for d in range(10) if _dihedral(total, d) == 0)}"
