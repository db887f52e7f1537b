"""An engine worker whose engine quotes what it was asked, as a library's errors and prints may.

A text that holds QUOTES ends in an engine's error with the text in it, one that holds RAISES in any exception, and one
that holds PRINTS is answered and printed. `interpreter(folder)` is what `engine.python` names to get such workers.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from homebred_engines import api, echo

QUOTES, RAISES, PRINTS = "so-quote-it", "so-raise-it", "so-print-it"


def interpreter(folder: Path) -> Path:
    """Writes the program that runs workers."""
    program = folder / "quoting-python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    program.chmod(0o755)
    return program


def _main() -> None:
    plain_answer = echo._answer

    def answer(text: str, options: api.GenerateOptions, *, room: int) -> tuple[list[str], api.FinishReason]:
        if QUOTES in text:
            raise api.EngineFailedError(f"It cannot cope with {text!r}.", hint=f"Do not ask {text!r}.")
        if RAISES in text:
            raise RuntimeError(text)
        if PRINTS in text:
            sys.stdout.write(f"{text}\n")
            sys.stderr.write(f"{text}\n")
        return plain_answer(text, options, room=room)

    echo._answer = answer
    sys.argv = sys.argv[2:]  # as `python -m MODULE …` has it
    runpy.run_module("homebred_engines.worker", run_name="__main__")


if __name__ == "__main__":
    _main()
