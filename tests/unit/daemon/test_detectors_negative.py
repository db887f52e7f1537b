"""What the pattern tier must leave alone, a line a case; and what it may find but must not raise a class for."""

from __future__ import annotations

import pytest

from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.core.sensitivity import raised_classes

NOTHING = """
Order 48213 for 12 pieces at $1,299.00 was shipped
Invoice 2024-118 is due in 30 days
Your order number is 123-456-7890 and ships tomorrow
Tracking 1Z999AA10123456784 is on its way
The total is 1,234,567.89 EUR including 19 % VAT
Version 2.3.1 replaces version 1.2.3.4 of the firmware
Release 10.12.20 fixed the issue
It started at 12:30:45 UTC and took 3.5 s
Blood pressure 120/80, pulse 72, temperature 37.2
Take 500 mg twice a day for 10 days
The part weighs 12.5 kg and measures 120x80x40 mm
Torque 45 Nm, speed 3000 rpm, 400 V, 50 Hz
Tolerance is +0.05/-0.02 mm
pH 7.4, glucose 5.6 mmol/l, haemoglobin 13.2 g/dl
We sold 12000 units in 2023 and 15000 in 2024
Between 1990 and 2005 output doubled
ISBN 978-3-16-148410-0
EAN 4006381333931
Build id 0x7f00ff00 failed
Trace id 550e8400-e29b-41d4-a716-446655440000
commit 9fceb02d0ae598e95dc970b74767f19372d61af8
Sequence 1234 5678 90 is not a card
Card-like 4111 1111 1111 1112 fails its check
Numbers 111222333444 are identifiers
SSN-like 000-12-3456 and 666-12-3456 were never issued
SSN-like 536-00-4399 and 536-90-0000 were never issued
It reads DE88 3704 0044 0532 0130 00 has a wrong check
Not a date: 99/99/2024, 2026-99-99
Ratio 3/4, score 2:1, section 3.2.1
Table 4 on page 12-15 of chapter 3
Buy 2 get 1 free, combo 7, large cola 0.5 l
Gate B12, seat 14C, platform 9
The meeting room is 4.12 on floor 3
Die Bestellung 4711 kostet 19,90 Euro
Bitte 20000 Stück bis Ende des Jahres liefern
Der Arbeitsplatz 12 ist frei, Parkplatz 5 auch
Training 3 und Monitoring 24 laufen
Rechnung 2024-0815 über 1.250,00 EUR
Die Temperatur liegt bei 36,6 Grad
La commande 4471 pèse 2,5 kg
Il fait 25 degrés et 3 places sont libres
May I ask for 5 minutes of your time?
In May we grow; March on, soldier
She is 45 years old and lives in Germany
A 12-year-old boy with asthma
The warranty covers 99 years of use
How do I write a confidentiality policy?
Should we choose proprietary software or open source?
Write a password policy for a small clinic
The password is incorrect
The password is required
Please reset my password: it is forgotten
password = ********
password: <your password>
api_key = ${API_KEY}
token = get_token()
The token limit is 4096 and the key is under the mat
A secret ingredient makes the recipe better
Explain what a trade secrets act regulates
She plays a key role in the team
Draw a lot, a batch of cookies, part of the plan
A parking lot with 200 cars
Batch 12 tasks together
Part 2 of the report, lot 5 of the auction
Patient satisfaction rose by 12 %
The patient record 3 of 5 was reviewed
Policy makers met in 2024
Insurance costs rose by 4500 per year
Call me later today
Text the team in 15 minutes
I am at work
Miss the bus again
Dear customer, thank you
Name: required field
Via email 5 people answered
The score is 10-12-8 overall
Resolution 1920x1080 at 60 Hz
Bus 110 leaves at 08.15
Kids menu 3 for 9.99
Heat at 180 °C for 25 minutes
1. Mix 2. Bake 3. Serve
CNC program 1001 runs 35 minutes
Line 3, station 12, shift 2
rate 0.25 0.50 0.75 1.00
Phase 1 2 3 4 5 6 7 8 9 10
C3-C4 stenosis, T12 fracture, L5 root
HbA1c 6.8 %, eGFR 72, LDL 130
ICD-10 code J45.909 and CPT 99213
RAL 9005 black, M8x40 screws, DIN 912
Room 101, code blue
https is a protocol
A@B is not an address
12 people live in the street
The border is 1px solid #E4E5E4
module text v0.14.0 h1:z1Np7iQ5M8DoRYWka+8VwYYwVG3o0F69j4lLGALO3HY=
integrity: sha512-q8Qb7f3K9x2LmN4pR6sT8vW0yZ1aC3eG5hq8Qb7f3K9x2LmN4pR6sT8vW0yZ1aC3eG5hAbCdEfGhIjKlMnOp12==
The public key is q8Qb7f3K9x2LmN4pR6sT8vW0yZ1aC3eG5h
ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx stands for a token
secret = LoadBalancerController
last_pass = DEFAULT_LAST_PASS
user, password = user_pass
The number 44051401359 is a row
Decrypting message: 99cf22470f32b7d23cf0e27b2eabb810
""".strip().splitlines()

# Found and redacted, but no class is raised (CONTRACT.md, "Detection": only records, secrets and part codes do).
RAISES_NOTHING = """
Jane Doe, 12 Oak Street, Springfield, IL 62704, jane@example.com, +1 415 555 0198
SSN 536-90-4399, passport number C01X00T47, born 03/15/1989
IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111, CVV 737
Visit https://example.com/a?b=c from 192.168.1.10 on 2024-05-01
Frau Müller, Berliner Straße 12, 10115 Berlin, Tel. 030 1234567
Die Kundennummer ist K-88213, Kennzeichen M-AB 1234
Order number 4471-22 from customer number 88213 was refunded
Employee ID E-4471 drove the car with VIN 1HGCM82633A004352
""".strip().splitlines()


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_is_found_in_what_only_looks_alike(text: str) -> None:
    assert [(span.type, text[span.start : span.end]) for span in default_detector().detect(text)] == []


@pytest.mark.parametrize("text", RAISES_NOTHING)
def test_what_is_only_personal_raises_no_class(text: str) -> None:
    found = default_detector().detect(text)
    assert found
    assert raised_classes(found, {}) == frozenset(), found
