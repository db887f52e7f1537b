"""Reads the parts that a release's manifest and `release.toml`, its author's file, have in common.

Each reader takes the fields of a table, complains of all that is wrong there, and returns what it could read. Texts are
printable and lists short, whoever wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from homebred_protocol.documents.fields import Fields
from homebred_protocol.documents.release_values import FORMS, MAKES, Constraints, Provenance, ReleaseBase, Shadow
from homebred_protocol.documents.task import MAX_CLASSES
from homebred_protocol.ids import is_site
from homebred_protocol.targets import MAX_NUMBER, Kind, Target, read_target

MAX_TEXT = 200
"""Characters of a title, a licence, a name."""
MAX_SITES = 256
MAX_PROVENANCE = 256
MAX_ARGUMENTS = 32
MAX_INPUTS = 32
LEAST_SHADOW_OUTCOMES, MOST_SHADOW_OUTCOMES = 20, 2000
"""Fewer cannot tell a bad release from bad luck."""
LEAST_SHADOW_S, MOST_SHADOW_S = 60, 7 * 86_400
ALL_PPM = 1_000_000
PUBLIC = "public"
"""The one label that protects nothing."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DIGEST_FORM = "write sha256: and 64 hexadecimal digits in lower case"
_CLASS = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_ENGINE_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,4}")
_ARGUMENT = re.compile(r"[a-z][a-z0-9_]{0,63}")


def text_of(fields: Fields, key: str, *, required: bool = False) -> str:
    """A printable line of at most MAX_TEXT characters; empty: absent."""
    text = fields.text(key, required=required)
    if text is None:
        return ""
    # It is shown on terminals and signed: one line, and nothing in it that steers either.
    if not text.strip() or not text.isprintable() or len(text) > MAX_TEXT:
        fields.complain((key,), f"is {text!r:.100}", f"write one printable line of 1 to {MAX_TEXT} characters")
        return ""
    return text


def matching(fields: Fields, key: str, pattern: re.Pattern[str], form: str, *, required: bool = False) -> str:
    """A text of a form; empty: absent."""
    text = fields.text(key, required=required)
    if text is not None and pattern.fullmatch(text) is None:
        fields.complain((key,), f"is {text!r:.100}", form)
        return ""
    return text or ""


def digest_of_field(fields: Fields, key: str, *, required: bool = False) -> str:
    """`sha256:…`; empty: absent."""
    return matching(fields, key, DIGEST, _DIGEST_FORM, required=required)


def number_of(fields: Fields) -> int:
    """A release's number; 0 where it is wrong."""
    number = fields.integer("number", low=1, required=True) or 0
    if number > MAX_NUMBER:
        fields.complain(("number",), "is too large", f"write an integer of at most {MAX_NUMBER}")
    return number


def check_name(fields: Fields, *, family: str, specialist: str, number: int) -> None:
    """Complains where no target can be named so."""
    for key, target in (
        ("family", Target(kind=Kind.RELEASE, group=family, name="a", number=1)),
        ("id", Target(kind=Kind.RELEASE, group="a", name=specialist, number=number or 1)),
    ):
        if read_target(target.path) != target:
            found = family if key == "family" else specialist
            fields.complain(
                (key,),
                f"is {found!r:.100}",
                "write lower case letters, digits and, inside, `-`, 32 at most"
                if key == "family"
                else "write lower case letters, digits and, inside, `.`, `_`, `-`, 64 at most",
            )


def names_of(fields: Fields, key: str, is_name: Callable[[str], bool], form: str, *, most: int) -> tuple[str, ...]:
    """A short list of names, sorted, none of them twice."""
    names = fields.texts(key)
    if len(names) > most:
        fields.complain((key,), f"holds {len(names):,} names", f"write {most} at most")
        return ()
    for name in names:
        if not is_name(name):
            fields.complain((key,), f"names {name!r:.100}", form)
            return ()
    if list(names) != sorted(set(names)):
        fields.complain((key,), "is not sorted, or names something twice", "sort it, and name each once")
    return names


def classes_of(fields: Fields) -> tuple[str, ...]:
    """Labels of the data that it comes from."""
    form = "write labels such as patient: lower case letters, digits and _, 64 at most"
    return names_of(fields, "classes", lambda name: _CLASS.fullmatch(name) is not None, form, most=MAX_CLASSES)


