"""Where values stand: prose, configuration, code, logs and shells, with `§` for the value and `¤` for its name."""

from __future__ import annotations

import random

# The value is recognised by itself.
ANYWHERE = (
    "§",
    "Please rotate § before Friday.",
    "The key §, which was pasted into the chat, still works.",
    "I found (§) in the old wiki page; can you check?",
    "Der Schlüssel § steht noch im Protokoll – bitte löschen.",
    "Il reste „§“ dans le journal…",
    "鍵は§です。",
    "🔑§🔒 bitte weitergeben",
    "Ключ: §\r\nЖдём",
    '{"user": "anna", "value": "§", "active": true}',
    '{"a":1,"b":"§","c":[1,2,3]}',
    '[{"name": "X", "content": ["§"]}]',
    '{"log": "{\\"value\\": \\"§\\", \\"n\\": 1}\\n"}',
    '"line one\\n§\\nline three"',
    "service:\n  name: web\n  value: §\n  replicas: 2\n",
    "values:\n  - '§'\n",
    "X=§",
    "# settings\r\nMODE=prod\r\nX=§\r\nPORT=8080\r\n",
    'export X="§"',
    "set X=§ && run.bat",
    "./deploy.sh --value=§ --verbose",
    "./deploy.sh --value § --verbose",
    "$env:X = '§'",
    'curl -s -H "Authorization: Bearer §" https://api.example.com/v1/items',
    "2026-03-04T10:22:01.345Z ERROR [worker-3] login failed for § (401)",
    "Mar  4 10:22:01 web-1 app[812]: using value=§ retries=3",
    "GET /v1/items?value=§&page=2 HTTP/1.1",
    "https://api.example.com/v1/items?value=§",
    'X = "§"  # rotate me',
    "const x = '§';",
    "const x = `§`;",
    'let x: &str = "§";',
    'x := "§"',
    'private static final String X = "§";',
    '#define X "§"',
    "$x = '§';",
    'x: "§",',
    "INSERT INTO settings (name, value) VALUES ('x', '§');",
    "ENV X=§",
    "ENV X §",
    'variable "x" {\n  default = "§"\n}\n',
    "<value>§</value>",
    '<add key="x" value="§" />',
    "[main]\nx = §\n",
    "anna;§;2026\n",
    "anna,§,2026\n",
    "anna\t§\t2026\n",
    "| x | § |",
    "- `§` is old",
    "<§>",
    "-X = 1\n+X = §\n",
    'assert client("§").ok',
    "    return [§]",
)

# Those that do not themselves say that a secret stands in them.
NEUTRAL = tuple(
    place for place in ANYWHERE if not any(word in place for word in ("Bearer", " key ", "Schlüssel", "鍵"))
)

# The name beside it gives it away.
NAMED = (
    "¤=§",
    "¤ = §",
    '¤="§"',
    '¤ = "§"',
    "¤ = '§';",
    "¤: §",
    '¤: "§"',
    "  ¤: '§'\n  replicas: 2\n",
    '"¤": "§"',
    '{"user": "anna", "¤": "§", "active": true}',
    '{"a":1,"¤":"§","b":2}',
    '{"log": "{\\"¤\\": \\"§\\"}\\n"}',
    "'¤' => '§',",
    '¤ := "§"',
    "export ¤=§",
    "export ¤='§'\r\n",
    "# settings\r\nMODE=prod\r\n¤=§\r\nPORT=8080\r\n",
    "set ¤=§ && run.bat",
    "./deploy.sh --¤=§ --verbose",
    "./deploy.sh --¤ § --verbose",
    "https://api.example.com/v1/items?¤=§&page=2",
    "<¤>§</¤>",
    '<add key="¤" value="§" />',
    'os.environ["¤"] = "§"',
    "process.env.¤ = '§';",
    'private static final String ¤ = "§";',
    '#define ¤ "§"',
    "const ¤ = `§`;",
    'const ¤: string = "§";',
    "ENV ¤=§",
    "ENV ¤ §",
    "2026-03-04T10:22:01.345Z WARN [worker-3] ¤=§ rejected (401)",
    "-¤=old\n+¤=§\n",
    "| ¤ | § |",
    "<¤>\n    §\n</¤>\n",
    'System.setProperty("¤", "§")',
    "¤ ?= '§'",
    "¤ ::= '§'",
    "¤ ||: '§'",
    "if ¤ == '§':",
    "docker run -e ¤=§ app",
    "helm install --set ¤=§ app",
    "$¤ = '§';",
    "@¤ = '§'",
    "{'¤': '§', 'debug': False}",
    "¤: >-\n  §\n",
    "¤: |\n  §\nnext: 1\n",
    "¤,§\n",
    'client.configure(¤="§", timeout=3)',
    'var ¤ string = "§"',
    '¤ = "§" \\',
    "('¤', '§'),",
    "¤->§",
    "¤;§;x\n",
)
SPOKEN = (
    "The ¤ is §, please keep it safe.",
    "Our ¤: §",
    "Use this ¤ (§) for the demo.",
    "Der ¤ lautet §.",
    "Le ¤ est §.",
    "the ¤ § does not work any more",
)

