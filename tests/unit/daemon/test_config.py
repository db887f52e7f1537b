"""Settings: precedence, origins, and what is said when one of them is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from homebred_daemon.adapters.cloud.registry import WIRE_FORMATS
from homebred_daemon.config import Loaded, Origin, load, load_with_origins
from homebred_daemon.config_sources import FLAGS, NO_SETTINGS, client_socket, variable_of
from homebred_daemon.errors import ConfigurationError
from homebred_daemon.settings import CloudEndpointSettings, Settings, expected, known_keys

ANNOTATED = Path(__file__).parents[3] / "packaging" / "config" / "homebred.toml"
NO_DEFAULT_FILE = Path("/nonexistent/homebred.toml")
COMMENTED_KEY = re.compile(r"^# (\w+) = ", re.MULTILINE)
OF_THE_MACHINE = {
    *(("policy", "file"), ("policy", "site_ceiling_file"), ("detection", "gazetteer_file")),
    *(("engine", "python"), ("review", "key_file"), ("metrics", "socket"), ("gateway", "socket")),
    ("tracing", "socket"),
}
"""Settings that no file can hold the default of: unset, or this machine's interpreter."""
TABLES = {("cloud", "endpoints"), ("gateway", "tokens")}
"""Settings that are tables of the site's own; the annotated file has one each, commented out."""
COMMENTED_TABLE = re.compile(r"^#(?=[a-z\[])", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What one reading of the settings is given."""

    file: Path | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    default_file: Path = NO_DEFAULT_FILE

    def loaded(self) -> Loaded:
        return load_with_origins(self.file, self.flags, self.environ, self.default_file)

    def refusal(self) -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            self.loaded()
        return caught.value


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_source_the_defaults_hold() -> None:
    loaded = Sources().loaded()
    assert loaded.settings == Settings()
    assert loaded.file is None
    assert set(loaded.origins.values()) == {Origin(kind="default")}
    assert set(loaded.origins) == {".".join(key) for key in known_keys()}


def test_the_annotated_file_names_every_setting_with_its_default() -> None:
    text = ANNOTATED.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    named = {(section, name) for section, table in document.items() for name in table}
    assert named == set(known_keys()) - OF_THE_MACHINE - TABLES
    assert set(COMMENTED_KEY.findall(text)) == {name for _, name in OF_THE_MACHINE}
    defaults = Settings().model_dump(mode="json")
    assert {key: document[key[0]][key[1]] for key in named} == {key: defaults[key[0]][key[1]] for key in named}


def test_the_annotated_file_loads_as_the_defaults() -> None:
    assert Sources(file=ANNOTATED).loaded().settings == Settings()


def test_the_annotated_tables_name_every_key_and_load_once_they_are_uncommented(tmp_path: Path) -> None:
    text = COMMENTED_TABLE.sub("", ANNOTATED.read_text(encoding="utf-8"))
    assert (
        tomllib.loads(text)["cloud"]["endpoints"]["cloud/default"].keys() == CloudEndpointSettings.model_fields.keys()
    )
    loaded = Sources(file=written(tmp_path / "h.toml", text)).loaded()
    assert loaded.settings.cloud.endpoints["cloud/default"].model == "example-large"


ENDPOINT = '[cloud.endpoints."cloud/a"]\nbase_url = "https://a.example/v1"\nwire_format = "openai_chat"\nmodel = "m"\n'


def test_the_controllers_variables_are_not_the_daemons_and_its_own_section_of_that_name_is() -> None:
    environ = {"HOMEBRED_FLEET_PROFILE": "admin.toml", "HOMEBRED_FLEET_HTTP__PORT": "9443"}
    assert Sources(environ=environ).loaded().settings == Settings()
    environ["HOMEBRED_FLEET__MAX_OUTBOX_MB"] = "7"
    assert Sources(environ=environ).loaded().settings.fleet.max_outbox_mb == 7


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (ENDPOINT.replace("https", "http"), 'h.toml:2: base_url is "http://a.example/v1"', "write text such as"),
        (ENDPOINT.replace("openai_chat", "smoke"), 'h.toml:3: wire_format is "smoke"', "write one of: openai_chat, "),
        (ENDPOINT.replace("model", "modle"), "h.toml:1: model is not there", "write text such as"),
        (ENDPOINT + "kee = 1\n", "h.toml:5: kee is not a known key of [cloud.endpoints.cloud/a]", "remove it"),
        (ENDPOINT + 'pin = "sha256:1"\n', 'h.toml:5: pin is "sha256:1"', "write text such as"),
        (ENDPOINT + 'key_file = "k"\n', 'h.toml:5: key_file is "k"', "write an absolute path"),
        ("[cloud.endpoints]\na = 1\n", "h.toml:2: a is 1", "write a table"),
        ("[cloud]\nendpoints = 1\n", "h.toml:2: endpoints is 1", "write a table for each in the configuration file"),
    ],
)
def test_what_is_wrong_in_a_table_of_the_sites_own_is_said_with_its_line(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    error = Sources(file=written(tmp_path / "h.toml", text)).refusal()
    assert message in error.message
    assert hint in error.message + error.hint


def test_an_endpoint_is_no_variables_to_set() -> None:
    error = Sources(environ={"HOMEBRED_CLOUD__ENDPOINTS": "{}"}).refusal()
    assert "HOMEBRED_CLOUD__ENDPOINTS" in error.message
    assert error.hint == "write a table for each in the configuration file"


def test_wire_formats_are_those_that_there_are() -> None:
    assert set(get_args(CloudEndpointSettings.model_fields["wire_format"].annotation)) == set(WIRE_FORMATS)


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path / "h.toml", '[log]\nlevel = "error"\nformat = "console"\n[engine]\nthreads = 2\nslots = 1\n'
    )
    environ = {"HOMEBRED_LOG__LEVEL": "warning", "HOMEBRED_ENGINE__THREADS": "3"}
    loaded = Sources(file=file, flags={"--log-level": "debug"}, environ=environ).loaded()
    assert loaded.settings.log.level == "debug"
    assert loaded.settings.log.format == "console"
    assert loaded.settings.engine.threads == 3
    assert loaded.settings.engine.slots == 1
    assert loaded.origins["log.level"] == Origin(kind="flag", place="--log-level")
    assert loaded.origins["log.format"] == Origin(kind="file", place=f"{file}:3")
    assert loaded.origins["engine.threads"] == Origin(kind="variable", place="HOMEBRED_ENGINE__THREADS")
    assert loaded.origins["engine.slots"] == Origin(kind="file", place=f"{file}:6")
    assert loaded.origins["engine.queue_limit"] == Origin(kind="default")


def test_the_file_is_the_flag_s_else_the_variable_s_else_the_default_where_it_exists(tmp_path: Path) -> None:
    by_flag = written(tmp_path / "flag.toml", "[engine]\nthreads = 1\n")
    by_variable = written(tmp_path / "variable.toml", "[engine]\nthreads = 2\n")
    by_default = written(tmp_path / "default.toml", "[engine]\nthreads = 3\n")
    environ = {"HOMEBRED_CONFIG": str(by_variable)}
    assert load(by_flag, {}, environ, by_default).engine.threads == 1
    assert load(None, {}, environ, by_default).engine.threads == 2
    assert load(None, {}, {}, by_default).engine.threads == 3
    assert load(None, {}, {}, NO_DEFAULT_FILE).engine.threads == 0


def test_settings_never_change_once_made() -> None:
    settings = Sources().loaded().settings
    with pytest.raises(ValidationError, match="frozen"):
        settings.engine.threads = 7
    with pytest.raises(ValidationError, match="frozen"):
        settings.engine = Settings().engine


def test_settings_made_directly_do_not_look_at_the_world() -> None:
    assert Settings(log=Settings().log) == Settings()


def test_the_socket_lies_in_the_runtime_folder_wherever_that_is() -> None:
    loaded = Sources(flags={"--runtime-dir": "/tmp/r"}).loaded()  # noqa: S108  # a name; nothing is made there
    assert loaded.settings.paths.socket == Path("/tmp/r/homebred.sock")  # noqa: S108
    assert loaded.origins["paths.socket"].kind == "default"


def test_every_flag_names_a_setting() -> None:
    assert set(FLAGS.values()) <= set(known_keys())


def test_an_empty_variable_sets_nothing() -> None:
    assert Sources(environ={"HOMEBRED_POLICY__FILE": "", "HOMEBRED_CONFIG": ""}).loaded().settings == Settings()


def test_variables_of_others_are_left_alone() -> None:
    environ = {"HOME": "/root", "_HOMEBRED_COMPLETE": "bash", "homebred_engine__threads": "9"}
    environ |= dict.fromkeys(NO_SETTINGS - {"HOMEBRED_CONFIG"}, "/models/a.gguf")
    assert Sources(environ=environ).loaded().settings == Settings()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[engine]\n\nthreads = '4'", ':3: threads is "4"', "write an integer from 0 up to 1024"),
        ("[engine]\nthreads = true", ":2: threads is true", "write an integer from 0 up to 1024"),
        ("[engine]\nthreads = 4.0", ":2: threads is 4.0", "write an integer from 0 up to 1024"),
        ("[engine]\nslots = 0", ":2: slots is 0", "write an integer from 1 up to 64"),
        ("[engine]\nload_timeout_s = nan", ":2: load_timeout_s is NaN", "write a number over 0 up to 3600"),
        ("[engine]\nload_timeout_s = 0", ":2: load_timeout_s is 0", "write a number over 0 up to 3600"),
        ("engine.threads = [1]", ":1: threads is [1]", "write an integer from 0 up to 1024"),
        ("[log]\nlevel = 'loud'", ':2: level is "loud"', "write one of: debug, info, warning, error"),
        ("[paths]\nstate_dir = 'var'", ':2: state_dir is "var"', "write an absolute path"),
        ("[policy]\nfile = 3", ":2: file is 3", "write an absolute path"),
        (
            "[engine]\nthraeds = 4",
            ":2: thraeds is not a known key of [engine]",
            "write threads if that was meant, or remove it",
        ),
        ("[engin]\nthreads = 4", ":1: engin is not a known key", "write engine if that was meant, or remove it"),
        ("engine = 4", ":1: engine is no table", "write [engine]"),
        ("[[engine]]\nthreads = 4", ":1: engine is no table", "write [engine]"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path: Path, text: str, message: str, hint: str) -> None:
    file = written(tmp_path / "h.toml", text)
    error = Sources(file=file).refusal()
    assert (error.message, error.hint) == (f"{file}{message}", hint)


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("HOMEBRED_ENGINE__THREADS", "four", 'is "four"', "write an integer from 0 up to 1024"),
        ("HOMEBRED_ENGINE__THREADS", "-1", 'is "-1"', "write an integer from 0 up to 1024"),
        ("HOMEBRED_REQUESTS__DEFAULT_DEADLINE_S", "inf", 'is "inf"', "write a number over 0 up to 86400"),
        ("HOMEBRED_PATHS__SOCKET", "x.sock", 'is "x.sock"', "write an absolute path"),
        (
            "HOMEBRED_ENGINE__THREAD",
            "4",
            "is not a known variable",
            "write HOMEBRED_ENGINE__THREADS if that was meant, or remove it",
        ),
        (
            "HOMEBRED_ENGINE_THREADS",
            "4",
            "is not a known variable",
            "write HOMEBRED_ENGINE__THREADS if that was meant, or remove it",
        ),
    ],
)
def test_what_is_wrong_with_a_variable_is_said_with_its_name(name: str, text: str, message: str, hint: str) -> None:
    error = Sources(environ={name: text}).refusal()
    assert (error.message, error.hint) == (f"{name}: {message}", hint)


def test_what_is_wrong_with_a_flag_is_said_with_its_name() -> None:
    error = Sources(flags={"--link": "maybe"}).refusal()
    assert (error.message, error.hint) == ('--link: is "maybe"', "write one of: auto, up, metered, down, portal")


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    file = written(tmp_path / "h.toml", "[engine]\nthreads = '4'\nslotz = 1\n[paths]\nruntime_dir = 'run'\n[x]\n")
    environ = {"HOMEBRED_LOG__LEVEL": "loud", "HOMEBRED_NO__SUCH": "1"}
    message = Sources(file=file, environ=environ, flags={"--link": "maybe"}).refusal().message
    first, *problems = message.split("\n  ")
    assert first == "7 settings are wrong"
    places = [problem.split(": ")[0] for problem in problems]
    assert places == [
        "--link",
        "HOMEBRED_LOG__LEVEL",
        "HOMEBRED_NO__SUCH",
        f"{file}:3",
        f"{file}:6",
        f"{file}:5",
        f"{file}:2",
    ]


def test_a_very_long_value_is_not_repeated_whole() -> None:
    assert len(Sources(environ={"HOMEBRED_LOG__LEVEL": "x" * 5000}).refusal().message) < 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[engine\n", "is not valid TOML"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"\xff = 1\n", "is not UTF-8"),
        (b"a = " + b"[" * 5000, "is not valid TOML"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "h.toml"
    if content is not None:
        file.write_bytes(content)
    error = Sources(environ={"HOMEBRED_CONFIG": str(file)}).refusal()
    assert str(file) in error.message
    assert message in error.message
    assert error.hint


def test_a_folder_is_no_configuration_file(tmp_path: Path) -> None:
    assert "Is a directory" in Sources(file=tmp_path).refusal().message


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"HOMEBRED_PATHS__SOCKET": "/" + "s" * 107}, "paths.socket (HOMEBRED_PATHS__SOCKET): is 108 bytes long"),
        ({"HOMEBRED_PATHS__RUNTIME_DIR": "/" + "ä" * 60}, "paths.socket (by default): is 135 bytes long"),
        ({"HOMEBRED_PATHS__STATE_DIR": "/run/homebred"}, "which every boot empties"),
        ({"HOMEBRED_PATHS__STATE_DIR": "/run/homebred/state"}, "which every boot empties"),
        ({"HOMEBRED_METRICS__SOCKET": "/" + "s" * 107}, "metrics.socket (HOMEBRED_METRICS__SOCKET): is 108 bytes long"),
        ({"HOMEBRED_METRICS__SOCKET": "/run/homebred/homebred.sock"}, "name the same socket"),
        ({"HOMEBRED_METRICS__SOCKET": "/m", "HOMEBRED_METRICS__PORT": "9464"}, "shown at one place"),
        ({"HOMEBRED_TRACING__SOCKET": "/" + "s" * 107}, "tracing.socket (HOMEBRED_TRACING__SOCKET): is 108 bytes long"),
        ({"HOMEBRED_TRACING__SOCKET": "/t", "HOMEBRED_TRACING__PORT": "4318"}, "traces go to one place"),
        ({"HOMEBRED_METRICS__GROUP": "kiosk"}, "no socket that it may read"),
        ({"HOMEBRED_POLICY__FILE": "/p", "HOMEBRED_POLICY__SITE_CEILING_FILE": "/p"}, "name the same file"),
        (
            {"HOMEBRED_ENGINE__SLOTS": "9", "HOMEBRED_REQUESTS__MAX_STREAMS": "8"},
            "9 slots can never be used by 8 streams",
        ),
    ],
)
def test_values_that_cannot_hold_together_are_refused_with_their_origins(environ: dict[str, str], message: str) -> None:
    assert message in Sources(environ=environ).refusal().message


def test_a_socket_path_of_the_longest_length_is_accepted() -> None:
    longest = "/" + "s" * 106
    assert Sources(environ={"HOMEBRED_PATHS__SOCKET": longest}).loaded().settings.paths.socket == Path(longest)


def test_the_longest_chain_of_contradictions_is_said_whole() -> None:
    environ = {"HOMEBRED_PATHS__STATE_DIR": "/run/homebred", "HOMEBRED_ENGINE__SLOTS": "64"}
    environ["HOMEBRED_REQUESTS__MAX_STREAMS"] = "1"
    assert Sources(environ=environ).refusal().message.startswith("2 settings are wrong")


def test_what_to_write_for_a_secret_is_a_string() -> None:
    assert expected(FieldInfo(annotation=SecretStr)) == "a string"


def test_every_setting_says_what_it_is() -> None:
    assert [key for key, field in known_keys().items() if not field.description] == []


FILES = {
    "none": "",
    "socket": "[paths]\nsocket = '/f/s.sock'\n",
    "folder": "[paths]\nruntime_dir = '/f/run'\n",
    "both": "[paths]\nruntime_dir = '/f/run'\nsocket = '/f/s.sock'\n",
    "other": "[engine]\nthreads = 1\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
@pytest.mark.parametrize("way", ["flag", "variable", "default"])
def test_a_client_finds_the_socket_where_the_daemon_would_listen(tmp_path: Path, text: str, way: str) -> None:
    file = written(tmp_path / "h.toml", text)
    flag, default_file = (file if way == "flag" else None), (file if way == "default" else NO_DEFAULT_FILE)
    base = {"HOMEBRED_CONFIG": str(file)} if way == "variable" else {}
    for socket_flag, socket_variable, folder_variable in product((None, "/c/s"), ("", "/v/s"), ("", "/v/run")):
        environ = base | {
            variable_of(("paths", "socket")): socket_variable,
            variable_of(("paths", "runtime_dir")): folder_variable,
        }
        flags = {"--socket": socket_flag} if socket_flag else {}
        settings = load(flag, flags, environ, default_file)
        found = client_socket(Path(socket_flag) if socket_flag else None, flag, environ, default_file)
        assert found == settings.paths.socket


def test_a_client_that_names_the_socket_needs_no_readable_file() -> None:
    assert client_socket(Path("/s"), Path("/nonexistent"), {}) == Path("/s")
    assert client_socket(None, Path("/nonexistent"), {"HOMEBRED_PATHS__SOCKET": "/s"}) == Path("/s")
    assert client_socket(None, None, {"HOMEBRED_SOCKET": "/s", "HOMEBRED_PATHS__SOCKET": "/t"}) == Path("/s")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        client_socket(None, Path("/nonexistent"), {})
