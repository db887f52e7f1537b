"""Hostile schemas, each answered at once: the timeout is what fails where one runs on."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from homebred_daemon.adapters.json_schema import CACHED_SCHEMAS, JsonSchemaChecker
from homebred_daemon.adapters.json_schema_bounds import DIALECTS, MAX_PATTERNS, MAX_SCHEMA_BYTES
from homebred_daemon.errors import RequestError

pytestmark = pytest.mark.timeout(10)

ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"id": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"}, "rows": {"$ref": "#/$defs/rows"}},
    "required": ["id"],
    "additionalProperties": False,
    "$defs": {
        "rows": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": "#row"}]}},
        "r": {"$anchor": "row"},
    },
}
LONG = "a" * 65_000


@pytest.fixture
def checker() -> JsonSchemaChecker:
    return JsonSchemaChecker()


def refused(checker: JsonSchemaChecker, schema: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        checker.check_schema(schema if isinstance(schema, str) else json.dumps(schema))
    assert caught.value.message.startswith("response_schema")
    assert caught.value.hint
    return caught.value


def nested(depth: int) -> str:
    return '{"items":' * depth + "{}" + "}" * depth


def doubling(levels: int, keyword: str, **beside: Any) -> dict[str, Any]:
    """Each level refers to the next one twice."""

    def twice(level: int) -> dict[str, Any]:
        return {keyword: [{"$ref": f"#/$defs/d{level}"}, {"$ref": f"#/$defs/d{level}"}], **beside}

    return {"$ref": "#/$defs/d0", "$defs": {f"d{n}": twice(n + 1) for n in range(levels)} | {f"d{levels}": {}}}


def wrapped(levels: int) -> dict[str, Any]:
    """Each level looks once more at what the ones inside it left over."""
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": {"type": "integer"}}
    return schema


class TestOrdinarySchemas:
    @pytest.mark.parametrize(
        ("text", "fits"),
        [
            ('{"id": "AB-1234", "rows": [1, "x"]}', True),
            ('{"id": "AB-12345"}', False),
            ('{"rows": []}', False),
            ('{"id": "AB-1234", "more": 1}', False),
            ("AB-1234", False),
        ],
    )
    def test_a_text_fits_or_does_not(self, checker: JsonSchemaChecker, text: str, fits: bool) -> None:  # noqa: FBT001
        checker.check_schema(json.dumps(ORDER))
        assert checker.fits(text, json.dumps(ORDER)) is fits

    @pytest.mark.parametrize("dialect", sorted(DIALECTS))
    def test_every_known_dialect_is_taken(self, checker: JsonSchemaChecker, dialect: str) -> None:
        for spelled in (dialect, f"{dialect}#"):
            schema = json.dumps({"$schema": spelled, "items": {"type": "integer"}})
            assert (checker.fits("[1]", schema), checker.fits('["x"]', schema)) == (True, False)

    @pytest.mark.parametrize("schema", ["true", "{}", '{"$defs": {"a": {}}, "$ref": "#/$defs/a"}', '{"$id": "urn:a"}'])
    def test_a_schema_that_allows_all_takes_all_json(self, checker: JsonSchemaChecker, schema: str) -> None:
        assert checker.fits("[1, 2]", schema)

    def test_a_tree_fits_a_schema_that_refers_to_itself(self, checker: JsonSchemaChecker) -> None:
        schema = '{"type":"object","properties":{"in":{"$ref":"#"}},"unevaluatedProperties":false}'
        tree = '{"in":' * 40 + "{}" + "}" * 40
        assert checker.fits(tree, schema)
        assert not checker.fits(tree.replace("{}", "[]"), schema)

    @pytest.mark.parametrize("keyword", ["$id", "$ref", "$schema", "pattern"])
    def test_a_property_may_be_called_like_a_keyword(self, checker: JsonSchemaChecker, keyword: str) -> None:
        schema = json.dumps({"properties": {keyword: {"type": "string"}}})
        assert (checker.fits(f'{{"{keyword}": "x"}}', schema), checker.fits(f'{{"{keyword}": 1}}', schema)) == (
            True,
            False,
        )

    def test_a_long_ordinary_answer_is_checked_to_its_end(self, checker: JsonSchemaChecker) -> None:
        entries = [{"id": f"AB-{n:04}", "rows": [n, n]} for n in range(1500)]
        schema = json.dumps({"type": "array", "items": ORDER, "$defs": ORDER["$defs"]})
        schema = schema.replace("#row", "#/$defs/r").replace('"$anchor": "row"', '"type": "string"')
        assert checker.fits(json.dumps(entries), schema)
        assert not checker.fits(json.dumps([*entries, {"id": "no"}]), schema)


class TestNoJson:
    @pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "1e400", "{", "", '"\\ud800"', "9" * 5000])
    def test_what_is_no_json_fits_nothing(self, checker: JsonSchemaChecker, text: str) -> None:
        assert not checker.fits(text, '{"minLength": 0}')

    @pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000])
    def test_bottomless_nesting_fits_nothing(self, checker: JsonSchemaChecker, text: str) -> None:
        assert not checker.fits(text, '{"items": {"$ref": "#"}}')


class TestRefusals:
    @pytest.mark.parametrize(
        ("schema", "said"),
        [
            ({"properties": {"a": {"type": 12}}}, "at properties/a/type, it breaks the rule `anyOf`"),
            ({"$schema": []}, r"at \$schema, it breaks the rule `type`"),
            ({"$schema": "http://elsewhere.example/secret"}, r"at \$schema, it names a dialect"),
            ({"items": {"$ref": "#/$defs/secret"}}, r"at items/\$ref, a reference leads to nothing"),
            ({"items": {"$ref": "#secret"}}, r"at items/\$ref, a reference leads to nothing"),
            ({"$ref": "#/$defs/a%2", "$defs": {"a%2": {}}}, "it breaks the rule"),
            ({"$ref": "#/enum/0", "enum": [3]}, "at enum/0, it breaks the rule `type`"),
            ({"$defs": {"a": {"$id": "secret"}}}, r"at \$defs/a/\$id, a part calls itself another document"),
            ({"pattern": "(?=secret)"}, "at pattern, the pattern"),
            ({"pattern": "(secret)\\1"}, "at pattern, the pattern"),
            ({"patternProperties": {"(?<!a)b": {}}}, r"at patternProperties/\(\?<!a\)b, the pattern"),
            ({"pattern": "((secret){1000}){1000}"}, "at pattern, the pattern"),
            (["secret"], "neither an object nor a boolean"),
            ('{"secret', r"line 1, column 2"),
            ('{"const": NaN}', "a number that JSON does not have"),
            ('{"multipleOf": 1e1000000}', "beyond all doubles"),
            ('{"const": "\\ud800"}', "it cannot be read"),
            (nested(64), "nested more than 64 deep"),
            (nested(400), "nested more than 64 deep"),
            (nested(6000), "nested more than 64 deep"),
            ({"description": "secret" * 20_000}, "longer than 64 KiB"),
            ({"description": "ü" * (MAX_SCHEMA_BYTES // 2)}, "longer than 64 KiB"),
            ({"anyOf": [{"pattern": f"a{n}"} for n in range(MAX_PATTERNS + 1)]}, "33 regular expressions; 32 at most"),
            ({"$ref": "#"}, "leads back into itself"),
            (doubling(60, "allOf"), "more than 100000 steps"),
            (doubling(60, "oneOf", unevaluatedProperties=False), "more than 100000 steps"),
            (wrapped(25), "more than 100000 steps"),
        ],
    )
    def test_a_refusal_names_place_and_rule_and_quotes_nothing(
        self, checker: JsonSchemaChecker, schema: object, said: str
    ) -> None:
        error = refused(checker, schema)
        assert re.search(said, error.message)
        assert "secret" not in error.message
        assert len(error.message) < 400

    def test_a_place_with_long_names_is_cut(self, checker: JsonSchemaChecker) -> None:
        assert len(refused(checker, {"properties": {LONG[:50_000]: 12}}).message) < 400

    def test_a_pattern_beyond_the_engine_says_what_to_write_instead(self, checker: JsonSchemaChecker) -> None:
        assert "without lookaround and back-references" in refused(checker, {"pattern": "(?=a)"}).hint


class TestNothingIsFetched:
    @pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$recursiveRef", "$schema"])
    def test_a_listening_socket_hears_nothing(self, checker: JsonSchemaChecker, keyword: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(0)
            address = f"http://127.0.0.1:{listening.getsockname()[1]}/schema.json"
            for schema in (
                {keyword: address},
                {"items": {keyword: f"{address}#/a"}},
                {"$id": address, keyword: "more.json"},
            ):
                refused(checker, schema)
            with pytest.raises(BlockingIOError):
                listening.accept()

    def test_a_name_of_its_own_fetches_nothing(self, checker: JsonSchemaChecker) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(0)
            address = f"http://127.0.0.1:{listening.getsockname()[1]}/schema.json"
            assert checker.fits("[[1]]", json.dumps({"$id": address, "items": {"$ref": "#"}}))
            with pytest.raises(BlockingIOError):
                listening.accept()

    @pytest.mark.parametrize("scheme", ["file://", ""])
    def test_no_file_is_read(self, checker: JsonSchemaChecker, tmp_path: Path, scheme: str) -> None:
        (tmp_path / "whole.json").write_text("{}")
        assert "none is fetched" in refused(checker, {"$ref": f"{scheme}{tmp_path}/whole.json"}).message

    def test_no_meta_schema_is_a_reference(self, checker: JsonSchemaChecker) -> None:
        for dialect in DIALECTS:
            assert "none is fetched" in refused(checker, {"$ref": dialect}).message


def alternatives(count: int, part: Any) -> dict[str, Any]:
    return {"allOf": [part] * count}


class TestHostileChecks:
    """Schemas that are taken, with answers meant to keep the daemon busy."""

    def test_a_pattern_that_backtracks_forever_elsewhere_is_decided(self, checker: JsonSchemaChecker) -> None:
        schema = '{"type":"string","allOf":[{"pattern":"^a{28}$"},{"pattern":"^((a+)+b|a+)$"}]}'
        assert checker.fits(json.dumps("a" * 28), schema)
        assert not checker.fits(json.dumps("a" * 27 + "c"), schema)

    @pytest.mark.parametrize(
        ("schema", "text"),
        [
            ({"pattern": "[ab]*a[ab]{3000}c"}, json.dumps(LONG)),
            ({"pattern": "[ab]*a[ab]{400}c"}, json.dumps(LONG)),
            (alternatives(30, {"pattern": "[ab]*a[ab]{400}c"}), json.dumps(LONG)),
            ({"patternProperties": {"[ab]*a[ab]{3000}c": False}, "required": ["b"]}, json.dumps({LONG: 1})),
            ({"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}, "[" * 60 + "1" + "]" * 60),
            ({"allOf": [{"items": {"$ref": "#"}}] * 2, "type": ["array", "null"]}, "[" * 900 + "]" * 900),
            (alternatives(3000, {"items": True}), json.dumps([0] * 20_000)),
            ({"items": {"anyOf": [{"type": "string"}] * 2000}}, json.dumps([0] * 20_000)),
            ({"items": {"enum": list(range(9000))}}, json.dumps([-1] * 20_000)),
            ({"items": {"required": [str(n) for n in range(5000)]}}, json.dumps([{}] * 20_000)),
            ({"items": {f"x{n}": 0 for n in range(5000)}, "maxItems": 0}, json.dumps([{}] * 20_000)),
            (
                {"items": {"$ref": f"#/$defs/{LONG[:30_000]}"}, "$defs": {LONG[:30_000]: False}},
                json.dumps([{}] * 20_000),
            ),
        ],
    )
    def test_an_answer_that_takes_too_many_steps_does_not_fit(
        self, checker: JsonSchemaChecker, schema: object, text: str
    ) -> None:
        checker.check_schema(json.dumps(schema))
        assert not checker.fits(text, json.dumps(schema))

    def test_a_long_chain_of_references_under_a_deep_answer_does_not_reach_the_end_of_the_stack(
        self, checker: JsonSchemaChecker
    ) -> None:
        chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}", "maxItems": 3} for n in range(900)}
        chain["d900"] = {"items": {"$ref": "#/$defs/d0"}, "minItems": 0}
        assert not checker.fits("[" * 900 + "]" * 900, json.dumps({"$ref": "#/$defs/d0", "$defs": chain}))

    @pytest.mark.parametrize("part", [{"properties": {"x": {}}}, {"patternProperties": {}}, {"required": ["1"]}])
    def test_an_answer_of_many_members_is_checked_where_little_is_asked_of_them(
        self, checker: JsonSchemaChecker, part: dict[str, Any]
    ) -> None:
        answer = json.dumps({str(n): 0 for n in range(7_000)})
        assert checker.fits(answer, json.dumps(alternatives(1800, part)))

    def test_many_items_are_unique_or_not(self, checker: JsonSchemaChecker) -> None:
        numbers = list(range(10_000))
        assert checker.fits(json.dumps(numbers), '{"uniqueItems": true}')
        assert not checker.fits(json.dumps([*numbers, 0]), '{"uniqueItems": true}')


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "text", "found"),
        [
            ("tea", "two teas", True),
            ("^tea", "two teas", False),
            ("^[^\n]*$", "two teas\nplease", False),
            (r"^\d{4}-\d{2}$", "2026-11", True),
            ("ü", 'a "ü"\\', True),
            ("^((a+)+b|a+)$", "a" * 28 + "c", False),
            ("[ab]*a[ab]{400}c", LONG, False),
            ("a", "a" * 200_000, False),  # too long to be looked through
        ],
    )
    def test_a_pattern_is_found_or_not_in_bounded_time(
        self, checker: JsonSchemaChecker, pattern: str, text: str, *, found: bool
    ) -> None:
        checker.check_pattern(pattern, name="constraints.matches")
        assert checker.matches(text, pattern) is found

    @pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)b", "(", "[ab]{9}" * 9000, "(a{999}){999}"])
    def test_one_that_is_none_or_runs_on_is_refused_by_its_name(self, checker: JsonSchemaChecker, pattern: str) -> None:
        with pytest.raises(RequestError, match=r"^constraints\.matches is no regular expression that runs") as caught:
            checker.check_pattern(pattern, name="constraints.matches")
        assert pattern[:9] not in caught.value.message
        assert caught.value.hint


class TestMemory:
    def test_only_the_schemas_last_used_are_kept_and_none_of_their_text(self, checker: JsonSchemaChecker) -> None:
        for limit in range(3 * CACHED_SCHEMAS):
            schema = json.dumps({"maximum": limit, "description": LONG[:60_000]})
            assert checker.fits(str(limit), schema)
            assert not checker.fits(str(limit + 1), schema)
        assert len(checker._built) == CACHED_SCHEMAS
        assert {len(key) for key in checker._built} == {32}
