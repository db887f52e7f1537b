"""Names in German, which writes every noun with a capital: there only what stands beside a word tells a name from one.

For `names` (tier 3). It has no list of German nouns: a word without an article behind a preposition, before a verb or
behind an occupation is a name, unless it ends as nouns do or often stands so. It looks at two neighbours of a word.
"""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_GERMAN = _set(
    "der die das und ist nicht ein eine einen mit für von dem den zu auf ich wir bitte sie wird im am wenn über aus bei"
    " nach hat sind haben auch oder aber als vom zum zur des keine noch nur wurde werden braucht"
)
ENGLISH = _set("the and is of to in a for on with this that you it are be was i my")
# Hardly ever a name, whatever a list says.
FUNCTION_WORDS = _set(
    "der die das den dem des ein eine einen einem einer sie ihr ihre wir ich er es und uns euch mir dir ihm ihn nach"
    " bei aus mit von wenn dann bitte hier da dort nicht auch noch nur wo wer was wie"
)
_BEFORE_PLACE = _set("in aus nach bei")
_TOWARDS = _set("nach zur zum bis aus")
_BEFORE_NAME = _set(
    "mit von bei für an gegen ohne durch über um wie als hinter neben heißt namens nannte sagt sagte fragt"
)
_VERBS = _set(
    "hat hatte ist war wird wurde kann konnte möchte will wollte sagt sagte fragt fragte kommt kam geht ging meldet"
    " meldete übernimmt übernahm arbeitet arbeitete wohnt heißt braucht soll sollte muss musste darf ruft rief"
    " schreibt schrieb bittet bat meint findet fand hatte macht machte bekommt bekam nimmt nahm liefert lieferte"
    " reklamiert fährt fuhr bringt brachte holt holte wartet lebt spricht sprach kennt weiß wünscht leidet klagt"
    " berichtet bestellt bestellte"
)
_ROLES = _set(
    "kollege kollegen kollegin schwester pfleger pflegerin lehrer lehrerin meister meisterin monteur monteurin"
    " techniker technikerin arzt ärztin patient patientin schüler schülerin kunde kundin mitarbeiter mitarbeiterin"
    " nachbar nachbarin mutter vater sohn tochter bruder oma opa tante onkel ehemann ehefrau freund freundin chef"
    " chefin firma familie gemeinde ort stadt kreis landkreis bezirk azubi praktikant praktikantin trainer trainerin"
    " hausmeister fahrer fahrerin bewohner bewohnerin gast vertreter vertreterin disponent hausarzt hausärztin"
    " professor direktor schichtleiter"
)
_NOUN_ENDINGS = (
    *("ung", "ungen", "heit", "keit", "schaft", "tion", "tionen", "tät", "ismus", "nis", "tum", "ment", "enz", "anz"),
    *(
        "zeit",
        "arbeit",
        "stelle",
        "zahl",
        "stoff",
        "werk",
        "wesen",
        "grad",
        "gerät",
        "nummer",
        "liste",
        "plan",
        "mittel",
    ),
    *(
        "maschine",
        "anlage",
        "teil",
        "teile",
        "druck",
        "raum",
        "zimmer",
        "termin",
        "tag",
        "woche",
        "monat",
        "jahr",
        "stunde",
    ),
)
_NAME_ENDINGS = (
    *(
        "czyk",
        "ski",
        "wicz",
        "enko",
        "idis",
        "poulos",
        "oğlu",
        "ović",
        "escu",
        "sson",
        "ström",
        "hofer",
        "huber",
        "meier",
    ),
    *("maier", "mayer", "meyer", "berger", "inger"),
)
_FOREIGN = re.compile("[^a-zäöüßéèàâêôç'\u2019-]")
# What often stands without an article.
_NOUNS = _set(
    "anfang ende mitte beginn ordnung zukunft bezug kürze arbeit betrieb wasser zucker milch strom luft öl dampf"
    " schmerzen fieber kindern kinder eltern kollegen kunden patienten schüler schülern hause uhr tagen wochen monaten"
    " jahren stunden minuten sekunden metern kilo prozent euro personen leuten leute freunden fragen problemen"
    " probleme bedarf fall verdacht zustand rücksprache absprache vorschrift versehen angst ruhe gefahr frage kraft"
    " not metall holz stahl kunststoff glas papier gummi aluminium kupfer silber gold ost west nord süd norden süden"
    " osten westen frühling sommer herbst winter weihnachten ostern pfingsten deutsch englisch französisch spanisch"
    " italienisch russisch türkisch schule anfrage wunsch bitte danke hilfe auto bus bahn zug rad fuß hand hand kopf"
    " bauch rücken herz blut haut medikamente tabletten essen trinken kaffee tee brot obst gemüse fleisch fisch salz"
    " geld zeit platz recht unrecht teilen teile waren ware gründen form folge folgen rahmen lage sicht höhe länge"
    " breite tiefe nähe richtung eile urlaub rente pflege therapie behandlung diabetes krebs asthma husten grippe"
    " corona covid allergie reinigung wartung montage lager versand einkauf verkauf qualität frau herr herrn damen"
    " herren mädchen jungen männer frauen männern menschen gästen gäste bewohner mitarbeiter angehörige regen schnee"
    " sonne wind nacht morgen abend mittag nachmittag vormittag mitternacht gestern heute sie ihnen ihr ihrer"
)


def is_german(small: set[str]) -> bool:
    """Whether a text is German, by its words in small letters; a quoted phrase is no language."""
    german = len(small & _GERMAN)
    return german > 2 and german > len(small & ENGLISH)  # noqa: PLR2004 - see the docstring


def is_name_by_place(plain: str, before: str, after: str, *, begins: bool, is_listed: bool) -> bool:
    """Whether a capitalised word in a German text is a name.

    Args:
        plain: the word, lower case.
        before: the word before it as written, empty where there is none.
        after: the word behind it.
        begins: whether a sentence begins with it.
        is_listed: whether a list has it as a name; a town need not be in one.
    """
    if plain in _NOUNS or plain.endswith(_NOUN_ENDINGS):
        return False
    if plain.endswith(_NAME_ENDINGS) or _FOREIGN.search(plain):
        return True
    if begins:
        return is_listed and after in _VERBS
    if before.lower() in _ROLES and before[0].isupper():
        return True
    if before == "von" and after in _TOWARDS:
        return True
    return before in _BEFORE_PLACE or (is_listed and (before in _BEFORE_NAME or (before == "und" and after in _VERBS)))
