"""What a file that is no text says in words: who took a picture, who speaks in a recording, whose scan it is.

It knows no container as a whole. Strings stand in all of them as they are, in ASCII, UTF-8, Latin-1 or UTF-16, near the
start, near the end, or behind a landmark; where nothing but a length says how far one goes, the length is read. So it
finds them in broken files too, and a little noise beside. It does not find what is compressed (but in PNG), encrypted,
a string in the middle of a large file that no landmark precedes, or a short one amid compressed data.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import chain, islice
from typing import Final, Literal

MAX_CHARACTERS: Final = 64 * 1024
"""Of the text that is returned."""
WINDOW_BYTES: Final = 64 * 1024
"""Searched at the start, at the end and behind each landmark."""
MAX_WINDOWS: Final = 16

_TOLD_BYTES = 4096  # of a string whose length is told
_MAX_TOLD = 256
_SHORT_RUN = 10  # bytes: compressed data look like shorter ones at random
_NEIGHBOURS = 32  # bytes on either side of a run that tell compressed data
_MOST_DISTINCT = 0.75  # of the neighbours; of 64 random bytes 0.88 are distinct, of text and tables 0.5
_MIN_WORD_CHARACTERS = 4  # letters and digits of a string worth reading; of ideographs one is enough
_FIRST_IDEOGRAPH = "\u2e80"

_LANDMARKS = (
    b"Exif\0\0",  # CIPA DC-008
    b"<x:xmpmeta",  # XMP, ISO 16684-1: made to be found so
    b"8BIM\x04\x04",  # IPTC-IIM in Photoshop's resources
    *(b"tEXt", b"zTXt", b"iTXt", b"eXIf"),  # ISO/IEC 15948
    *(b"\x03vorbis", b"OpusTags", b"reference libFLAC"),  # Vorbis comments
    *(b"APETAGEX", b"INFOI"),  # APE, RIFF
    *(b"ilst", b"udta"),  # QuickTime and ISO/IEC 14496-12
    b"\x12\x54\xc3\x67",  # RFC 9559: Matroska's tags
)

# A length, then a string of so many bytes, which neighbours touch on both sides. The mask holds what is no length.
_TOLD: tuple[tuple[bytes, Literal["big", "little"], int], ...] = (
    (rb"(\0...)[tiz](?:EX|TX)t", "big", 0),  # PNG: length, type, text, checksum
    (rb"(..\0\0)(?=[A-Za-z][A-Za-z0-9_ ]{1,39}=)", "little", 0),  # Vorbis comment: length, KEY=text
    (rb"(?:T[A-Z0-9]{3}|COMM|USLT)(\0...)..(?=[\0-\x03])", "big", 0),  # ID3v2.3 and .4: id, length, flags, text
    (rb"(?:T[A-Z0-9]{2}|COM|ULT)(\0..)(?=[\0\x01])", "big", 0),  # ID3v2.2
    (rb"\x21\xfe(.)", "big", 0),  # GIF89a: a comment's block
    (rb"\xa9[A-Za-z]{3}(..)..", "big", 0),  # QuickTime: type, length, language, text
    (rb"(\0\0..)(?:auth|titl|perf|dscp|cprt)\0{4}..", "big", 0),  # 3GPP TS 26.244: length, type, language, text
    (rb"(?:\x44\x87|\x7b\xa9|\x44\x89)([\x81-\xfe])", "big", 0x80),  # Matroska: a tag's text, a title, a name
    (rb"PK\x01\x02.{24}(..).{16}", "little", 0),  # APPNOTE.TXT: a file name in a zip's directory
)
_COMPRESSED = rb"(?:zTXt[^\0]{1,79}\0\0|iTXt[^\0]{1,79}\0\x01\0[^\0]{0,99}\0[^\0]{0,399}\0)"

_ENCODED = rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}"  # UTF-8 beyond ASCII
_ACCENTED = rb"[\xc0-\xfe](?=[A-Za-z])|(?<=[A-Za-z])[\xc0-\xfe]"  # Latin-1, beside a letter
# Four characters at least: shorter runs are everywhere in compressed data.
_RUNS = (
    (rb"(?:[ -~]|" + _ENCODED + b"|" + _ACCENTED + rb"){4,}", "utf-8"),
    (rb"(?:[ -~\xa0-\xff]\0|[\0-\xff][\x01-\x06]){4,}", "utf-16-le"),  # Latin to Arabic
    (rb"(?:\0[ -~\xa0-\xff]|[\x01-\x06][\0-\xff]){4,}", "utf-16-be"),
    (rb"(?:\xff\xfe|\xfe\xff)(?:[^\0].|\0[^\0]){2,512}", "utf-16"),  # any script behind its mark
    (rb"(?:[\0-\xff][\x30\x4e-\x9f\xac-\xd7]){2,32}(?=\0\0)", "utf-16-le"),  # ideographs, ended by a zero
)


def metadata_text(data: bytes) -> str:
    """The strings in a file, a line for each, those first whose ends are certain; at most MAX_CHARACTERS.

    It takes anything, in time linear in the bytes; no more than MAX_WINDOWS windows of them are read closely.
    """
    windows = [data[start:end] for start, end in _windows(data)]
    told = islice(chain.from_iterable(map(_told, windows)), _MAX_TOLD)
    found: dict[str, None] = {}
    room = MAX_CHARACTERS
    for string in chain.from_iterable(map(_strings, chain(told, windows))):
        line = string.replace("^", " ").strip()  # DICOM parts a name's words so
        if line in found or not _is_worth_reading(line):
            continue
        found[line[:room]] = None
        room -= len(line) + 1
        if room <= 0:
            break
    return "\n".join(found)


def _windows(data: bytes) -> list[tuple[int, int]]:
    """Start and end of what is read closely, in order and apart."""
    starts = [0, max(0, len(data) - WINDOW_BYTES)]
    for landmark in _LANDMARKS:
        starts += [max(0, at - len(landmark)) for at in (data.find(landmark), data.rfind(landmark)) if at >= 0]
    windows: list[tuple[int, int]] = []
    for start in sorted(list(dict.fromkeys(starts))[:MAX_WINDOWS]):
        end = min(len(data), start + WINDOW_BYTES)
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return windows


def _told(window: bytes) -> Iterator[bytes]:
    """PNG's compressed strings, and those whose end a length tells."""
    told, compressed, _ = _patterns()
    for match in compressed.finditer(window):
        try:
            compressed_bytes = window[match.end() : match.end() + _TOLD_BYTES]  # what is beyond would be cut off anyway
            yield zlib.decompressobj().decompress(compressed_bytes, _TOLD_BYTES)
        except zlib.error:  # random bytes, or a broken picture: there is nothing to read
            continue
    for pattern, order, mask in told:
        for match in pattern.finditer(window):
            length = int.from_bytes(match[1], order) & ~mask
            yield window[match.end() : match.end() + min(length, _TOLD_BYTES)]


