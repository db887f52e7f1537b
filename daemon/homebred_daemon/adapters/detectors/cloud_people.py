"""What else says who somebody is in a text that leaves: initials, handles, where a person comes from and believes in.

A table of patterns for `cloud_context`, which runs it; the cloud lane's alone (tier 3).
"""

from __future__ import annotations

from homebred_daemon.adapters.detectors.firms import DOTTED_FORM, UNDOTTED_FORM
from homebred_daemon.adapters.detectors.shapes import REST, UPPER, one_of

_PEOPLE = (
    r"(?:[A-Z][a-z]{2,12}(?:ish|ese|[aeiou]an|ican)|French|Dutch|German|Greek|Swiss|Arab|Czech|Thai|Iraqi|Israeli|Pakistani"
    r"|Afghan|Kurd|Kurdish|Muslim|Jew|Jewish|Hindu|Catholic|Protestant|Buddhist|Sikh|Mormon|Roma|Latin[oax]|Asian|Hispanic)"
)
_PERSON = one_of(
    "woman man girl boy mother father mum mom dad parent parents wife husband son daughter student pupil patient family"
    " citizen citizens national nationals immigrant immigrants refugee refugees passport descent heritage origin accent"
    " background community church faith customer guest employee worker colleague nurse doctor friend friends guy lady"
    " person people couple child children actor actress singer artist author writer politician player footballer"
)
_ACCOUNT = one_of(
    "username user handle login nick nickname userid alias instagram insta twitter telegram skype discord tiktok"
    " snapchat gamertag benutzername benutzer konto pseudo"
)
_NAMED = (
    r"(?:my (?:first |last |full )?name(?: is|'s)|mein name ist|ich hei(?:ß|ss)e|je m'appelle|me llamo|mi chiamo"
    r"|ik heet)"
)
_ENDS = r"[,.;!?\n]|$| (?:and|und|et|y|e|en|from|aus)\b"
_WHO_IS = "(?:i am|i'm|he is|he's|she is|she's|they are|they're|is from an?|born)"
_FAITH = (
    r"(?:nationality|citizenship|religion|ethnicity|ethnic group|race|faith|staatsangehörigkeit|nationalität|konfession"
    r"|religionszugehörigkeit|nationalité)"
)
_WORKS = r"(?:work(?:s|ed|ing)?|job|employed|hired|intern(?:ed|ship)?|interview|ceo|cto|cfo|founder|manager)"
_EMPLOYER = (
    r"(?:employer|company|firm|firma|arbeitgeber|organi[sz]ation|school|university|hospital|clinic|schule|klinik)"
)
_CAPITALISED = rf"[{UPPER}]{REST}{{1,30}}"
_FIRM = r"[A-Z][\w&'-]{1,30}(?: (?:of |& |and )?[A-Z][\w&'-]{1,30}){0,3}"
_KIN = one_of("Son Sons Söhne Fils Hijos Figli Partner Partners Brothers Bros Associates Co co Cie Sønner Söner")
_HOUSE = one_of(
    "Hospital Clinic University College School Academy Institute Bank Airlines Pharmacy Church Museum Hotel Restaurant"
    " Foundation Association Industries Logistics Solutions Technologies Systems Engineering Partners Klinik Klinikum"
    " Krankenhaus Apotheke Gymnasium Grundschule Realschule Universität Hochschule Werke"
)
_LETTERED = one_of(
    "Vitamin Hepatitis Type Grade Level Plan Part Option Group Class Section Room Appendix Figure Table Step"
)
_INITIALS = r"(?!(?:U\. ?[SKN]|E\. ?U|[AP]\. ?M|B\. ?C|A\. ?D)\.)"

RULES: tuple[tuple[str, str], ...] = (
    ("PERSON", rf"(?<![\w.]){_INITIALS}(?:[A-Z]\.[ -]?){{2,3}}[{UPPER}]{REST}{{1,30}}"),
    ("PERSON", rf"(?<![\w.]){_INITIALS}(?:[A-Z]\.){{2,4}}(?![\w])"),
    ("PERSON", rf"(?<!\w)(?!{_LETTERED}\b)[{UPPER}]{REST}{{1,30}} [A-Z]\. [{UPPER}]{REST}{{1,30}}"),
    ("PERSON", rf"(?i:\b{_NAMED}) (?P<v>[^\W\d_][\w'-]{{1,20}}(?: [^\W\d_][\w'-]{{1,20}})?)(?={_ENDS})"),
    ("PERSON", rf"(?i:\b{_NAMED}) (?P<v>[^\W\d_][\w'-]{{1,20}})"),
    ("USERNAME", r"(?<![\w@./])@(?=[\w.]{0,30}[^\W\d_])\w[\w.]{1,30}(?<!\.)"),
    ("USERNAME", r"(?<![\w/])/?u/[\w-]{3,24}(?!\w)"),
    (
        "USERNAME",
        (
            rf"(?i:\b{_ACCOUNT}(?: ?(?:name|id|handle))?(?:\s?[:=]\s?|\s(?:is|ist|was)\s))[\"'(]?"
            r"(?P<v>@?(?=[\w.-]{0,30}[a-zA-Z])[\w][\w.-]{2,30}(?<![.-]))"
        ),
    ),
    ("USERNAME", r"(?<![\w.@/-])(?=[a-z]{0,20}_?\d)[a-z]{3,20}_?\d{2,6}(?![\w-]|\.\w)"),
    ("GROUP", rf"\b{_PEOPLE}(?=[ -]{_PERSON}\b)"),
    ("GROUP", rf"(?i:\b{_WHO_IS}(?: an?)?) (?P<v>{_PEOPLE})\b"),
    ("GROUP", rf"(?i:\b{_FAITH}\s?[:=]\s?)(?P<v>[^\W\d_]{{3,20}}(?:[ -](?!\w{{1,20}}:)[^\W\d_]{{3,20}})?)"),
    ("ORGANIZATION", rf"(?i:\b{_WORKS} (?:for|at|with|by|of)) (?i:the )?(?P<v>{_FIRM})"),
    ("ORGANIZATION", rf"(?i:\b{_EMPLOYER}(?:\s?:\s?| (?:is|ist|called|named) )(?:the )?)(?P<v>{_FIRM})"),
    (
        "ORGANIZATION",
        (
            rf"(?<!\w){_CAPITALISED}(?:(?:,? | & | [a-zé]{{1,3}} ){_CAPITALISED}){{0,4}},? "
            rf"(?:{DOTTED_FORM}|{UNDOTTED_FORM}(?!\w))"
        ),
    ),
    ("ORGANIZATION", rf"(?<!\w)[{UPPER}]{REST}{{1,30}} (?:and|&|und|et|og|och|e|y) {_KIN}\b\.?"),
    (
        "ORGANIZATION",
        (
            rf"(?<![\w.])(?:[{UPPER}][\w&'\u2019-]{{1,30}} ){{1,4}}(?:of [{UPPER}][\w'-]{{1,30}} )?"
            rf"(?:(?:&|and) )?{_HOUSE}"
            r"(?!\w)(?: (?:of|for|in|at) (?:the )?(?:[A-Z][\w'-]{1,30} ?){1,3})?"
        ),
    ),
)
