"""Record, insurance and health identifiers: the kinds that raise `patient` (CONTRACT.md "Detection")."""

from __future__ import annotations

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import ENDS, Label, Rule, Run
from homebred_daemon.adapters.detectors.shapes import CODE, END, TAIL, numbered

_RECORD_WORDS = (
    *(
        "mrn",
        "medical record",
        "med rec",
        "health record",
        "patient identifier",
        "patientid",
        "pat id",
        "pat. nr",
        "ehr id",
        "emr id",
    ),
    *numbered("patient", "patienten", "pat", "chart", "hospital", "encounter", "admission", "record", "accession"),
    *numbered("specimen", "prescription", "rx", "case record", "file record", "fall", "aufnahme", "befund", "rezept"),
    *("patientennummer", "patientennr", "patientenid", "fallnummer", "fallnr", "aufnahmenummer", "krankenaktennummer"),
    *("befundnummer", "rezeptnummer", "laborauftragsnummer", "krankenakte", "patientenakte"),
    *(
        "numéro de dossier",
        "n° de dossier",
        "dossier patient",
        "dossier médical",
        "numéro patient",
        "numéro de patient",
    ),
    *("ipp", "patiëntnummer", "numero de historia", "historia clínica", "cartella clinica"),
)
_PLAN_WORDS = (
    *(
        "health plan",
        "medicare",
        "medicaid",
        "hicn",
        "mbi",
        "ehic",
        "krankenversicherungsnummer",
        "krankenversichertennummer",
    ),
    *("krankenversicherten nr", "versichertennummer", "versichertennr", "versicherten nr", "versicherten id", "kvnr"),
    *(
        "versicherungsnummer",
        "versicherungsnr",
        "versicherungs nr",
        "vers. nr",
        "vers.nr",
        "policennummer",
        "police nr",
        "versicherungsschein nr",
    ),
    *("carte vitale", "numéro d'assuré", "n° d'assuré", "numéro d'adhérent", "mutuelle n°", "polisnummer", "polizza n"),
    *numbered(
        "member", "subscriber", "beneficiary", "insurance", "insurance policy", "policy", "policyholder", "health card"
    ),
    *numbered("health insurance", "claim", "prior authorization", "insured", "versicherten", "versicherungs"),
)
_SOCIAL_WORDS = (
    *("numéro de sécurité sociale", "n° de sécurité sociale", "numéro de sécu", "nir", "sozialversicherungsnummer"),
    *("rentenversicherungsnummer", "rvnr", "sv nummer", "ahv nummer", "ahv nr", "sozialversicherungs nr", "numéro avs"),
)
_MBI_LETTER = "[AC-HJKMNP-RT-Y]"

RULES = (
    Rule(type="MEDICAL_RECORD", at=Label(_RECORD_WORDS), pattern=TAIL + CODE),
    Rule(type="HEALTH_PLAN", at=Label(_PLAN_WORDS), pattern=TAIL + CODE),
    Rule(
        type="SOCIAL_INSURANCE", at=Label(_SOCIAL_WORDS), pattern=TAIL + r"(?P<v>(?-i:\d(?:[ .]?[0-9A-Z]){8,16}))" + END
    ),
    Rule(
        type="NHS_NUMBER", at=Label(("nhs", *numbered("nhs"))), pattern=TAIL + r"(?P<v>\d{3}[ -]?\d{3}[ -]?\d{4})" + END
    ),
    Rule(
        type="NHS_NUMBER",
        at=Run((3, 10), after="-" + ENDS),
        pattern=r"(?<![\w-])\d{3}([ -]?)\d{3}\1\d{4}" + END,
        check=checks.stdnum("gb.nhs"),
        context=("nhs", "patient", "gp ", "surgery"),
    ),
    Rule(  # Scotland's and Northern Ireland's numbers have the same check
        type="NHS_NUMBER",
        at=Label(("chi", "h&c", *numbered("chi", "h&c"))),
        pattern=TAIL + r"(?P<v>\d{3}[ -]?\d{3}[ -]?\d{4})" + END,
        check=checks.stdnum("gb.nhs"),
    ),
    # Medicare Beneficiary Identifier: C A AN N A AN N A A N N, from 1EG4-TE5-MK73 (CMS).
    Rule(
        type="HEALTH_PLAN",
        at=Run((1,), after="a"),
        pattern=rf"(?<![\w-])[1-9]{_MBI_LETTER}(?:{_MBI_LETTER}|\d)\d-?{_MBI_LETTER}(?:{_MBI_LETTER}|\d)\d-?"
        rf"{_MBI_LETTER}{{2}}\d\d{END}",
    ),
    Rule(
        type="HEALTH_PLAN",
        at=Run((9,), after=ENDS, before="a", leads=(1,)),
        pattern=rf"(?<![\w-])[A-Z]\d{{9}}{END}",
        check=checks.kvnr,
    ),
    Rule(
        type="HEALTH_PLAN",
        at=Run((3,), after=" ", before="a ", leads=(1, 2)),
        pattern=rf"(?<![\w-])[A-Z] ?\d{{3}} \d{{3}} \d{{3}}{END}",
        check=checks.kvnr,
    ),
    Rule(
        type="SOCIAL_INSURANCE",
        at=Run((8, 2), after="a "),
        pattern=rf"(?<![\w-])\d{{2}} ?(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{{2}} ?[A-Z] ?\d{{3}}{END}",
        check=checks.rvnr,
    ),
    # French NIR with its key: sex, year, month, department, commune, order, key.
    Rule(
        type="SOCIAL_INSURANCE",
        at=Run((1, 5, 6, 13, 15), after="a" + ENDS),
        pattern=rf"(?<![\w.-])[1-478] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{{3}} ?\d{{3}} ?\d\d{END}",
        check=checks.fr_nir,
    ),
    Rule(
        type="SOCIAL_INSURANCE",
        at=Run((3, 13), after=ENDS),
        pattern=rf"(?<![\w.-])756([. ]?)\d{{4}}\1\d{{4}}\1\d\d{END}",
        check=checks.stdnum("ch.ssn"),
    ),
    Rule(
        type="SOCIAL_INSURANCE",
        at=Run((4, 10), after=ENDS),
        pattern=r"(?<![\w.-])\d{4} ?\d{6}" + END,
        check=checks.stdnum("at.vnr"),
        context=("svnr", "sv-nr", "sozialversicherung", "ecard", "e-card"),
    ),
    Rule(
        type="PROVIDER_ID", at=Label(("npi", *numbered("npi"))), pattern=TAIL + r"(?P<v>\d{10})" + END, check=checks.npi
    ),
    Rule(
        type="PROVIDER_ID",
        at=Run((7,), after=ENDS, before="a", leads=(2,)),
        pattern=rf"(?<![\w-])[ABCDEFGHJKLMPRSTUX][A-Z9]\d{{7}}{END}",
        check=checks.dea,
        context=("dea", "prescri", "dr.", "physician"),
    ),
    Rule(
        type="PROVIDER_ID",
        at=Run((8,), after=ENDS, before="a", leads=(1,)),
        pattern=rf"(?<![\w-])[ABCDEFGHJKLMPRSTUX]9\d{{7}}{END}",
        check=checks.dea,
        context=("dea", "prescri", "dr.", "physician"),
    ),
    Rule(
        type="MEDICAL_RECORD",
        at=Run((*range(5, 13),), after=ENDS, before="a-", leads=(3, 4)),
        pattern=rf"(?<![\w-])(?:MRN|PAT|ENC)-?(?P<v>\d{{5,12}}){END}",
    ),
)
