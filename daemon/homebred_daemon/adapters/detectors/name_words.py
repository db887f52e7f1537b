"""The words of a text as `names` looks at them, and the words that speak for or against a name beside them.

It decides nothing: sets of words, and where in a text its words begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from homebred_daemon.adapters.detectors.german_names import FUNCTION_WORDS

_TOKEN = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
_BEGINS_SENTENCE = re.compile(r"(?:^|[.!?:;…•*#|\n])[\s\"'“”„«»()\[\]>*_#-]*$")
_LONGEST_ACRONYM = 5
_LEAST = 4  # letters of a word with digits behind them


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


SUFFIX = _set(
    "inc ltd llc llp plc gmbh corp corporation incorporated ag co kg kgaa bv sa srl spa pty limited ohg gbr ug sas"
    " sarl eurl slu nv vof oy oyj ab asa aps kft zrt nyrt uab ltda lda pvt"
)
OPENERS = _set(
    "when while after before because since if although though yesterday today tomorrow now then however meanwhile"
    " recently so but or as once until whether who what where why how which dear hi hello hey our your his her their"
    " these those thanks thank here there yes no ok okay please did does was is are were has have had could would"
    " should let only even also still just maybe perhaps every each some many most both another someone everyone"
    " nobody last next first"
)
BEFORE_PERSON = _set(
    "of for is am i'm im with from by named called patient mr mrs ms dr tell ask call client to and name"
)
ORGANIZATIONS = _set(
    "nato nasa fbi cia nsa bbc cnn nbc cbs ibm hp kpmg pwc ups dhl irs fda cdc epa nyu ucla lse unesco unicef opec"
    " nba nfl nhl mlb fifa uefa usaf nypd lapd nhs aok dak tüv adac bmw sap rwe eon dpa ard zdf bka bnd cdu csu spd"
    " fdp afd gop"
)
PREFIXES = _set("north south east west new port lake mount fort saint st san santa upper lower great bad sankt los las")
# Names in a list, but hardly ever meant as one.
NEVER = (
    _set(
        "the a an i in on at of and or is my we you he she it they this that if to for may will art so do no be by see"
        " can not me us as go all any now one"
    )
    | FUNCTION_WORDS
)
DOES = _set(
    "is was has had will would can said says asks came went began told took left got made wrote wants needs and"
)
WAYS = _set("ul rue via av ave avda calle c str r u utca piazza plaza rua strada avenue street road lane")
INTRODUCE = _set("am i'm im is called named mr mrs ms miss dr nurse colleague ask tell dear hi hello für frau herr")
TITLES = _set("mr mrs ms miss dr prof herr herrn frau sir mme")


FILE_ENDINGS = _set(
    "avi bmp csv dcm doc docx eml gif html jpeg jpg json log m4a md mov mp3 mp4 odt pdf png ppt pptx rtf svg tar tif"
    " tiff toml txt wav webm webp xls xlsx xml yaml yml zip"
)
REFERENCES = _set("ticket issue error bug version release build rfc iso iec din ansi cve step table figure")


class Word(NamedTuple):
    """A word where it stands."""

    start: int
    end: int
    text: str
    plain: str
    """Lower case, without the genitive."""
    begins: bool
    """Whether a sentence, a line or a list entry begins here."""

    @property
    def is_capitalised(self) -> bool:
        """Whether it begins with a capital."""
        return self.text[0].isupper()

    @property
    def is_acronym(self) -> bool:
        """Whether it is short and all capitals."""
        return len(self.text) <= _LONGEST_ACRONYM and self.text.isupper()

    @property
    def is_wordlike(self) -> bool:
        """Letters, and with digits behind them enough letters not to be a label such as `B12`."""
        letters = sum(map(str.isalpha, self.plain))
        return self.plain[0].isalpha() and letters > (1 if letters == len(self.plain) else _LEAST)


def words_in(text: str) -> Iterator[Word]:
    """Every word of a text, by position."""
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        plain = match.group().lower().replace("\u0307", "").removesuffix("'s").removesuffix("\u2019s")
        begins = _BEGINS_SENTENCE.search(text, max(0, start - 12), start) is not None
        yield Word(start, end, match.group(), plain, begins)
