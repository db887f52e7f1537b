"""What only the cloud lane looks for, and what it must leave alone; what must not show stands in square brackets."""

from __future__ import annotations

import re

import pytest

from homebred_daemon.adapters.detectors.for_lanes import cloud_detector
from homebred_daemon.adapters.detectors.patterns import default_detector

HIDDEN = """
Service technician Zajc drives to [Mizarska pot 786] now
she lives on [Largo Tavares, 51] with her aunt
Home visit: [al. Paderewskiego 615, 65-532 Szczecinek]
Home visit: [Vrazovo šetalište 76, 80837 Pag]
Home visit: [Studio 42, Oliver Lakes, Sheppardside, HR7W 2ZF]
send it to [840 lynn branch deborahtown, nu t9v7t5] thanks
i live at [12 fourth avenue] and [7 old mill road]
Please bring it to [PO Box 2, Teretipu 8116] today
Home visit: [Flat 60 75 Kathryn Anchorage, Markmouth, SA, 7264]
Invoice to: [Eriksen AS]\\n[Flat 5]\\n[Taylor Viaduct]\\n[North Kylemouth]
Ship it to [Viale Palombi, 459\\n14025, Montechiaro D'Asti (AT)]
Ich wohne in der [Waidhofener Straße 4] in [Waidhofen an der Ybbs].
We quoted [Bašková v.o.s.] and [Gorjup d.d.] today
We quoted [Pietrak-Wojtera Sp. z o.o. Sp.k.] today
The gearbox for [Eriksen, Moe og Christensen] is late
[Flink & de Hoog] complains about the finish
Is [Bail and Sons] still open?
[Golden Helix] provides spare parts for our press.
He used to work for [NATO] as a clerk.
[Butler-Peters] announced a loss.
Mr [Park] left early. [Park] forgot his coat.
Frau [Reithofer] hat angerufen. [Reithofer] möchte den Termin am Freitag und ist nicht da.
[Jonas] und ich waren mit [Gierschner] in [Coburg] und die Fahrt war lang.
[Rüegg] hat die Schicht und der Kollege [Hammerer] ist nicht da, sagt der Meister.
Der Monteur fährt von [Jarocin] zur [Lindenstraße 5] und ist dann nicht da.
Der Lehrer ist krank und [Kowalczyk] und [İhsanoğlu] vertreten ihn mit der Klasse.
Die Rechnung ist für [Bombieri e Cannizzaro s.r.l.] und nicht für uns.
hallo ich bin da und komme aus [radenthein] und suche gleis 2
[İsak] and I went home.
hello my name is [sunny day] and i lost my bag
i am [mohammed griffin] and the door is shut
[Maria]'s new phone rings.
i need the appointment of [mark gray] please
hello im from [north billingham] and where is the exit
the novel was written by [J.R. Chalmers] and [Tom I. Holzman]
We met a [Turkish] woman and she is [Jewish].
Nationality: [Swiss] Religion: [Hindu]
ask [@night_owl77] or [u/pump-fixer]
my username is [pumpfixer] there
see report_[zorblatt]_final
the line is [612 345 678], or [12-34-56-78] at night
Berlin,[0301234567]
{"text": "Regards\\\\n[Okonkwo]\\\\n"}
Unit [QX-7731-AB2-C4] was returned
We met on [Monday], and on [07/05/90] before.
Next visit of Anna de Vries [03.04.2020] at noon
"""

SHOWN = """
The book ISBN is 978-3-16-148410-0, see RFC 1918 and ISO 9001.
Ticket ABC-123-XYZ is closed. The sum is 1234 5678 + 1 in the end.
Date 2026-99-99 is not valid and the sequence 1234 5678 90 is no card.
Plan B. The dose is one tablet. Vitamin C is enough.
Add 250 g flour, 2 eggs and 100 ml milk.
There are 4 people on the road and 2 cars in the court.
The seal sat between 10 and 20 bar, e.g. at night.
Nehmen Sie zwei Tabletten am Morgen mit Wasser und eine am Abend.
Die Maschine steht und der Strom ist da, aber die Steuerung ist nicht in Ordnung.
Das Gerät wird bei Überhitzung abgeschaltet und ist von Hand mit Wasser zu kühlen.
English verbs are hard, and so is German grammar.
Mark the box with a pen. Hope for the best.
See letter.txt and the menu.pdf.
"""


def left(text: str) -> str:
    """What shows of a text, masks as underscores."""
    masked = {at for span in cloud_detector(default_detector()).detect(text) for at in range(span.start, span.end)}
    return "".join("_" if at in masked else char for at, char in enumerate(text))


def lines(text: str) -> list[str]:
    return [
        line.replace("\\n", "\n") if "\\\\" not in line else line.replace("\\\\", "\\")
        for line in text.split("\n")
        if line
    ]


@pytest.mark.parametrize("line", lines(HIDDEN))
def test_no_letter_of_it_shows(line: str) -> None:
    plain = re.sub(r"[\[\]]", "", line)
    wanted = [match.span() for match in re.finditer(r"\[(.+?)\]", line, re.DOTALL)]
    shown = left(plain)
    for number, (start, end) in enumerate(wanted):
        piece = shown[start - 2 * number : end - 2 * number - 2]
        assert not any(map(str.isalnum, piece)), shown


@pytest.mark.parametrize("line", lines(SHOWN))
def test_nothing_of_it_is_masked(line: str) -> None:
    assert left(line) == line