def _strings(region: bytes) -> Iterator[str]:
    for pattern, encoding in _patterns()[2]:
        for match in pattern.finditer(region):
            start, end = match.span()
            if end - start >= _SHORT_RUN or not _looks_compressed(
                region[max(0, start - _NEIGHBOURS) : start] + region[end : end + _NEIGHBOURS]
            ):
                yield _decoded(match[0], encoding)


def _looks_compressed(neighbours: bytes) -> bool:
    return len(set(neighbours)) > _MOST_DISTINCT * max(len(neighbours), _NEIGHBOURS)


def _decoded(run: bytes, encoding: str) -> str:
    """The run as text; in UTF-8 a byte that does not belong is taken for Latin-1."""
    if encoding != "utf-8" or run.isascii():
        return run.decode(encoding, errors="ignore")
    pieces = re.split(b"((?:" + _ENCODED + b")+)", run)  # between, and in UTF-8, by turns
    return "".join(piece.decode("latin-1" if at % 2 == 0 else "utf-8", "ignore") for at, piece in enumerate(pieces))


def _is_worth_reading(line: str) -> bool:
    return sum(map(str.isalnum, line)) >= _MIN_WORD_CHARACTERS or max(line, default="") >= _FIRST_IDEOGRAPH


@cache
def _patterns() -> tuple[
    tuple[tuple[re.Pattern[bytes], Literal["big", "little"], int], ...],
    re.Pattern[bytes],
    tuple[tuple[re.Pattern[bytes], str], ...],
]:
    """Of told strings, of compressed ones and of runs: compiled for the first file that is no text."""
    return (
        tuple((re.compile(pattern, re.DOTALL), order, mask) for pattern, order, mask in _TOLD),
        re.compile(_COMPRESSED, re.DOTALL),
        tuple((re.compile(pattern, re.DOTALL), encoding) for pattern, encoding in _RUNS),
    )
