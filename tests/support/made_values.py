"""Values made from a short description of their format: `ghp_{a:36}` is `ghp_` and 36 letters and digits.

The descriptions follow what the vendors publish. None is taken from a rule of the product.
"""

from __future__ import annotations

import random
import re
import string
import uuid

CHARACTERS = {
    "d": string.digits,
    "x": "0123456789abcdef",
    "a": string.ascii_letters + string.digits,
    "l": string.ascii_lowercase + string.digits,
    "u": string.ascii_uppercase + string.digits,
    "L": string.ascii_letters,
    "s": string.ascii_letters + string.digits + "-_",
    "S": string.ascii_lowercase + string.digits + "-_",
    "b": string.ascii_letters + string.digits + "+/",
    "B": string.ascii_uppercase + "234567",
    "z": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",  # Bech32
    "h": "0123456789abcdefgh",
}
_FIELD = re.compile(r"\{(\w+)(?::(\d+)(?:-(\d+))?)?\}")
_WORDS = ("sommer", "winter", "tiger", "delta", "harbour", "copper", "violet", "monsoon", "quartz", "falcon")


def made(template: str, source: random.Random) -> str:
    """The format filled in: `{x:32}` 32 hexadecimal digits, `{a:20-40}` from 20 to 40 characters of that alphabet."""
    return _FIELD.sub(lambda field: _filled(source, *field.groups()), template)


def _filled(source: random.Random, kind: str, least: str | None, most: str | None) -> str:
    match kind:
        case "uuid":
            return str(uuid.UUID(int=source.getrandbits(128), version=4))
        case "password":
            return password(source)
        case "X":  # hexadecimal in either case, but one of them
            digits = "".join(source.choices(CHARACTERS["x"], k=int(least or 1)))
            return source.choice((digits, digits.upper()))
        case _:
            length = source.randint(int(least or 1), int(most or least or 1))
            return "".join(source.choices(CHARACTERS[kind], k=length))


def password(source: random.Random) -> str:
    """As people choose them: a word changed a little with digits and a sign, or a dozen random characters."""
    word, number = source.choice(_WORDS), source.randrange(10, 10_000)
    sign = source.choice("!#$%+-_?*=")
    return source.choice(
        (
            f"{word.capitalize()}{number}{sign}",
            f"{word}{sign}{source.choice(_WORDS)}{number}",
            word.replace("o", "0").replace("e", "3") + f"{sign}{number}",
            "".join(source.choices(string.ascii_letters, k=8)) + f"{number}",
            "aA" + "".join(source.choices(string.ascii_letters + string.digits + "!#$%+-_?*=", k=12)) + "7x",
        )
    )
