"""Texts with a secret in each: of every kind that `secret_formats` lists, and of those that need more than a format."""

from __future__ import annotations

import base64
import json
import random
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.support import surroundings
from tests.support.made_values import made
from tests.support.secret_formats import ANY, GENERIC, MARKED, NAMED, ROLES


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A text, and where in it something must be found."""

    kind: str
    text: str
    start: int
    end: int


def secret_kinds() -> dict[str, Callable[[random.Random], Sample]]:
    """Kind → maker of samples of it."""
    makers: dict[str, Callable[[random.Random], Sample]] = {}
    for kind, template in _rows(MARKED):
        makers[kind] = _marked(kind, template)
    for vendor, role, template in _rows(NAMED):
        kind = f"{vendor} {role}".replace(" ", "-")
        makers[kind] = _named(
            kind, (f"{vendor} {role}", f"{vendor} {role}", *(f"{vendor} {any_}" for any_ in ANY)), (template,)
        )
    for role in ROLES:
        kind = "generic-" + role.replace(" ", "-")
        makers[kind] = _named(kind, (role,), GENERIC)
    for kind, shape in _SHAPES.items():
        makers[kind] = _shaped(kind, shape)
    return makers


def _rows(table: str) -> Iterator[list[str]]:
    # A format may hold a bar itself.
    return (line.split(" | ") for line in table.strip().splitlines())


def _sample(kind: str, placed: tuple[str, int, int]) -> Sample:
    text, start, end = placed
    return Sample(kind=kind, text=text, start=start, end=end)


def _marked(kind: str, template: str) -> Callable[[random.Random], Sample]:
    def make(source: random.Random) -> Sample:
        around = source.choice(surroundings.ANYWHERE)
        return _sample(kind, surroundings.placed(around, made(template, source)))

    return make


def _named(kind: str, names: tuple[str, ...], templates: tuple[str, ...]) -> Callable[[random.Random], Sample]:
    def make(source: random.Random) -> Sample:
        words = source.choice(names)
        value = made(source.choice(templates), source)
        if source.random() < 0.15:
            around, name = source.choice(surroundings.SPOKEN), surroundings.spoken_name(words, source)
        else:
            around = source.choice(surroundings.NAMED)
            name = surroundings.name_of(words, around, source)
        return _sample(kind, surroundings.placed(around, value, name))

    return make


def _shaped(kind: str, shape: Callable[[random.Random], str]) -> Callable[[random.Random], Sample]:
    def make(source: random.Random) -> Sample:
        return _sample(kind, surroundings.placed("§", shape(source)))

    return make


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _jwt(source: random.Random) -> str:
    header = source.choice(
        ({"alg": "HS256", "typ": "JWT"}, {"typ": "JWT", "alg": "RS256"}, {"kid": "a1", "alg": "ES256"})
    )
    claims = {"sub": str(source.randrange(10**9)), "iat": 1_700_000_000 + source.randrange(10**7)}
    token = f"{_encoded(header)}.{_encoded(claims)}.{made('{s:43}', source)}"
    return _in_any(source, token)


def _jwt_base64(source: random.Random) -> str:
    claims = _encoded({"sub": made("{d:9}", source)})
    token = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{claims}.{made('{s:43}', source)}"
    return _in_any(source, base64.b64encode(token.encode()).decode())


def _grafana_key(source: random.Random) -> str:
    key = base64.b64encode(
        json.dumps({"k": made("{a:32}", source), "n": "ci", "id": 1}, separators=(",", ":")).encode()
    )
    return _in_any(source, key.decode())


def _mapbox_token(source: random.Random) -> str:
    return _in_any(
        source,
        f"{source.choice('ps')}k.{_encoded({'u': 'anna', 'a': made('{l:25}', source)})}.{made('{s:22}', source)}",
    )


def _in_any(source: random.Random, value: str) -> str:
    before, behind = source.choice(surroundings.ANYWHERE).split("§")
    return f"{before}«{value}»{behind}"


def _private_key(source: random.Random) -> str:
    kind = source.choice(("RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ", "", "PGP "))
    tail = " BLOCK" if kind == "PGP " else ""
    wide = 70 if kind == "OPENSSH " else 64
    body = "\n".join(textwrap.wrap(made("{b:300-1600}", source) + "==", wide))
    if kind == "PGP ":
        body = f"Version: GnuPG v2\n\n{body}\n={made('{b:4}', source)}"
    key = f"-----BEGIN {kind}PRIVATE KEY{tail}-----\n{body}\n-----END {kind}PRIVATE KEY{tail}-----"
    return source.choice(
        (
            f"here it is:\n«{key}»\n",
            f"«{key}»".replace("\n", "\r\n"),
            '{"private_key": "«' + key.replace("\n", "\\n") + '»\\n"}',
            "key: |\n  «" + key.replace("\n", "\n  ") + "»\nnext: 1\n",
            'KEY="«' + key.replace("\n", "\\n") + '»"',
        )
    )


def _cut_private_key(source: random.Random) -> str:
    body = "\n".join(textwrap.wrap(made("{b:300-600}", source), 64))
    return f"the rest is missing\n«-----BEGIN RSA PRIVATE KEY-----\n{body}»"


def _url_password(source: random.Random) -> str:
    scheme = source.choice(
        ("postgres", "postgresql+asyncpg", "mysql", "mongodb+srv", "redis", "amqp", "https", "ftp", "smtp")
    )
    user = "" if scheme == "redis" else source.choice(("app", "svc_user", "root", "anna.k"))
    secret = made(source.choice(("{a:12}", "{a:24}", "{x:32}", "{l:16}", "p4ss{d:4}")), source)
    host = source.choice(("db.internal:5432", "10.0.0.7", "host.example.com", "localhost"))
    url = f"{scheme}://{user}:«{secret}»@{host}/main"
    before, behind = source.choice(surroundings.ANYWHERE).split("§")
    return f"{before}{url}{behind}"


def _curl_user(source: random.Random) -> str:
    option = source.choice(("-u ", "--user ", "--user=", "-u"))
    quote = source.choice(("", '"', "'"))
    secret = made(source.choice(("{a:12}", "{password}", "{x:32}")), source).replace("*", "_").replace("?", "_")
    before = source.choice(("", "$ ", "- run: ", "RUN "))
    return f"{before}curl -sS {option}{quote}anna:«{secret}»{quote} https://api.example.com/v1/x\n"


def _basic_header(source: random.Random) -> str:
    pair = base64.b64encode(f"anna:{made('{a:10-24}', source)}".encode()).decode()
    return source.choice(
        (
            f"Authorization: Basic «{pair}»",
            f'curl -H "Authorization: Basic «{pair}»" https://api.example.com',
            f'{{"Authorization": "Basic «{pair}»"}}',
            f'headers["authorization"] = "basic «{pair}»"',
            f"> authorization: Basic «{pair}»\r\n> accept: */*\r\n",
        )
    )


def _bearer_header(source: random.Random) -> str:
    token = made(source.choice(("{a:32}", "{x:40}", "{s:43}", "{uuid}", "{a:20}")), source)
    return source.choice(
        (
            f"Authorization: Bearer «{token}»",
            f'curl -H "Authorization: Bearer «{token}»" https://api.example.com',
            f"curl -H 'authorization: bearer «{token}»' https://api.example.com",
            f'{{"Authorization": "Bearer «{token}»"}}',
            f'curl --header "Authorization: Token «{token}»" https://api.example.com',
            f'curl -H "X-Api-Key: «{token}»" https://api.example.com',
            f"curl -H 'X-Auth-Token: «{token}»' https://api.example.com",
            f'requests.get(url, headers={{"Authorization": f"Bearer «{token}»"}})',
        )
    )


_PASSWORD_NAMES = (
    *("password", "passwd", "pwd", "db password", "user password", "smtp password", "passphrase", "admin pass"),
    *("root password", "mysql root password", "passwort", "kennwort", "redis password"),
)


_NO_PASSWORD = ("--¤ §", "&page", "¤,§", "¤;§")  # nothing there tells a chosen password from any other word


def _password(source: random.Random) -> str:
    around = source.choice([place for place in surroundings.NAMED if not any(rare in place for rare in _NO_PASSWORD)])
    if source.random() < 0.1:
        around = source.choice(("The ¤ is §", "das ¤ lautet §", "¤: §"))
        name = source.choice(_PASSWORD_NAMES)
    else:
        name = surroundings.name_of(source.choice(_PASSWORD_NAMES), around, source)
    before, behind = around.replace("¤", name).split("§")
    return f"{before}«{made('{password}', source)}»{behind}"


def _azure_storage(source: random.Random) -> str:
    key = made("{b:86}==", source)
    return f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=«{key}»;EndpointSuffix=core.windows.net"


def _azure_signature(source: random.Random) -> str:
    signature = made("{a:20}%2B{a:21}%3D", source)
    return (
        f"https://acme.blob.core.windows.net/c/f.csv?sv=2023-11-03&sr=b&sig=«{signature}»&se=2026-05-01T00%3A00%3A00Z"
    )


def _service_bus(source: random.Random) -> str:
    return (
        "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;"
        f"SharedAccessKey=«{made('{b:43}=', source)}»;EntityPath=orders"
    )


def _kubernetes_secret(source: random.Random) -> str:
    value = base64.b64encode(made("{a:12-40}", source).encode()).decode()
    name = source.choice(("db", "redis-url", "value", "tls.crt.bak", "config"))
    head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\ntype: Opaque\n"
    quote = source.choice(("", '"', "'"))
    data = f"data:\n  {name}: {quote}«{value}»{quote}\n"
    return source.choice((head + data, data + head, f"---\n{head}{data}---\n"))


def _nuget_password(source: random.Random) -> str:
    name = source.choice(("ClearTextPassword", "Password"))
    return f'<packageSourceCredentials>\n  <add key="{name}" value="«{made("{password}", source)}»" />\n'


def _terraform_password(source: random.Random) -> str:
    return f'resource "x" "y" {{\n  administrator_login_password = "«{made("{password}", source)}»"\n}}\n'


def _sidekiq_secret(source: random.Random) -> str:
    return f"BUNDLE_ENTERPRISE__CONTRIBSYS__COM=«{made('{x:8}:{x:8}', source)}»\n"


def _freemius_key(source: random.Random) -> str:
    return f"'secret_key' => '«{made('sk_{a:29}', source)}»',\n"


def _npmrc(source: random.Random) -> str:
    token = made(source.choice(("{uuid}", "{a:36}", "{b:47}=")), source)
    return f"//registry.example.com/:_authToken=«{token}»\nalways-auth=true\n"


def _netrc(source: random.Random) -> str:
    return f"machine api.example.com login anna password «{made('{a:16}', source)}»\n"


def _docker_config(source: random.Random) -> str:
    auth = base64.b64encode(f"anna:{made('{a:20}', source)}".encode()).decode()
    return f'{{"auths": {{"registry.example.com": {{"auth": "«{auth}»"}}}}}}'


def _aws_credentials(source: random.Random) -> str:
    return (
        "[default]\naws_access_key_id = ${AWS_ID}\n"
        f"aws_secret_access_key = «{made('{b:40}', source)}»\nregion = eu-central-1\n"
    )


def _service_account(source: random.Random) -> str:
    key = made("{x:40}", source)
    return f'{{\n  "type": "service_account",\n  "project_id": "acme",\n  "private_key_id": "«{key}»"\n}}\n'


def _ssh_pass(source: random.Random) -> str:
    option = source.choice(("sshpass -p ", "mysql -u root -p", "mysqldump --password=", "PGPASSWORD="))
    return f"{option}«{made('{a:12}', source)}»{' ' if option else ''}-h db.internal\n"


_SHAPES: dict[str, Callable[[random.Random], str]] = {
    "json-web-token": _jwt,
    "json-web-token-in-base64": _jwt_base64,
    "grafana-api-key": _grafana_key,
    "mapbox-token": _mapbox_token,
    "private-key": _private_key,
    "private-key-cut-off": _cut_private_key,
    "password-in-url": _url_password,
    "curl-user": _curl_user,
    "basic-header": _basic_header,
    "bearer-header": _bearer_header,
    "password": _password,
    "azure-storage-key": _azure_storage,
    "azure-shared-access-signature": _azure_signature,
    "azure-service-bus-key": _service_bus,
    "kubernetes-secret": _kubernetes_secret,
    "nuget-config-password": _nuget_password,
    "terraform-password": _terraform_password,
    "sidekiq-secret": _sidekiq_secret,
    "freemius-secret-key": _freemius_key,
    "npmrc-token": _npmrc,
    "netrc-password": _netrc,
    "docker-config-auth": _docker_config,
    "aws-secret-access-key": _aws_credentials,
    "gcp-private-key-id": _service_account,
    "password-on-command-line": _ssh_pass,
}