# A number with its name before it, as forms, mails and records have it.
LABELLED = (
    "¤ §",
    "¤: §",
    "¤: §\r\nStatus: open\r\n",
    "Her ¤ is §, and she called twice.",
    "¤ (§) was checked at the desk.",
    "Bitte prüfen: ¤ § – danke",
    '{"name": "x", "¤": "§"}',
    '{"¤":"§","n":1}',
    "¤=§",
    "- ¤: §\n- next: none\n",
    "ID;¤ §;open",
    "<p>¤: <b>§</b></p>",
    "2026-03-04 10:22:01 INFO ¤=§ accepted",
    "🪪 ¤: § ✅",
    "¤\t§\n",
    "(¤ §)",
)
ALONE = (
    "§",
    "Please file § under open cases.",
    "We got § from the desk (see below).",
    "Die Angabe § wurde geprüft.",
    "番号は§です。",
    '{"value": "§", "n": 1}',
    '{"value":"§"}',
    "value: §",
    "x,§,y\n",
    "a;§;b",
    "| § | ok |",
    "- §\r\n- none\r\n",
    "<td>§</td>",
    'x = "§"',
    "(§)",
    "“§”",
    "Wert:§.",
)


def name_of(words: str, around: str, source: random.Random) -> str:
    """The words as a name, in a style that such surroundings use."""
    parts = words.split()
    upper, snake, kebab = "_".join(parts).upper(), "_".join(parts), "-".join(parts)
    pascal = "".join(part.capitalize() for part in parts)
    camel = pascal[0].lower() + pascal[1:]
    dotted = f"{parts[0]}.{'_'.join(parts[1:])}" if len(parts) > 1 else parts[0]
    match around.split(maxsplit=1)[0].partition("¤")[0]:
        case "ENV" | "export" | "set" | "#define" | "process.env." | 'os.environ["':
            return source.choice((upper, f"APP_{upper}", f"{upper}_1"))
        case "./deploy.sh":
            return kebab
        case "const" | "private" | "if" | "var" | "client.configure(¤" | "@" | "$" | "client.configure(":
            return source.choice((camel, upper))
        case _:
            return source.choice((upper, snake, kebab, pascal, camel, dotted, f"APP_{upper}"))


def spoken_name(words: str, source: random.Random) -> str:
    """The words as a sentence has them."""
    first, _, rest = words.partition(" ")
    return source.choice((words, f"{first.capitalize()} {rest}".strip(), words.title()))


def placed(template: str, value: str, name: str = "") -> tuple[str, int, int]:
    """The text with the value in it, and where what must be found begins and ends; `«…»` in the value narrows it."""
    before, _, behind = template.replace("¤", name).partition("§")
    secret = value.replace("«", "").replace("»", "")
    start = len(before) + max(value.find("«"), 0)
    length = value.find("»") - value.find("«") - 1 if "«" in value else len(secret)
    return before + secret + behind, start, start + length
