"""Texts that look as if they held a secret or an identifier and hold none: what a precise detector leaves alone.

Numbers with a wrong check digit or length stand in neutral places. Behind its own label a mistyped number still tells
who somebody is, so that case is neither asked for nor forbidden.
"""

from __future__ import annotations

import base64
import hashlib
import random
import string
import textwrap
import zlib
from collections.abc import Callable

from tests.support import surroundings
from tests.support.made_identifiers import IDENTIFIERS, Identifier
from tests.support.made_values import made
from tests.support.secret_formats import MARKED, NAMED, ROLES

Maker = Callable[[random.Random], str]


def near_misses() -> dict[str, Maker]:
    """Kind of near miss → maker of texts of it."""
    makers: dict[str, Maker] = {f"broken-{kind}": _broken(identifier) for kind, identifier in IDENTIFIERS.items()}
    makers |= {kind.__name__.lstrip("_").replace("_", "-"): kind for kind in _KINDS}
    return makers


# Identifiers


def _broken(identifier: Identifier) -> Maker:
    def make(source: random.Random) -> str:
        value = identifier.make(source)
        change = source.choice((_rechecked, _shortened, _lengthened))
        around = source.choice(surroundings.ALONE + _NUMBERED)
        return around.replace("§", change(identifier, value, source))

    return make


_NUMBERED = (
    "Order § has shipped.",
    "invoice no. § is due",
    "Ticket #§ was closed",
    "Bestellung § ist unterwegs",
    "tracking: §",
    "ref=§&lang=en",
    '{"order_id": "§"}',
    "item §, 3 pieces",
    "article § is out of stock",
    "row §: ok",
)


def _rechecked(identifier: Identifier, value: str, source: random.Random) -> str:
    """One other check digit; where a scheme has none, a beginning that is never issued."""
    if identifier.never_issued:
        return identifier.never_issued(source)
    places = [at for at, char in enumerate(value) if char.isalnum()]
    at = places[identifier.checked]
    alphabet = string.digits if value[at].isdigit() else string.ascii_letters
    others = [char for char in alphabet if char != value[at] and char.isupper() == value[at].isupper()]
    return value[:at] + source.choice(others) + value[at + 1 :]


def _shortened(_: Identifier, value: str, source: random.Random) -> str:
    at = source.choice([at for at, char in enumerate(value) if char.isdigit()])
    return value[:at] + value[at + 1 :]


def _lengthened(_: Identifier, value: str, source: random.Random) -> str:
    at = source.choice([at for at, char in enumerate(value) if char.isdigit()])
    return value[:at] + made("{d:1}", source) + value[at:]


# Secrets

_MARKED_FORMATS = [line.split(" | ", maxsplit=1)[1] for line in MARKED.strip().splitlines()]
_PREFIXES = [
    prefix.replace("«", "")
    for prefix in (template.partition("{")[0] for template in _MARKED_FORMATS)
    if prefix[:1].isalpha() and 3 < len(prefix) < 20
]
_NAMES = [*ROLES, *(" ".join(line.split(" | ")[:2]) for line in NAMED.strip().splitlines()), "password", "db password"]
_STAND_INS = (
    *(
        "${TOKEN}",
        "$TOKEN",
        "${{ secrets.TOKEN }}",
        "{{ token }}",
        "{{ .Values.token }}",
        "<your-key>",
        "<TOKEN>",
        "[token]",
    ),
    *(
        "xxxx",
        "xxxxxxxxxxxxxxxx",
        "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
        "XXXXXXXXXXXXXXXXXXXX",
        "****",
        "********",
        "...",
    ),
    *(
        "YOUR_API_KEY",
        "your-api-key-here",
        "your_token_here",
        "my-secret",
        "changeme",
        "example",
        "placeholder",
        "REDACTED",
    ),
    *("null", "None", "undefined", "true", "false", "required", "%TOKEN%", "%(token)s", "%s", "-", "(hidden)", "TODO"),
    *(
        "os.environ['TOKEN']",
        "process.env.TOKEN",
        "System.getenv()",
        "config.token",
        "settings.SECRET_KEY",
        "get_token()",
    ),
    *("self._token", "request.headers.get('X')", "await fetchToken()", "token.value", "var.token", "data.vault.token"),
)


def _stand_in_for_a_value(source: random.Random) -> str:
    around = source.choice(surroundings.NAMED)
    name = surroundings.name_of(source.choice(_NAMES), around, source)
    return around.replace("¤", name).replace("§", source.choice(_STAND_INS))


def _stand_in_in_a_format(source: random.Random) -> str:
    """A vendor's prefix with what manuals print behind it."""
    prefix = source.choice(_PREFIXES)
    filler = source.choice(
        ("x" * 36, "X" * 20, "*" * 20, "...", "<token>", "{token}", "your-token-here", "EXAMPLE", "…", "$TOKEN")
    )
    return source.choice(surroundings.NEUTRAL).replace("§", prefix + filler)


def _cut_short(source: random.Random) -> str:
    """A prefix and too few characters."""
    prefix = source.choice(_PREFIXES)
    return source.choice(surroundings.NEUTRAL).replace("§", prefix + made("{l:1-5}", source))


