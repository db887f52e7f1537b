"""Keys, tokens and passwords that their surroundings give away: the kinds that raise `code`.

Those with a prefix of their own stand in `vendor_keys`. What nothing tells from a digest, a UUID or an ordinary word is
left alone: a client's number or a hexadecimal key with no vendor and no word for a key beside it, a chosen password in
a row of a table.
"""

from __future__ import annotations

from homebred_daemon.adapters.detectors import key_checks
from homebred_daemon.adapters.detectors.rule import BESIDE, Anywhere, Label, Rule, Run, Start

_PASSWORD_WORDS = (
    *(
        "password",
        "passwd",
        "passwort",
        "kennwort",
        "pwd",
        "passphrase",
        "passcode",
        "mot de passe",
        "contraseña",
        "wachtwoord",
    ),
    *("db pass", "dbpass", "userpass", "zugangscode", "parola"),
)
_KEY_WORDS = (
    *(
        "api key",
        "apikey",
        "access key",
        "accesskey",
        "secret key",
        "secretkey",
        "secret",
        "token",
        "auth key",
        "authkey",
    ),
    *("client secret", "clientsecret", "private key", "privatekey", "encryption key", "signing key", "account key"),
    *("accountkey", "access token", "credential", "credentials", "shared access key", "sharedaccesskey", "license key"),
    *(
        "clé api",
        "clé secrète",
        "api schlüssel",
        "zugriffsschlüssel",
        "geheimer schlüssel",
        "jeton",
        "webhook secret",
        "sonar login",
        "sonarlogin",
        "sas",
    ),
)
_WEAK_WORDS = ("key", "auth", "creds")
_ID_WORDS = ("client id", "clientid", "access id", "accessid", "api id", "apiid")
# How a name and its value stand beside each other, an annotation of a type and an attribute between them included.
_SET_TO = (
    r"(?:[\"'`\])]{0,3}(?:(?::\s?|\s)\w{2,12}(?=\s=\s))?\s{0,3}"
    r"(?:[=-]>|[:?]{0,3}={1,3}|:{1,2}|→|\|\|?:?|>|,(?=\s?[\"']))\s{0,3}[\"'`]{0,2}"
    r"|\"\s{1,3}value\s?=\s?[\"']"
    r"|(?::\s?[|>][+-]?|>)\s{0,2}\r?\n[ \t]{1,12}[\"']?)"  # a block of YAML, an element of XML
)
_NO_ATTRIBUTE = "(?<!<add key)"  # there the name follows, and the value behind it
_IN_ROW = r"[,;](?=[^\s\"'])"
_SAID_TO_BE = r"\s(?:is|ist|lautet|est|was|war)\b:?\s[\"'`]?"
_BESIDE = r"[\"'`]?\s{1,4}[\"'`(]{0,2}"
_CHOSEN = r"(?P<v>[^\s\"'`,;<>&]{6,128}(?<![.)\]}:]))"
_VENDORS = (
    *(
        "adafruit",
        "adobe",
        "airtable",
        "algolia",
        "alibaba",
        "asana",
        "atlassian",
        "beamer",
        "bitbucket",
        "bittrex",
        "meraki",
    ),
    *(
        "cloudflare",
        "codecov",
        "cohere",
        "coinbase",
        "confluent",
        "contentful",
        "datadog",
        "discord",
        "drone",
        "droneci",
    ),
    *(
        "dropbox",
        "etsy",
        "facebook",
        "fastly",
        "finicity",
        "finnhub",
        "flickr",
        "freshbooks",
        "gitlab",
        "gitter",
        "heroku",
    ),
    *(
        "hubspot",
        "intercom",
        "jfrog",
        "kraken",
        "kucoin",
        "launchdarkly",
        "linear",
        "linkedin",
        "lob",
        "looker",
        "mailgun",
    ),
    *("mapbox", "mattermost", "messagebird", "netlify", "newrelic", "new relic", "nytimes", "okta", "plaid"),
    *("privateai", "rapidapi", "sendbird", "sentry", "snyk", "square", "squarespace", "sumo", "sumologic", "telegram"),
    *(
        "travis",
        "twitch",
        "twitter",
        "typeform",
        "yandex",
        "zendesk",
        "session",
        "sidekiq",
        "sourcegraph",
        "sonar",
        "jira",
        "confluence",
        "artifactory",
        "bintray",
    ),
)
_NUMBERED = r"(?:_?\d{1,2})?(?![^\W_])"
_KEY_TAIL = r"(?:[ _-]?(?:key|id|access|token|value|string|base64|secret)){0,3}s?" + _NUMBERED
_NEAR_VENDORS = (
    *_VENDORS,
    *(
        "relic",
        "linked_in",
        "linked-in",
        "message_bird",
        "message-bird",
        "private_ai",
        "private-ai",
        "new-york-times",
        "xray",
    ),
)
_KEY_END = r"(?<!\.))"
_UUID = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_PUBLIC = ("public", "pubkey", "pub_key", "pub-key", "publishable")

