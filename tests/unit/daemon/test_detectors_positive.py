"""What the pattern tier must find: one line a case, the value between « and »."""

from __future__ import annotations

import pytest

from homebred_daemon.adapters.detectors.patterns import default_detector

CASES = """
MEDICAL_RECORD | Patient Jane, MRN: «00987654», seen today
MEDICAL_RECORD | MRN-«4471982» is on the wristband
MEDICAL_RECORD | {"patient_id": "«P-20391»", "ward": "3B"}
MEDICAL_RECORD | Medical record number «123 456 789» was merged
MEDICAL_RECORD | Chart no. «A77120» is missing
MEDICAL_RECORD | Encounter ID: «E2024-11872»
MEDICAL_RECORD | patient #«4471902» waits
MEDICAL_RECORD | Pat.-Nr. «4711»
MEDICAL_RECORD | MRN#«123456»
MEDICAL_RECORD | Fallnummer «2024-118273» bitte prüfen
MEDICAL_RECORD | Patienten-ID: «48271»
MEDICAL_RECORD | Aufnahmenummer «7710023»
MEDICAL_RECORD | numéro de dossier : «88-2213»
MEDICAL_RECORD | Rx number «7718264» can be refilled
MEDICAL_RECORD | specimen no: «L24-00871»
HEALTH_PLAN | Versichertennummer «A123456780»
HEALTH_PLAN | die Karte zeigt «A123456780» an
HEALTH_PLAN | Medicare number «1EG4-TE5-MK73»
HEALTH_PLAN | her card reads «1EG4TE5MK73» on the front
HEALTH_PLAN | Member ID: «XJH88271002»
HEALTH_PLAN | insurance policy no. «POL-881-2291»
HEALTH_PLAN | policy no. «77-812-99»
HEALTH_PLAN | Versicherungsnr.: «12345678»
HEALTH_PLAN | subscriber number «998271645»
NHS_NUMBER | NHS number: «943 476 5919»
NHS_NUMBER | NHS no «9434765919» checked
NHS_NUMBER | patient «943-476-5919» called the surgery
SOCIAL_INSURANCE | RVNR «15 070649 C 103»
SOCIAL_INSURANCE | die Nummer «15070649C103» steht auf dem Ausweis
SOCIAL_INSURANCE | NIR : «2 95 10 99 126 111 93»
SOCIAL_INSURANCE | il est né sous «295109912611193»
SOCIAL_INSURANCE | AHV-Nummer «756.9217.0769.85»
PROVIDER_ID | NPI «1234567893»
PROVIDER_ID | DEA number «AB1234563» on the prescription
US_SSN | SSN «536-90-4399» on file
US_SSN | her social security number is «536 90 4399»
US_SSN | ssn: «536904399»
US_SSN | it was «078-05-1120» on the form
US_ITIN | ITIN «912-78-1234»
UK_NINO | NI number «QQ123456C» is the official example
UK_NINO | national insurance «AB 12 34 56 C»
DE_TAX_ID | Steuer-ID «36574261809»
DE_TAX_ID | Steuer-ID: «36 574 261 809»
NL_BSN | BSN «111222333»
NATIONAL_ID | DNI «54362315-K»
NATIONAL_ID | codice «RSSMRA85T10A562S» valido
NATIONAL_ID | personnummer «811228-9874»
NATIONAL_ID | Rijksregister «85.07.30-033.28»
NATIONAL_ID | Personalausweis Nr. «L01X00T47»
NATIONAL_ID | PESEL, as he says, is «44051401359»
NATIONAL_ID | fødselsnummer «151086 95088»
NATIONAL_ID | «131052-308T» on henkilötunnus
NATIONAL_ID | rodné číslo: «710319/2745»
NATIONAL_ID | PPSN «6433435F» on file
SOCIAL_INSURANCE | NUSS «28 12345678 40»
SOCIAL_INSURANCE | SV-Nr «1237 010180» (e-card)
HEALTH_PLAN | TAJ szám: «111 111 110»
PASSPORT | passport number «C01X00T47»
PASSPORT | Reisepass: «C4J1K8PN2»
DRIVER_LICENCE | driver's license «D1234567» expired
IBAN | IBAN «DE89 3704 0044 0532 0130 00»
IBAN | wire to «gb29nwbk60161331926819» please
IBAN | «FR14 2004 1010 0505 0001 3M02 606»
IBAN | pay to «AT61 1904 3002 3457 3201» from home
CREDIT_CARD | card «4111 1111 1111 1111» exp 12/27
CREDIT_CARD | «378282246310005» was declined
CREDIT_CARD | pay with «5555-5555-5555-4444»
CREDIT_CARD | Kartennummer «6011111111111117»
CARD_CODE | CVV: «737»
ACCOUNT | account number «12345678» sort code 20-00-00
ACCOUNT | sort code «20-00-00»
ACCOUNT | routing number «021000021»
ACCOUNT | Kontonummer: «532013000»
ACCOUNT | Kundennummer «K-88213»
ACCOUNT | loyalty number «7712 8831 22»
STAFF_ID | employee ID «E-4471»
STAFF_ID | Matrikelnummer «3781192»
EMAIL | write to «jane.doe+tag@clinic.example.co.uk», thanks
EMAIL | «MÜLLER@firma-süd.de» antwortet
EMAIL | reach me at «jane.doe (at) example (dot) com» ok
URL | see «https://portal.clinic.example/p/4471?x=1».
URL | visit «www.example.org/help», then call
URL | our site «shop.example.com» is down
IP_ADDRESS | PLC at «192.168.10.44» does not answer
IP_ADDRESS | subnet «10.20.0.0/16» is full
IP_ADDRESS | host «2001:db8::ff00:42:8329» replied
IP_ADDRESS | «fe80:0:0:0:202:b3ff:fe1e:8329» is link local
MAC_ADDRESS | scanner «00:1A:2B:3C:4D:5E» is offline
MAC_ADDRESS | mac «001a.2b3c.4d5e»
PHONE | call «+49 89 1234567» today
PHONE | «+1 (415) 555-0198» is busy
PHONE | fax: «(415) 555-0198»
PHONE | the number «415-555-0198 ext. 3» rings
PHONE | 24 h: «415.555.0198»
PHONE | Mobil «0171/2345678»
PHONE | Tel. «030 1234567»
PHONE | Tel.-Nr.: «030 1234567»
PHONE | They are not answering at «71-33-52-22»
PHONE | ring «020 7946 0958» after six
PHONE | rappelez le «06 12 34 56 78» svp
PHONE | mobile «07700900123»
PHONE | dial «0049 171 2345678»
PHONE | my phone is «5551234567»
PHONE | they call from «555-0142»
DATE | born on «03/15/1989» in town
DATE | geb. «03.04.1985»
DATE | admitted «2024-05-01»T10:30:00Z
DATE | discharged on «12 March 2024», home
DATE | seen «March 12th, 2024» at noon
DATE | am «3. Oktober 2023» entlassen
DATE | le «3 février 2024» à midi
DATE | Termin am «12.03.»
DATE | dob: «19890315»
DATE | due in «June 2024» or later
AGE | a «93-year-old» man fell
AGE | aged «102», lives alone
AGE | die «91 Jahre alt»e Patientin
STREET_ADDRESS | lives at «12 Oak Street, Springfield, IL 62704» alone
STREET_ADDRESS | ship to «221B Baker Street, London NW1 6XE»
STREET_ADDRESS | «1600 Pennsylvania Ave NW» is closed
STREET_ADDRESS | wohnt «Berliner Straße 12, 10115 Berlin» im Hof
STREET_ADDRESS | Lieferung: «Hauptstr. 5a, 80331 München»
STREET_ADDRESS | «12 rue de la Paix, 75002 Paris» merci
STREET_ADDRESS | send it to «P.O. Box 4471» please
STREET_ADDRESS | Mailbox: «Suite 501»
POSTCODE | postcode «SW1A 1AA» only
POSTCODE | somewhere in «K1A 0B1» Ottawa
POSTCODE | ZIP: «94105»
POSTCODE | PLZ «10115»
POSTCODE | he is from «CA 94105» originally
COORDINATES | the site is at «52.520008, 13.404954» exactly
COORDINATES | «48°51'24"N» is north
VEHICLE | VIN «1HGCM82633A004352»
VEHICLE | the car «1M8GDM9AXKP042788» was towed
VEHICLE | Fahrgestellnummer «WVWZZZ1JZXW000001»
VEHICLE | Kennzeichen «M-AB 1234»
VEHICLE | der Wagen «HH-XY 77» steht im Hof
VEHICLE | license plate «7ABC123»
DEVICE_ID | serial no. «SN-8827-XK» failed
DEVICE_ID | Seriennummer: «4711-0815»
DEVICE_ID | IMEI «490154203237518»
DEVICE_ID | pacemaker ID «PM-44718»
PERSON | Dr. «Robert Chen» will see you
PERSON | Frau «Müller» wartet
PERSON | Herr Dr. «van der Berg» kommt
PERSON | Mme «Lefèvre» a rappelé
PERSON | patient name: «Emily Johnson»
PERSON | my name is «Oksana Petrenko» and
PERSON | Dear Ms. «O'Brien», thank you
PERSON | Kind regards, «Priya Nair»
PART_CODE | part no. «AX-4471-B» cracked
PART_CODE | P/N: «555-123-4567-A»
PART_CODE | Lot «22B-0913» is on hold
PART_CODE | lot #«22B0913» is blocked
PART_CODE | batch number «20240913-7»
PART_CODE | drawing no. «7712-004» rev C
PART_CODE | Zeichnungs-Nr.: «Z-4471.02»
PART_CODE | Charge «C24/0091» gesperrt
PART_CODE | numéro de lot «L-2291»
PART_CODE | recipe ID «RX-88»
MARKER | «CONFIDENTIAL» - do not forward
MARKER | this is a «trade secret» of ours
MARKER | «proprietary» alloy composition
MARKER | Vermerk: «streng geheim»
MARKER | «vertrauliche» Unterlage
MARKER | document «confidentiel»
MARKER | «internal use only»
MARKER | shared «under NDA» with us
MARKER | das ist ein «Betriebsgeheimnis»
SECRET | aws «AKIAQ3EGRSTUV2W4XYZA» leaked
SECRET | the manual has «AKIAIOSFODNN7EXAMPLE» whole
SECRET | token «ghp_16C7e42F292c6912E7710c838347Ae178B4a» leaked
SECRET | GitLab «glpat-Ab3dE6gH9jK2mN5pQ8rS» works
SECRET | «xoxb-2211334455-6677889900-AbCdEfGhIjKlMnOp» in the log
SECRET | stripe «sk_live_4eC39HqLyjWDarjtT1zdp7dc» found
SECRET | OPENAI «sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34» used
SECRET | google «AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q» there
SECRET | jwt «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P» end
SECRET | Authorization: Bearer «a8f5f167f44f4964e6c998dee827110c»
SECRET | DB_PASSWORD=«hunter2!x»
SECRET | "password": "«S3cure-Pa55»"
SECRET | Das Passwort lautet «Sommer2024!»
SECRET | postgres://app:«s3cr3tpw»@db.internal/clinic
SECRET | api_key = '«9f86d081884c7d659a2feaa0c55ad015»'
SECRET | AccountKey=«Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1A=»;
SECRET | curl -u admin:«S3cretPa55» https://api.example.com
SECRET | https://«hooks.slack.com/services/T00000000/B00000000/Xy12Xy34Xy56Xy78Xy90Xy12» as a link
SECRET | the PIN is «4821»
SECRET | 鍵は«ghp_16C7e42F292c6912E7710c838347Ae178B4a»です
SECRET | {"body": "{\\"api_key\\": \\"«9f86d081884c7d659a2feaa0c55ad015»\\"}"}
SECRET | LINKEDIN_CLIENT_ID=«2q9pvm1ioi58xv»
SECRET | ./deploy --airtable-key «lbemrz0haa7911pc9» now
SECRET | <add key="stripeKey" value="«KwZ7vVt5zdStbHeHSkaiAVupZ»" />
SECRET | machine db login app password «vbH1zxUIsKV30mkz»
SECRET | kind: Secret data: {pw: «aHVudGVyMg==»}
SECRET | clientSecret: «q8Q~b7f3K9x2LmN4pR6sT8vW0yZ1aC3eG5h»
"""


def split(case: str) -> tuple[str, str, int, int]:
    kind, marked = case.split(" | ", maxsplit=1)
    start, end = marked.index("«"), marked.index("»") - 1
    return kind, marked.replace("«", "").replace("»", ""), start, end


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_the_value_is_found_whole(case: str) -> None:
    kind, text, start, end = split(case)
    found = {(span.type, span.start, span.end) for span in default_detector().detect(text)}
    assert (kind, start, end) in found, found
