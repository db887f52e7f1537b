"""Attachments for tests: files that real programs made, and beginnings of formats that no program here writes."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "attachments"
REAL = sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".md")

FINGER_MINUTIAE = b"FMR\0 20\0" + b"\0\0\0\x40" + bytes(52)  # ISO/IEC 19794-2:2005
FACE_2011 = b"FAC\x00030\x00" + bytes(60)  # ISO/IEC 19794-5:2011
WSQ = b"\xff\xa0\xff\xa8\0\x0fNIST_COM 1\n\xff\xa4" + bytes(40)
NIST_RECORD = b"1.001:198\x1d1.002:0500\x1d2.018:Adlerstein, Zoe\x1c"  # ANSI/NIST-ITL 1-2011, Type-1 and Type-2
PASSPORT_FACE = b"\x75\x82\x20\x00\x7f\x61\x82\x1f\xfb\x02\x01\x01" + bytes(60)  # ICAO 9303-10, data group 2
NIFTI = b"\x5c\x01\0\0" + bytes(340) + b"n+1\0" + bytes(40)
EEG = (
    b"0       "
    + b"4711 F 03-MAY-1971 Zoe_Adlerstein".ljust(80)
    + b"Startdate 01-JAN-2026".ljust(80)
    + b"01.01.2611.30.00"
)


def real(name: str) -> bytes:
    return (FOLDER / name).read_bytes()