def _prose_about_keys(source: random.Random) -> str:
    return (
        source.choice(
            (
                "The password is incorrect; reset it and try again.",
                "An API key is a string that names the caller; keep your API keys out of the repository.",
                "Der Schlüssel zum Erfolg ist Geduld, das Passwort muss zwölf Zeichen haben.",
                "The token limit of {d:4} tokens was reached after {d:2} requests.",
                "Use a bearer token for authentication, not basic authentication.",
                "The secret of a good soup is time: {d:1} hours at least.",
                "Every access token expires after {d:2} minutes, a refresh token after {d:2} days.",
                "Le mot de passe est obligatoire et la clé est sous le paillasson.",
                "See section {d:1}.{d:1} on key rotation and section {d:2} on credential storage.",
                "Set the secret key in settings.py and never commit it.",
                "Authorization: Bearer tokens are described in RFC 6750; basic credentials in RFC 7617.",
                "the private key never leaves the device, the public key is at the desk",
                "token type: refresh, secret type: kubernetes.io/service-account-token",
                "My PIN is written on a note in the third drawer",
            )
        )
        if source.random() < 0.5
        else made("Please rotate key number {d:1} and token {d:1} before version {d:1}.{d:1}", source)
    )


def _code_about_keys(source: random.Random) -> str:
    number = source.randrange(10, 10_000)
    return source.choice(
        (
            f"token = tokenizer.next_token()  # {number}",
            f"max_tokens: {number}\ntemperature: 0.7\n",
            "items.sort(key=lambda item: item.created_at)",
            f'cache_key = f"user:{{user_id}}:{number}"',
            "id = Column(Integer, primary_key=True)",
            "password = forms.CharField(widget=forms.PasswordInput)",
            "FOREIGN KEY (customer_id) REFERENCES customers(id)",
            "secret_name = 'database-credentials'",
            "api_key = os.getenv('API_KEY', default=None)",
            "if (token === undefined) throw new TokenMissingError();",
            "const accessToken = useSelector(selectAccessToken);",
            'self.api_key_header = "X-Api-Key"',
            f"PASSWORD_MIN_LENGTH = {number % 20}",
            "password_hasher = PBKDF2PasswordHasher()",
            "password: Optional[str] = None",
            "user, password = user_pass",
            "for last_pass in passes: one_pass = DEFAULT_LAST_PASS",
            "read_csv(join(pwd, './data/seeds.csv'))",
            'token_url = "https://login.example.com/oauth/token"',
            "secretKeyRef:\n  name: database-credentials\n  key: password\n",
            "KeyError: 'access_token'",
            "private_key_path = /etc/ssl/private/server.key",
            'token_type = "urn:ietf:params:oauth:token-type:access_token"',
            f"key_size={number}, signing_algorithm=RS256",
            'keyboard.press(Key.shift); primaryKey="orderNumber"',
            "def authenticate(username: str, password: str) -> Token: ...",
            "ACCESS_TOKEN_EXPIRE_MINUTES = 30",
            'localStorage.removeItem("refresh_token_expires_at");',
        )
    )


# What else is long and random, or full of digits


def _uuid(source: random.Random) -> str:
    return source.choice(surroundings.NEUTRAL).replace("§", made("{uuid}", source))


def _digest(source: random.Random) -> str:
    length = source.choice((7, 12, 32, 40, 56, 64, 96, 128))
    value = made(f"{{x:{length}}}", source)
    return source.choice(
        (
            f"commit {value}",
            f"index {value[:7]}..{made('{x:7}', source)} 100644",
            f"sha256:{value}",
            f"FROM python@sha256:{made('{x:64}', source)}",
            f"{value}  release.tar.gz",
            f"https://git.example.com/x/y/commit/{value}",
            f"md5 = {value}",
            f"--hash=sha256:{made('{x:64}', source)} \\\n",
            f'checksum = "{value}"',
            f'Etag: "{value}"',
            f"merged {value} into main",
        )
    )


def _lockfile(source: random.Random) -> str:
    sha512, sha256, sha1 = (
        base64.b64encode(hashlib.new(name, source.randbytes(20)).digest()).decode()
        for name in ("sha512", "sha256", "sha1")
    )
    return source.choice(
        (
            f'"integrity": "sha512-{sha512}",',
            f"  integrity sha512-{sha512}\n",
            f"    resolution: {{integrity: sha512-{sha512}}}\n",
            f"golang.org/x/text v0.14.0 h1:{sha256}\n",
            f"golang.org/x/text v0.14.0/go.mod h1:{sha256}\n",
            f'<script integrity="sha384-{sha512[:64]}" crossorigin></script>',
            f"Content-Security-Policy: script-src 'sha256-{sha256}'",
            f'narHash = "sha256-{sha256}";',
            f'"integrity": "sha1-{sha1}"',
            f"SHA256:{sha256.rstrip('=')} anna@laptop (ED25519)",
            f'checksum = "{made("{x:64}", source)}"\n',
            f'  "_resolved": "https://registry.example.com/a/-/a-1.0.9.tgz#{made("{x:40}", source)}",',
        )
    )


