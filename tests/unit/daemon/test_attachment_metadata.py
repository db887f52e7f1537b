from __future__ import annotations

import io
import random
import re
import time
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.attachment_files import EEG, NIST_RECORD, real

from homebred_daemon.core.attachment_metadata import MAX_CHARACTERS, WINDOW_BYTES, metadata_text

ZOE, JUERGEN, INES = "Zoe Adlerstein", "Jürgen Großmann", "Ines Holmqvist"
TAGGED = ("wav", "mp3", "ogg", "opus", "flac", "m4a", "wma", "caf")
NAMES = st.text(st.sampled_from("ABCDabcdéüßŁłЖжΩω "), min_size=8, max_size=40).filter(
    lambda name: len(name.replace(" ", "")) >= 6 and name == name.strip()
)


def words_of(text: str) -> str:
    """The text with one space between words, and no more."""
    return " ".join(["", *re.findall(r"[^\W_]+", text), ""])


def assert_says(data: bytes, *names: str) -> None:
    said = words_of(metadata_text(data))
    assert [name for name in names if f" {name} " not in said] == []


@pytest.mark.parametrize("ending", TAGGED)
def test_who_speaks_is_read_from_a_recording(ending: str) -> None:
    assert_says(real(f"call.{ending}"), ZOE, JUERGEN, INES)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "avi", "3gp"])
def test_who_is_shown_is_read_from_a_film(ending: str) -> None:
    assert_says(real(f"film.{ending}"), ZOE, JUERGEN, INES)


@pytest.mark.parametrize("ending", ["jpg", "webp", "tiff", "avif"])
def test_who_is_shown_is_read_from_a_pictures_exif_in_both_its_encodings(ending: str) -> None:
    assert_says(real(f"exif.{ending}"), ZOE, JUERGEN)


def test_what_a_png_says_is_read_plain_and_compressed() -> None:
    assert_says(real("text.png"), ZOE, INES, JUERGEN, "Łukasz Żółć")


def test_id3_frames_are_read_in_utf_16_utf_8_and_latin_1() -> None:
    assert_says(real("tagged.mp3"), "王小明", ZOE, JUERGEN)


def test_a_patients_name_is_read_from_a_scan_a_fingerprint_record_and_an_eeg() -> None:
    assert_says(real("scan.dcm"), "Großmann Jürgen", "Adlerstein Zoe", "4711 0815")
    assert_says(NIST_RECORD, "Adlerstein Zoe")
    assert_says(EEG, "4711 F 03 MAY 1971 Zoe Adlerstein")


def test_comments_of_a_gif_and_a_jpeg_are_read() -> None:
    assert_says(real("comment.gif"), ZOE)
    assert_says(real("exif.jpg"), INES)


def test_an_archive_names_what_it_holds() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/image1.jpeg", b"\xff\xd8\xff" * 40)
        archive.writestr("Zoe Adlerstein.wav", b"RIFF" * 40)
    assert {"word/media/image1.jpeg", "Zoe Adlerstein.wav"} <= set(metadata_text(packed.getvalue()).splitlines())


@given(NAMES, st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.integers(0, 50), st.integers(2, 50))
def test_a_name_between_zeros_is_read_in_any_encoding(name: str, encoding: str, before: int, behind: int) -> None:
    assert name in metadata_text(bytes(before) + name.encode(encoding) + bytes(behind)).splitlines()


@given(st.text(st.sampled_from("abcäöüßéñ"), min_size=4, max_size=20).filter(lambda word: word.isascii() is False))
def test_a_word_in_latin_1_is_read_where_letters_of_ascii_surround_what_is_not(word: str) -> None:
    spelt = "".join(f"a{letter}" for letter in word) + "a"
    assert spelt in metadata_text(b"\0" + spelt.encode("latin-1") + b"\0").splitlines()


NOISE = [random.Random(seed).randbytes(4 * WINDOW_BYTES) for seed in range(2)]