def sites_of(fields: Fields, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Where it may run. What inherits a label that may be local-only must name sites (CONTRACT.md "Inheritance").

    A label that is not built in counts as local-only: no policy of another site is known here.
    """
    form = "write names of sites: lower case letters, digits and, inside, `-`, 32 at most"
    sites = names_of(fields, "sites", is_site, form, most=MAX_SITES)
    bound = [name for name in classes if name != PUBLIC]
    if bound and not sites:
        fields.complain(
            ("sites",),
            f"is empty, and the release inherits {', '.join(bound)}",
            "name the sites whose data it comes from",
        )
    return sites


def base_of(fields: Fields, digest: str | None = None) -> ReleaseBase:
    """A base model that is not brought along; its digest where the table does not hold it."""
    base = ReleaseBase(
        digest=digest_of_field(fields, "digest", required=True) if digest is None else digest,
        form=form_of(fields),
        length=fields.integer("length", low=1, required=True) or 0,
    )
    fields.finish()
    return base


def form_of(fields: Fields) -> str:
    """One of FORMS."""
    if not fields.has("form"):
        fields.complain(("form",), "is missing", f"write one of: {', '.join(FORMS)}")
    return fields.choice("form", FORMS) or ""


def makes_of(fields: Fields) -> str:
    """What a recipe makes: one of MAKES, the first where it does not say."""
    return fields.choice("makes", MAKES) or MAKES[0]


def constraints_of(fields: Fields, *, engine: str | None = None, base_digest: str | None = None) -> Constraints:
    """Where it can run; engine and base where the table does not hold them."""
    constraints = Constraints(
        engine=engine_of(fields) if engine is None else engine,
        engine_version=matching(fields, "engine_version", _ENGINE_VERSION, "write numbers with dots, such as 1.2"),
        architecture=matching(fields, "architecture", _WORD, "write what `uname -m` says, such as aarch64"),
        gpu_architecture=matching(fields, "gpu_architecture", _WORD, "write such as sm_87"),
        memory_bytes=fields.integer("memory_bytes", low=1) or 0,
        base_digest=digest_of_field(fields, "base_digest") if base_digest is None else base_digest,
        tokenizer_digest=digest_of_field(fields, "tokenizer_digest"),
    )
    fields.finish()
    return constraints


def engine_of(fields: Fields) -> str:
    """An engine's name, which this version need not know."""
    return matching(fields, "engine", _WORD, "write an engine's name, such as llamacpp", required=True)


def thresholds_of(fields: Fields) -> tuple[int, int]:
    """Of a golden set: what it must score in millionths, and its 95th percentile in milliseconds (0: no bound)."""
    minimum_ppm = fields.integer("minimum_ppm", required=True)
    if minimum_ppm is not None and minimum_ppm > ALL_PPM:
        fields.complain(("minimum_ppm",), f"is {minimum_ppm}", f"write millionths: 0 to {ALL_PPM:,}")
    return minimum_ppm or 0, fields.integer("maximum_p95_ms", low=1) or 0


def shadow_of(gate: Fields) -> Shadow | None:
    """How it is to be compared with what serves; None: it is not."""
    table = gate.table("shadow")
    if table is None:
        return None
    shadow = Shadow(
        outcomes=_between(table, "outcomes", LEAST_SHADOW_OUTCOMES, MOST_SHADOW_OUTCOMES),
        longest_s=_between(table, "longest_s", LEAST_SHADOW_S, MOST_SHADOW_S),
    )
    table.finish()
    return shadow


def _between(fields: Fields, key: str, low: int, high: int) -> int:
    number = fields.integer(key, required=True)
    if number is not None and not low <= number <= high:
        fields.complain((key,), f"is {number}", f"write {low:,} to {high:,}")
        return low
    return number or low


def provenance_of(fields: Fields) -> tuple[Provenance, ...]:
    """What it was made of."""
    found: list[Provenance] = []
    for entry in fields.listed("provenance"):
        if len(found) == MAX_PROVENANCE:
            fields.complain(("provenance",), "holds too many entries", f"write {MAX_PROVENANCE} at most")
            break
        found.append(
            Provenance(
                name=text_of(entry, "name", required=True),
                licence=text_of(entry, "licence", required=True),
                digest=digest_of_field(entry, "digest"),
            )
        )
        entry.finish()
    return tuple(found)


def arguments_of(fields: Fields) -> dict[str, str | int]:
    """A build's arguments, sorted by name."""
    table = fields.table("arguments")
    if table is None:
        return {}
    names = table.keys()
    if len(names) > MAX_ARGUMENTS:
        table.complain((), "holds too many arguments", f"write {MAX_ARGUMENTS} at most")
        return {}
    found: dict[str, str | int] = {}
    for name in sorted(names):
        value = table.raw(name)
        if _ARGUMENT.fullmatch(name) is None:
            table.complain((name,), "is no argument's name", "write lower case letters, digits and _, 64 at most")
        elif isinstance(value, int) and not isinstance(value, bool):
            found[name] = table.integer(name) or 0
        else:
            found[name] = text_of(table, name, required=True)
    return found
