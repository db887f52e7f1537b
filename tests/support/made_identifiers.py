"""Identifiers with their check digits, made by the published algorithms and not by the library that the product uses.

A kind is a maker of values, the labels that people put before them, and whether the value is told apart without one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.support import european_numbers as europe
from tests.support import other_numbers as other
from tests.support import surroundings
from tests.support.made_secrets import Sample
from tests.support.made_values import made

Maker = Callable[[random.Random], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Identifier:
    """One kind of identifier."""

    make: Maker
    labels: tuple[str, ...]
    is_known_alone: bool = False
    checked: int = -1
    """Which letter or digit is the check; a near miss changes it."""
    never_issued: Maker | None = None
    """For a scheme without a check: values of its form that nobody gets."""


def identifier_kinds() -> dict[str, Callable[[random.Random], Sample]]:
    """Kind → maker of samples of it."""
    return {kind: _sampled(kind, identifier) for kind, identifier in IDENTIFIERS.items()}


def _sampled(kind: str, identifier: Identifier) -> Callable[[random.Random], Sample]:
    def make(source: random.Random) -> Sample:
        is_alone = identifier.is_known_alone and source.random() < 0.5
        around = source.choice(surroundings.ALONE if is_alone else surroundings.LABELLED)
        text, start, end = surroundings.placed(around, identifier.make(source), source.choice(identifier.labels))
        return Sample(kind=kind, text=text, start=start, end=end)

    return make


IDENTIFIERS: dict[str, Identifier] = {
    "payment-card": Identifier(
        make=other.card, labels=("card", "Visa", "Kartennummer", "card number"), is_known_alone=True
    ),
    "iban": Identifier(make=other.iban, labels=("IBAN", "iban", "account"), is_known_alone=True, checked=3),
    "us-routing-number": Identifier(make=other.aba, labels=("routing number", "ABA", "routing no.")),
    "us-social-security": Identifier(
        make=other.ssn, labels=("SSN", "ssn", "Social Security Number"), is_known_alone=True, never_issued=other.no_ssn
    ),
    "us-social-security-labelled": Identifier(
        make=other.ssn_labelled, labels=("SSN", "ssn", "Social Security No."), never_issued=other.no_ssn
    ),
    "us-itin": Identifier(
        make=other.itin,
        labels=("ITIN", "tax id"),
        is_known_alone=True,
        never_issued=lambda source: made("9{d:2}-1{d:1}-{d:4}", source),
    ),
    "us-medicare": Identifier(
        make=other.mbi,
        labels=("MBI", "Medicare number", "Medicare"),
        is_known_alone=True,
        never_issued=lambda source: made("0AB1-C2D-EF{d:2}", source),
    ),
    "us-provider": Identifier(make=other.npi, labels=("NPI", "npi", "NPI number")),
    "us-dea": Identifier(make=other.dea, labels=("DEA", "DEA number", "prescriber DEA no.")),
    "vehicle": Identifier(make=other.vin, labels=("VIN", "chassis no.", "FIN"), is_known_alone=True, checked=8),
    "imei": Identifier(make=other.imei, labels=("IMEI", "imei")),
    "uk-nhs": Identifier(make=europe.nhs, labels=("NHS number", "NHS no.", "nhs", "NHS")),
    "uk-national-insurance": Identifier(
        make=europe.nino,
        labels=("NI number", "NINO", "National Insurance"),
        is_known_alone=True,
        never_issued=lambda source: made("GB{d:6}A", source),
    ),
    "ie-pps": Identifier(make=europe.pps, labels=("PPS number", "PPSN", "PPS No.")),
    "de-health-insurance": Identifier(
        make=europe.kvnr, labels=("Versichertennummer", "KVNR", "KV-Nr."), is_known_alone=True
    ),
    "de-pension-insurance": Identifier(
        make=europe.rvnr, labels=("RVNR", "SV-Nummer", "Rentenversicherungsnummer"), is_known_alone=True
    ),
    "de-tax": Identifier(make=europe.idnr, labels=("Steuer-ID", "IdNr", "Steueridentifikationsnummer")),
    "at-social-insurance": Identifier(
        make=europe.austrian, labels=("SVNR", "SV-Nr", "Sozialversicherungsnummer"), checked=3
    ),
    "ch-social-insurance": Identifier(
        make=europe.ahv, labels=("AHV-Nummer", "AHV-Nr.", "numéro AVS"), is_known_alone=True
    ),
    "fr-social-security": Identifier(
        make=europe.nir, labels=("NIR", "numéro de sécurité sociale", "n° de sécu"), is_known_alone=True
    ),
    "fr-tax": Identifier(make=europe.spi, labels=("numéro fiscal", "SPI", "n° fiscal")),
    "be-national": Identifier(make=europe.belgian, labels=("rijksregisternummer", "numéro national", "NISS", "INSZ")),
    "nl-bsn": Identifier(make=europe.bsn, labels=("BSN", "burgerservicenummer", "bsn")),
    "lu-matricule": Identifier(make=europe.luxembourg, labels=("matricule", "Matricule national")),
    "es-social-security": Identifier(make=europe.nuss, labels=("NUSS", "NSS", "número de la Seguridad Social")),
    "es-dni": Identifier(make=europe.dni, labels=("DNI", "NIF", "dni"), is_known_alone=True),
    "es-nie": Identifier(make=europe.nie, labels=("NIE", "nie"), is_known_alone=True),
    "it-codice-fiscale": Identifier(
        make=europe.codice_fiscale, labels=("codice fiscale", "CF", "C.F."), is_known_alone=True
    ),
    "pt-nif": Identifier(make=europe.portuguese, labels=("NIF", "contribuinte", "número de contribuinte")),
    "gr-amka": Identifier(make=europe.amka, labels=("AMKA", "ΑΜΚΑ", "amka")),  # noqa: RUF001 - Greek
    "se-personnummer": Identifier(make=europe.personnummer, labels=("personnummer", "pnr"), is_known_alone=True),
    "se-personnummer-plain": Identifier(
        make=lambda source: europe.personnummer(source).replace("-", ""), labels=("personnummer", "Personnummer")
    ),
    "uk-chi": Identifier(make=europe.nhs, labels=("CHI number", "CHI")),
    "dk-cpr": Identifier(make=europe.cpr, labels=("CPR", "CPR-nr.", "CPR-nummer", "personnummer")),
    "no-fodselsnummer": Identifier(
        make=europe.norwegian, labels=("fødselsnummer", "fnr", "personnummer", "fodselsnummer")
    ),
    "fi-hetu": Identifier(make=europe.hetu, labels=("henkilötunnus", "hetu", "HETU"), is_known_alone=True),
    "is-kennitala": Identifier(make=europe.kennitala, labels=("kennitala", "kt.", "Kennitala"), checked=8),
    "pl-pesel": Identifier(make=europe.pesel, labels=("PESEL", "pesel", "numer PESEL")),
    "ee-isikukood": Identifier(make=europe.baltic, labels=("isikukood", "Isikukood")),
    "lt-asmens-kodas": Identifier(make=europe.baltic, labels=("asmens kodas", "Asmens kodas")),
    "lv-personas-kods": Identifier(make=europe.latvian, labels=("personas kods", "Personas kods")),
    "cz-birth-number": Identifier(make=europe.birth_number, labels=("rodné číslo", "r.č.", "RČ", "Rodné číslo")),
    "hu-taj": Identifier(make=europe.taj, labels=("TAJ szám", "TAJ", "TAJ-szám")),
    "ro-cnp": Identifier(make=europe.cnp, labels=("CNP", "cnp")),
    "bg-egn": Identifier(make=europe.egn, labels=("ЕГН", "EGN")),
    "hr-oib": Identifier(make=europe.oib, labels=("OIB", "oib")),
    "si-emso": Identifier(make=europe.emso, labels=("EMŠO", "EMSO", "JMBG")),
    "ua-tax": Identifier(make=europe.rntrc, labels=("РНОКПП", "ІПН", "RNTRC")),
    "tr-identity": Identifier(make=europe.turkish, labels=("TCKN", "T.C. Kimlik No", "TC kimlik no")),
    "ca-sin": Identifier(make=other.sin, labels=("SIN", "Social Insurance Number", "sin")),
    "in-aadhaar": Identifier(make=other.aadhaar, labels=("Aadhaar", "aadhaar no.", "UIDAI")),
    "br-cpf": Identifier(make=other.cpf, labels=("CPF", "cpf")),
    "au-medicare": Identifier(
        make=other.medicare_australia, labels=("Medicare card", "Medicare no.", "medicare"), checked=8
    ),
    "bitcoin-address": Identifier(make=other.bech32, labels=("wallet", "BTC"), is_known_alone=True),
}