def test_a_name_is_read_at_the_start_and_at_the_end_of_a_large_file() -> None:
    named = bytes(40) + ZOE.encode() + bytes(40)
    assert_says(b"".join([named, *NOISE]), ZOE)
    assert_says(b"".join([*NOISE, named]), ZOE)
    assert ZOE not in metadata_text(NOISE[0] + named + NOISE[1])


@pytest.mark.parametrize(
    "landmark",
    [
        *(b"Exif\0\0", b"<x:xmpmeta", b"8BIM\x04\x04", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"\x03vorbis", b"OpusTags"),
        *(b"reference libFLAC", b"APETAGEX", b"INFOI", b"ilst", b"udta", b"\x12\x54\xc3\x67"),
    ],
)
def test_a_name_is_read_behind_each_landmark_in_the_middle_of_a_large_file(landmark: bytes) -> None:
    assert_says(NOISE[0] + landmark + bytes(40) + ZOE.encode() + bytes(40) + NOISE[1], ZOE)


@pytest.mark.parametrize(
    "touched",
    [
        b"\0\0\0\x15tEXtAuthor\0Zoe AdlersteinSUM0",  # a PNG's checksum may be letters
        b"Z\0\0\0COMMENT=" + b"x" * 82 + b"\x15\0\0\0ARTIST=Zoe AdlersteinZ\0\0\0",  # the next comment's length too
        b"TPE1\0\0\0\x0f\0\0\0Zoe AdlersteinTALB\0\0\0\x02\0\0\0A",
        b"TP1\0\0\x0f\0Zoe AdlersteinTAL\0\0\x02\0A",
        b"\x21\xfe" + bytes([len(b"Zoe Adlerstein sat here" * 3)]) + b"Zoe Adlerstein sat here" * 3 + b"\0",
        b"\xa9ART\0\x0eU\xc4Zoe Adlerstein",
        b"\0\0\0\x1dperf\0\0\0\0UDZoe Adlerstein\0",
        b"\x44\x87\x8eZoe Adlersteing\xc8",
    ],
)
def test_a_name_that_its_neighbours_touch_ends_where_its_length_says(touched: bytes) -> None:
    assert_says(b"\0" + touched + bytes(8), ZOE)


def test_a_name_of_ideographs_is_read_with_a_mark_and_with_an_end() -> None:
    assert "王小明" in metadata_text(b"\0\0\x01" + "王小明".encode("utf-16") + b"\0")
    assert "王小明" in metadata_text(b"\0\0" + "王小明".encode("utf-16-le") + b"\0\0")


def test_a_name_of_dicom_is_told_word_by_word() -> None:
    assert "Großmann Jürgen" in metadata_text(real("scan.dcm")).splitlines()


def test_a_string_that_calls_itself_compressed_and_is_not_is_passed_over() -> None:
    assert_says(b"zTXtAuthor\0\0" + ZOE.encode() + bytes(4), ZOE)


def test_compressed_data_say_next_to_nothing() -> None:
    noise = metadata_text(b"\xff\xd8\xff" + random.Random(1).randbytes(40 * WINDOW_BYTES))
    assert len(noise) < 8192


@given(st.binary(max_size=2000))
def test_anything_is_taken(data: bytes) -> None:
    assert len(metadata_text(data)) <= MAX_CHARACTERS


BOMB = zlib.compress(bytes(10_000_000), 9)


@pytest.mark.parametrize(
    "bait",
    [
        *(b"A lot of text. ", b"\xff\xfe", b"a\0", b"a\xe4", b"\x30", b"zTXtAAAA\0\0x\x9c", b"zTXtAAAA\0\0" + BOMB),
        *(b"zTXtA\0\0\xff", b"TPE1\0\0\x0f\0\0\0\0", b"\0\x0f\0\0AA=", b"PK\x01\x02", b"Exif\0\0", b"iTXtA\0\x01\0\0"),
    ],
    ids=lambda bait: repr(bait[:12]),
)
def test_bait_takes_no_longer_than_any_file_and_says_no_more(bait: bytes) -> None:
    data = bait * (1_000_000 // len(bait))
    before_s = time.process_time()
    assert len(metadata_text(data)) <= MAX_CHARACTERS
    assert time.process_time() - before_s < 5  # a fraction of a second, mostly
