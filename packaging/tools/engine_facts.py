"""Writes a facts file of a foreign package from its source text, which is parsed and never imported or run.

Usage: python packaging/tools/engine_facts.py SOURCE --like FACTS --version VERSION --from SENTENCE > NEW_FACTS
SOURCE is a wheel, a site-packages folder, or a folder of raw source or of rendered pages (`_modules`). The classes and
the places where they are looked for are those of FACTS. With `--compare` nothing is written: what drifted is listed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from homebred_engines.package_facts import PackageFacts, drift, read_facts, write_facts
from homebred_engines.package_source import open_source

SOURCE_NAME = "read"


def main(arguments: list[str]) -> int:
    """Exit status 0 with the facts written, 1 where a class is missing or, with --compare, anything drifted."""
    options = parse(arguments)
    recorded = read_facts(options.like.read_text(encoding="utf-8"))
    source = open_source(options.source)
    found = {name: source.class_facts(name, each.places) for name, each in recorded.classes.items()}
    if options.compare:
        sentences = drift(recorded.classes, found)
        print("\n".join(sentences) or f"{options.source.name} is as recorded of {recorded.version}")
        return 1 if sentences else 0
    for name, facts in found.items():
        if facts is None:
            print(f"{name} is in none of {', '.join(recorded.classes[name].places)}: left out", file=sys.stderr)
    classes = {
        name: replace(facts, places=recorded.classes[name].places, source=SOURCE_NAME)
        for name, facts in found.items()
        if facts is not None
    }
    written = PackageFacts(
        distribution=recorded.distribution,
        version=options.version,
        written="by packaging/tools/engine_facts.py",
        sources={SOURCE_NAME: options.origin},
        classes=classes,
    )
    print(write_facts(written), end="")
    return 0 if len(classes) == len(found) else 1


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--like", type=Path, required=True, help="facts file that names classes and places")
    parser.add_argument("--version", default="", help="the version that is read")
    parser.add_argument("--from", dest="origin", default="", help="where the source is from, for whoever reads it")
    parser.add_argument("--compare", action="store_true", help="list what drifted from --like, write nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
