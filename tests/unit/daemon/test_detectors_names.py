"""Names on the cloud lane, in the manners that people write in; what must not show stands in square brackets."""

from __future__ import annotations

import re

import pytest

from homebred_daemon.adapters.detectors.for_lanes import cloud_detector
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.core.sensitivity import raised_classes, redact

HIDDEN = """
Pt [Okonkwo], [Adaeze], [64]yo F, seen by Dr [Lindqvist] for follow-up.
pt reports knee pain since [2019], referred by dr [Haverkamp]
Discharged to the care of her son [Bartholomew] in [Rotterdam].
Mrs [Papadopoulou] is [91] years old and lives with her sister [Eleni].
Spoke with [Nguyen]'s wife, who will collect the medicines.
The [48]-year-old was born in [Ghana] and moved to [Leeds] last spring.
Line 4 stopped; [Grzegorz] replaced the gasket before the night shift.
Operator [Yusuf] says the press at [Kowalski] Stamping leaks again.
Ticket raised by [Priya] [Raghunathan], asked for a new torque wrench.
Spare parts were ordered from [Hydraulik] [Brandstetter] GmbH this morning.
We bought the pump from [Oyster] [Harbor] [Fluids] Inc. and it failed.
The auditor from [Veritas] [Nordic] will be here on [Tuesday].
hi my name is [fatima] and i cant find my booking
hello, i am [john] from [london] and i lost my card
can you tell me where [giovanni] works
my friend [anneliese] lives in [barcelona]
Dear [Siobhan], thank you for your quick reply.
I met [Tunde] [Adebayo] at the conference in [Nairobi].
Could you forward this to [Wojciech] and [Hannelore]?
Our client [Zephyrine] [Delacroix-Marchand] wants a refund.
Please meet us at the corner of [Elmhurst] and [Wacker].
Ship it to unit [12] box [345], APO AE [09012].
She moved here from the [Czech] [Republic] two years ago.
The lease for the flat in [Uccle] 1180 ends soon.
Best wishes from [Bjørn] and the whole team
According to [Marisol], the invoice was paid in [2021].
Ask nurse [Blessing] whether the bed is free.
The father, [Will] [Thornbury], turned [57] in hospital.
The teacher of [Chukwuemeka] called about his homework.
Der Patient heißt [Thorsten] und ist nicht aus der Stadt, sagt [Annegret].
"""

SHOWN = """
The pump makes a loud noise when the pressure is above six bar.
Take two tablets in the morning and one in the evening with water.
Please restart the printer and tell me which light is on.
Where is the nearest toilet, and is it open on weekends?
Can't open the door. Won't close either. What's wrong?
The meeting is about the budget for the next quarter.
Chapter VII explains how English grammar differs from French.
Der Drucker ist kaputt und die Tür von dem Schrank wird nicht mehr zu gehen.
Set the temperature to 37.2 and the speed to 3000 rpm.
Summarise the article in three sentences for a child.
"""


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def shown(text: str) -> str:
    return redact(text, cloud_detector(default_detector()).detect(text))


@pytest.mark.parametrize("line", lines(HIDDEN))
def test_no_name_shows(line: str) -> None:
    left = shown(line.replace("[", "").replace("]", ""))
    assert [
        name for name in re.findall(r"\[(.+?)\]", line) if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", left)
    ] == []


@pytest.mark.parametrize("line", lines(SHOWN))
def test_a_text_without_names_comes_back_as_it_is(line: str) -> None:
    assert shown(line) == line


def test_a_masked_text_still_says_what_is_asked() -> None:
    text = "Please write a short reminder to Ms Oyelaran that her appointment at the clinic was moved to the afternoon."
    assert shown(text).replace("Ms <PERSON>", "<PERSON>") == text.replace("Ms Oyelaran", "<PERSON>")


def test_names_raise_no_class_even_where_a_policy_names_their_type() -> None:
    spans = cloud_detector(default_detector()).detect("We spoke with Oyelaran yesterday")
    assert spans
    assert raised_classes(spans, {span.type: "client" for span in spans}) == frozenset()