def _base64_block(source: random.Random) -> str:
    data = source.randbytes(source.randrange(200, 400))
    code = base64.b64encode(data).decode()
    lines = "\n".join(textwrap.wrap(code, source.choice((64, 76))))
    return source.choice(
        (
            f'<img src="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{code}">',
            f"url(data:font/woff2;base64,d09GMgABAAAAA{code})",
            f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----",
            f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----",
            f"Content-Transfer-Encoding: base64\r\n\r\n{lines}\r\n",
            f"begin attachment\n{lines}\nend",
            f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ{code} anna@laptop",
            f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{code[:43]} anna@laptop",
            f'"mappings": "{";".join(made("{L:4},{L:4},{L:5}", source) for _ in range(12))}"',
            f"H4sIA{base64.b64encode(zlib.compress(data)).decode()}",
        )
    )


def _minified(source: random.Random) -> str:
    return made(
        source.choice(
            (
                '!function(e,t){"object"==typeof exports?module.exports=t():e.q{a:2}=t()}(this,function(){return{}});',
                "var r=e.key||e.token,n=0x{x:8},o=r.charCodeAt(0)^{d:5};",
                ".css-{l:6}{color:#{x:6}}.jss{d:3}{margin: 0}",
                'webpackJsonp([{d:3}],{{d:4}:function(t,e,n){t.exports=n.p+"img/a.{x:8}.svg"}})',
                "/static/js/main.{x:20}.chunk.js",
            )
        ),
        source,
    )


def _version_or_time(source: random.Random) -> str:
    return made(
        source.choice(
            (
                "version 1.{d:2}.{d:1}-rc{d:1}+build.{d:5}",
                "2026-03-0{d:1}T10:22:1{d:1}.{d:6}Z started",
                '"timestamp": 17{d:11}',
                "created_at=17{d:8}.{d:6}",
                "iat: 17{d:8}, exp: 17{d:8}",
                "firmware 0x{x:8} build {d:5}",
                "v2.{d:1}.{d:2}-{d:14}-{x:12}",
                "uptime {d:6} s, load 0.{d:2} 0.{d:2} 0.{d:2}",
                "[{d:5}.{d:6}] usb 1-{d:1}: new device",
            )
        ),
        source,
    )


def _goods_number(source: random.Random) -> str:
    return made(
        source.choice(
            (
                "order {u:3}-{d:5}-{u:2} of 3",
                "model {u:2}{d:4}-{u:1}{d:2}",
                "SKU {u:4}-{d:6}",
                "ISBN 978-3-{d:2}-{d:6}-{d:1}",
                "EAN 40{d:11}",
                "tracking 1Z{u:6}{d:10}",
                "parcel {d:12} and {d:20}",
                "invoice {d:4}-{d:5}",
                "container MSKU{d:7}",
                "RGB #{x:6}, size {d:4}x{d:4}",
                "amount {d:3},{d:3}.{d:2} EUR",
                "sensor reads {d:2}.{d:4} {d:2}.{d:4} {d:2}.{d:4}",
                "rows {d:9} of {d:10}",
                "account of {d:2} pages",
                "screws M8x{d:2} DIN {d:3}",
                "0x{x:16}",
                "pid {d:5} port {d:5}",
            )
        ),
        source,
    )


def _plain_number(source: random.Random) -> str:
    around = source.choice(surroundings.ALONE + _NUMBERED)
    return around.replace("§", made(f"{{d:{source.randint(3, 24)}}}", source))


_PARTS = (
    *("load", "balancer", "controller", "config", "session", "manager"),
    *("user", "account", "parser", "invoice", "export"),
)


def _name_in_code(source: random.Random) -> str:
    words = source.sample(_PARTS, 4)
    name = "".join(word.capitalize() for word in words)
    return source.choice(
        (
            f"class {name}Factory{source.randrange(100)}:",
            f"from app.{'_'.join(words)} import {name}",
            f"s.{name[0].lower()}{name[1:24]}()",
            f"com.example.{'.'.join(words)}.{name}Test{source.randrange(10)}",
            f"sk-{'-'.join(words)}",
            f"pat.{'.'.join(words)}",
            f"https://example.com/{'/'.join(words)}/{name}?page={source.randrange(100)}",
            f"heroku: {'-'.join(words)}-{source.randrange(10_000, 99_999)}",
            f"sentry release = {'-'.join(words)}@{source.randrange(9)}.{source.randrange(9)}.{source.randrange(9)}",
            f"key: {'.'.join(words)}.title",
            f"auth: {name}Strategy",
            f"#{'-'.join(words)}__{name}--active",
        )
    )


_KINDS: tuple[Maker, ...] = (
    *(_stand_in_for_a_value, _stand_in_in_a_format, _cut_short, _prose_about_keys, _code_about_keys),
    *(
        _uuid,
        _digest,
        _lockfile,
        _base64_block,
        _minified,
        _version_or_time,
        _goods_number,
        _plain_number,
        _name_in_code,
    ),
)
