"""How files of each kind begin, how their names end and what media types they are declared under: data alone.

Only kinds that a file must not be mistaken out of: a format missing here is still no text, so it cannot be searched.
Where no specification is named the row is the format's own, as the `file` program and PRONOM list it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """What an attachment is, beside a text; it can be several at once."""

    AUDIO = "audio"
    """A recording, which may hold a voice."""
    VIDEO = "video"
    """A recording, which may show a face and hold a voice."""
    IMAGE = "image"
    """A picture, which may show a face."""
    BIOMETRIC = "biometric"
    """A record or template of a finger, a face, an iris, a hand."""
    MEDICAL = "medical"
    """A picture, a recording or a record of medicine: it is about a patient."""
    OPAQUE = "opaque"
    """What detection cannot see through: archives, office documents, encoded text, anything unknown."""


BEGINNING_BYTES: Final = 4096
"""As much of a file as `BEGINNINGS` look at."""

BEGINNINGS: Mapping[Kind, tuple[bytes, ...]] = MappingProxyType(
    {
        Kind.AUDIO: (
            rb"(?:RIFF|RF64|BW64)....WAVE",  # EBU Tech 3306
            rb"FORM....AIF[FC]",
            rb"ID3[\x02-\x04]",  # id3.org, ID3v2
            rb"\xff[\xe2-\xe7\xf0-\xfd]",  # ISO/IEC 11172-3 frame sync; FF FE begins UTF-16
            rb"OggS\0",  # RFC 3533
            rb"fLaC[\0\x80]|wvpk.{5}\x04|MAC .[\0-\x1f]|MP\+[\x04-\x1f]|MPCK(?:SH|RG)|DSD \x1c\0",
            rb"caff\0\x01|\.snd\0|#!AMR|\x02?#!SILK|\.ra\xfd|Creative Voice File\x1a",
            rb"\0...ftyp(?:M4A|M4B|M4P|F4A)",  # ISO/IEC 14496-12 and the registered brands
            rb"NIST_1A\n",  # NIST SPHERE: speech
        ),
        Kind.VIDEO: (
            rb"\0...ftyp(?!M4A|M4B|M4P|F4A|hei|hev|mif1|msf1|avi|crx|jp2|jpx|jxl)",
            rb"[\0-\x08]...(?:moov|mdat|wide|pnot)",  # QuickTime before `ftyp`
            rb"\x1a\x45\xdf\xa3",  # RFC 8794: Matroska, WebM
            rb"(?:RIFF|RF64)....AVI ",
            rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV, WMA
            rb"\0\0\x01[\xb0-\xbf]",  # ISO/IEC 13818: program or elementary stream
            rb"(?:G.{187}){4}|.{4}(?:G.{191}){3}",  # ISO/IEC 13818-1: packets of 188 bytes, or 192
            rb"OggS\0.{0,4000}?(?:\x80theora|OVP80|BBCD\0)",
            rb"FLV\x01|\.RMF\0|[FC]WS[\x03-\x08\x0e-\x1f]|\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02",
        ),
        Kind.IMAGE: (
            rb"\xff\xd8\xff",  # ITU-T T.81
            rb"\x89PNG\r\n\x1a\n|\x8aMNG|\x8bJNG",  # ISO/IEC 15948
            rb"GIF8[79]a",
            rb"BM.{4}\0\0\0\0",
            rb"II[*+]\0|MM\0[*+]|II\xbc\x01|II(?:R[OS]\x08|U\0)|MMOR\0|FUJIFILMCCD-RAW",  # TIFF 6.0, and raw pictures
            rb"RIFF....WEBP",  # RFC 9649
            rb"\0...ftyp(?:hei|hev|mif1|msf1|avi|crx|jp2|jpx|jxl)",  # ISO/IEC 23008-12
            rb"\0\0\0\x0cj[PX][ L]|\0\0\0\x0cJXL |\xff\x4f\xff\x51|\xff\x0a",  # JPEG 2000, JPEG XL
            rb"8BPS\0|gimp xcf |qoif\0|BPG\xfb|DDS \x7c\0|\x76\x2f\x31\x01|#\?R(?:ADIANCE|GBE)|AT&TFORM....DJV",
            rb"\0\0[\x01\x02]\0[\x01-\xff]\0|\x0a[\0-\x05]\x01[\x01\x02\x04\x08]",  # ICO, CUR, PCX
            rb"P[1-7]\s+(?:#[^\n]*\n\s*)*(?:\d+\s+\d+\s|WIDTH )|P[Ff]\s+\d+\s+\d+\s",  # Netpbm
            rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF",
            rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?>(?:<!--.*?-->\s*)*)(?:<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]",
            rb".{128}DICM",
        ),
        Kind.BIOMETRIC: (
            rb"\xff\xa0\xff[\xa0-\xaf]",  # WSQ, FBI IAFIS-IC-0110
            rb"1\.0*1:\d+\x1d",  # ANSI/NIST-ITL 1: the length of the Type-1 record
            rb"(?=\s*<).{0,4000}?NISTBiometricInformationExchangePackage",  # the same in XML
            rb"[A-Z]{3}\0[ 0-9][ 0-9]\d\0",  # ISO/IEC 19794-1: FMR, FIR, FAC, IIR …, and the version
            rb"[\x63\x75\x76](?:[\0-\x7f]|\x81.|\x82..|\x83...)\x7f\x61|\x7f[\x60\x61\x2e]",  # ICAO 9303-10; CBEFF
        ),
        Kind.MEDICAL: (
            rb".{128}DICM",  # DICOM PS3.10
            rb"\x02\0\0\0UL|\x08\0[\0\x01\x05\x08]\0(?:[A-Z]{2}|.\0\0\0)",  # DICOM without its preamble
            rb".{344}n[+i][12]\0|\x1c\x02\0\0n[+i]2|\0\0\x02\x1cn[+i]2",  # NIfTI-1, NIfTI-2
            rb"NRRD000\d|ObjectType\s*=\s*Image",
            rb"0 {7}[ -~]{160}\d\d\.\d\d\.\d\d|\xffBIOSEMI|GDF \d\.\d",  # EDF, BDF, GDF: names stand in the header
            rb"\x0b?MSH\|",  # HL7 version 2
            rb"\s*\{.{0,200}?\"resourceType\"\s*:|\s*<.{0,400}?http://hl7\.org/fhir|\s*<.{0,400}?urn:hl7-org:v3",
        ),
        Kind.OPAQUE: (rb"(?:\xef\xbb\xbf)?\s*(?:%PDF-|%!PS|\{\\rtf)",),  # these may be ASCII throughout
    }
)

ENDINGS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.AUDIO: """
            aac ac3 aif aifc aiff alac amr ape au awb caf dsf dss flac gsm m4a m4b mka mp2 mp3 mpc oga ogg
            opus pcm qcp ra raw silk snd sph spx voc vox wav wma wv
        """,
        Kind.VIDEO: """
            3g2 3gp asf avi divx f4v flv m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogv qt rm rmvb vob webm
            wmv
        """,
        Kind.IMAGE: """
            apng arw avif bmp cr2 cr3 cur dds dib djvu dng emf eps exr gif hdr heic heif ico j2k jfif jif
            jp2 jpe jpeg jpg jpx jxl jxr mng nef orf pbm pcx pef pgm pict png pnm ppm psd qoi raf raw rw2
            svg svgz tga tif tiff webp wmf xcf
        """,
        Kind.BIOMETRIC: """
            an2 bdb bir cbeff ebts eft fac fcr fid fir fmd fmr iir nist nst vdi wsq xyt
        """,
        Kind.MEDICAL: """
            acq bdf dcm dcm30 dicom edf fhir gdf hl7 ima mgh mgz mha mhd mnc nhdr nii nrrd scp
        """,
        Kind.OPAQUE: """
            7z bz2 doc docm docx eml epub gz key mbox msg numbers odg odp ods odt pages pdf pps ppsx ppt
            pptm pptx ps rar rtf tar tgz xls xlsb xlsm xlsx xz zip zst
        """,
    }
)

MEDIA_TYPES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.AUDIO: r"audio/.*|application/(?:x-)?ogg|application/.*(?:voice|speech).*",
        Kind.VIDEO: r"video/.*|application/(?:(?:x-)?ogg|mp4|mxf|vnd\.rn-realmedia|x-shockwave-flash|x-matroska)",
        Kind.IMAGE: r"image/.*|application/dicom.*|application/postscript|application/.*(?:photoshop|illustrator)",
        Kind.BIOMETRIC: r".*(?:biometric|cbeff|fingerprint|iso-?19794|iso-?39794|nist-itl|wsq).*",
        Kind.MEDICAL: r".*(?:dicom|fhir|hl7|nifti).*",
        Kind.OPAQUE: r"(?:font|model|multipart)/.*|message/rfc822"
        r"|application/(?:pdf|postscript|rtf|zip|gzip|msword|x-tar|x-7z.*|vnd\.(?:ms-|oasis|openxml|rar).*|.*\+zip)",
    }
)


def kinds_by_beginning(data: bytes) -> frozenset[Kind]:
    """Every kind that the first bytes are those of; none: unknown, or a plain text."""
    beginning = data[:BEGINNING_BYTES]
    return frozenset(kind for kind, pattern in _beginnings().items() if pattern.match(beginning))


def kinds_by_name(name: str) -> frozenset[Kind]:
    """Every kind of the last two endings of a file name: `scan.nii.gz`, `call.wav.txt`."""
    endings = name.casefold().rstrip(". \t").rsplit(".", 2)[1:]
    return frozenset().union(*(_kinds_of_endings().get(ending, frozenset()) for ending in endings))


def kinds_by_media_type(media_type: str) -> frozenset[Kind]:
    """Every kind that is declared so; parameters are passed over."""
    essence = media_type.partition(";")[0].strip().casefold()
    return frozenset(kind for kind, pattern in MEDIA_TYPES.items() if re.fullmatch(pattern, essence))


@cache
def _beginnings() -> Mapping[Kind, re.Pattern[bytes]]:
    return {kind: re.compile(b"|".join(patterns), re.DOTALL) for kind, patterns in BEGINNINGS.items()}


@cache
def _kinds_of_endings() -> Mapping[str, frozenset[Kind]]:
    endings = {ending for named in ENDINGS.values() for ending in named.split()}
    return {ending: frozenset(kind for kind, named in ENDINGS.items() if ending in named.split()) for ending in endings}