RULES = (
    Rule(
        type="SECRET",
        at=Start(("-----begin",)),
        pattern=r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[A-Za-z0-9+/=\s:,.()]|-(?!-)|\\[nr]){0,9000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:[A-Za-z0-9+/=\s]|\\[nr]){0,9000})",
    ),
    Rule(
        type="SECRET", at=Anywhere((".atlasv1.",)), pattern=r"(?<!\w)[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}"
    ),  # Terraform
    Rule(type="SECRET", at=Anywhere(("q~",)), pattern=r"(?<![\w~.-])[\w~.]{3}\dQ~[\w~.-]{31,34}(?![\w~-])"),  # Azure
    Rule(type="SECRET", at=Anywhere(("-us",)), pattern=r"(?<!\w)[0-9a-f]{32}-us\d{1,2}(?!\w)"),  # Mailchimp
    Rule(type="SECRET", at=Anywhere(("_mmk",)), pattern=r"(?<!\w)[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk(?!\w)"),  # MaxMind
    Rule(  # Facebook, an app's number and its token
        type="SECRET", at=Run((15, 16), after="$"), pattern=r"(?<!\w)\d{15,16}(?:\||%(?:7C)?)[\w-]{27,40}(?![\w-])"
    ),
    Rule(
        type="SECRET",
        at=Anywhere(("contribsys",)),  # Sidekiq
        pattern=r"(?:(?i:CONTRIBSYS__COM)[=:]\s?[\"']?|https?://)(?P<v>[0-9a-f]{8}:[0-9a-f]{8})(?![\w:])",
    ),
    Rule(
        type="SECRET",
        at=Start(("curl ",)),
        pattern=r"curl [^\n]{0,300}?(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,64}:(?P<v>[^\s\"']{3,128})",
        check=key_checks.password,
    ),
    Rule(
        type="SECRET",
        at=Start(("sshpass -p", "mysql ", "mysqldump ")),  # mysql reads "-p name" as a name
        pattern=r"(?:sshpass -p ?|mysql(?:dump)? (?:[^\n]{0,120}? )?-p)[\"']?(?P<v>[^\s\"'-][^\s\"']{3,128})",
        check=key_checks.password,
    ),
    Rule(
        type="SECRET",
        at=Start(("env ",)),
        pattern=r"ENV [A-Z0-9_]{0,60}(?:PASS|PWD|KENNWORT)[A-Z0-9_]{0,30} (?P<v>[^\s\"']{4,128})",
        check=key_checks.password,
    ),
    Rule(  # netrc(5)
        type="SECRET",
        at=Start(("login ",)),
        pattern=r"(?i:login\s{1,8}\S{1,64}\s{1,8}password\s{1,8})(?P<v>\S{3,128})",
        check=key_checks.password,
    ),
    Rule(
        type="SECRET",
        at=Anywhere(("kind: secret", 'kind": "secret', 'kind":"secret')),
        pattern=r"(?<![\w.-])[\w.-]{1,60}[\"']?:\s?[\"']?(?P<v>(?:[A-Za-z0-9+/]{4}){2,1000}"
        r"(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==))(?![\w+/=.-])",
        check=key_checks.encoded,
    ),
    Rule(  # Telegram, a bot's number and its token
        type="SECRET",
        at=Run((*range(5, 17),), after=":", before=BESIDE + "$a"),
        pattern=r"(?<!\w)\d{5,16}:A[\w-]{34}(?![\w-])",
    ),
    Rule(
        type="SECRET", at=Start(("sig=",)), pattern=r"(?i:sig)=(?P<v>[A-Za-z0-9%+/]{40,90}={0,2})"
    ),  # Azure, shared access
    Rule(
        type="SECRET",
        at=Start(("bearer ",)),
        pattern=r"(?i:bearer) (?P<v>[\w.~+/%-]{16,2000}={0,2})",
        check=key_checks.key,
    ),
    Rule(
        type="SECRET",
        at=Start(("basic ",)),
        pattern=r"(?i:basic) (?P<v>(?=[A-Za-z0-9+/]{0,60}[A-Z0-9])[A-Za-z0-9+/]{16,400}={0,2})(?![\w ])",
    ),
    Rule(
        type="SECRET",
        at=Anywhere(("://",)),
        pattern=r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.]{1,20}://[^\s:/@\"'<>]{0,64}:"
        r"(?P<v>[^\s@/\"'<>]{3,128})@(?=[\w\[])",
        check=key_checks.password,
    ),
    Rule(
        type="SECRET",
        at=Label(_PASSWORD_WORDS, inside=True),
        pattern=r"(?:[ _-](?:hash|value|text)|_?\d{1,2})?" + _SET_TO + _CHOSEN,
        check=key_checks.password,
    ),
    Rule(  # a pass may also be one of several, or a way over a mountain
        type="SECRET",
        at=Label(("pass",), inside=True),
        pattern=rf"(?:_?\d{{1,2}})?(?:{_SET_TO}|{_SAID_TO_BE}|\s[\"'`])" + _CHOSEN,
        check=key_checks.spoken_password,
    ),
    Rule(
        type="SECRET",
        at=Label(_PASSWORD_WORDS, inside=True),
        pattern=rf"(?:{_SAID_TO_BE}|(?:_?\d{{1,2}})?\s[\"'`])" + _CHOSEN,
        check=key_checks.spoken_password,
    ),
    Rule(
        type="SECRET",
        at=Label(_KEY_WORDS, inside=True),
        pattern=_KEY_TAIL + f"(?:{_SET_TO}|{_SAID_TO_BE})" + r"(?P<v>[\w.~+/=%-]{10,512}" + _KEY_END,
        check=key_checks.key,
        unless=_PUBLIC,
    ),
    Rule(
        type="SECRET",
        at=Label(_KEY_WORDS, inside=True),
        pattern=_KEY_TAIL + f"(?:{_BESIDE}|{_IN_ROW})" + r"(?P<v>[\w.~+/=%-]{14,512}" + _KEY_END,
        check=key_checks.generated,
        unless=_PUBLIC,
    ),
    Rule(
        type="SECRET",
        at=Label(_WEAK_WORDS, inside=True),
        pattern=_NO_ATTRIBUTE
        + _NUMBERED
        + rf"(?:{_SET_TO}|{_SAID_TO_BE}|{_BESIDE}|{_IN_ROW})"
        + r"(?P<v>[\w.~+/=%-]{20,512}"
        + _KEY_END,
        check=key_checks.generated,
        unless=_PUBLIC,
    ),
    Rule(
        type="SECRET",
        at=Label(_VENDORS),
        pattern=rf"[\w .-]{{0,24}}?(?:{_SET_TO}|{_SAID_TO_BE}|{_BESIDE}|{_IN_ROW})"
        r"(?P<v>[\w.~+/=%-]{14,512}" + _KEY_END,
        check=key_checks.generated,
        unless=_PUBLIC,
    ),
    Rule(  # a vendor's name makes a doubtful one certain, and a short one, and a number
        type="SECRET",
        at=Label((*_KEY_WORDS, *_WEAK_WORDS), inside=True),
        pattern=_NO_ATTRIBUTE
        + _KEY_TAIL
        + rf"(?:{_SET_TO}|{_SAID_TO_BE}|{_BESIDE}|{_IN_ROW})"
        + r"(?P<v>[\w.~+/=%-]{14,512}"
        + _KEY_END,
        check=key_checks.vendor_key,
        context=_NEAR_VENDORS,
        unless=_PUBLIC,
    ),
    Rule(  # what a vendor calls a client: no secret by itself, half of one
        type="SECRET",
        at=Label(_ID_WORDS, inside=True),
        pattern=_NUMBERED + rf"(?:{_SET_TO}|{_SAID_TO_BE}|{_BESIDE}|{_IN_ROW})"
        rf"(?P<v>{_UUID}|[a-z0-9]{{14}}|[a-z0-9]{{20}}|[a-z0-9]{{24}}|[a-z0-9]{{32}}|[a-z0-9]{{64}}|\d{{16,18}})(?![\w-])",
        check=key_checks.issued,
        context=_NEAR_VENDORS,
    ),
    Rule(
        type="SECRET",
        at=Label(("pin", "tan", "puk")),
        pattern=r"\s{0,2}(?:[:=]|is|ist|lautet)\s{0,2}(?P<v>\d{4}|\d{6}|\d{8})(?![\w.-])",
    ),
    Rule(  # a block of such lines is taken whole, and no key
        type="SECRET",
        at=Anywhere(),
        pattern=r"(?<![A-Za-z0-9+/_=.-])[A-Za-z0-9+/_-]{32,88}={0,2}"
        r"(?:(?:(?:\r?\n[ \t]{0,12}|  )[A-Za-z0-9+/]{60,88}){1,400}(?:\s{1,12}[A-Za-z0-9+/]{1,88}={0,2})?)?"
        r"(?![A-Za-z0-9+/_=-])",
        check=key_checks.bare_key,
        unless=("h1:", "sha256:", "sha384:", "sha512:", "ssh-", "nistp", "base64,", *_PUBLIC),
    ),
)
