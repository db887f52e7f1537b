"""What can be configured about the daemon: every setting with its default, bounds and meaning.

Where values come from, and what is said when one is wrong, is `config`'s work.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from homebred_daemon.config_sources import DEFAULT_RUNTIME_DIR, SOCKET_NAME, Key
from homebred_daemon.core.endpoint_urls import checked_base_url
from homebred_daemon.settings_of_fleet import BuildSettings, FleetSettings, ProbationSettings, Section, TransferSettings


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("not absolute")
    return path


AbsolutePath = Annotated[Path, Field(strict=False), AfterValidator(_absolute)]  # strict would refuse a path's text


class PathSettings(Section):
    """Where the daemon keeps and shows things."""

    state_dir: AbsolutePath = Field(
        default=Path("/var/lib/homebred"), description="Folder of ledger and models; outlives a boot."
    )
    runtime_dir: AbsolutePath = Field(
        default=DEFAULT_RUNTIME_DIR, description="Folder of sockets and locks; emptied at boot."
    )
    socket: AbsolutePath = Field(
        default_factory=lambda values: values["runtime_dir"] / SOCKET_NAME,
        description=f"Unix socket that applications call; {SOCKET_NAME} in runtime_dir by default.",
    )


_PRINCIPAL = r"((uid|gid):[0-9]+|(user|group):[A-Za-z_][A-Za-z0-9_.-]*)"
PRINCIPALS = rf"^( *{_PRINCIPAL}( +{_PRINCIPAL})*)? *$"


class AccessSettings(Section):
    """Who may do what over the socket; root and the daemon's own user may do everything."""

    group: str = Field(
        default="",
        max_length=64,
        description="Group whose members may call, by name or number; empty: the daemon's own user alone.",
        examples=["kiosk"],
    )
    operators: str = Field(
        default="",
        pattern=PRINCIPALS,
        description="Who may also look after the daemon: user:NAME, group:NAME, uid:N or gid:N, separated by spaces.",
        examples=["user:anna group:technicians uid:1001"],
    )
    reviewers: str = Field(
        default="",
        pattern=PRINCIPALS,
        description="Who may also read and answer what waits for a person; written as operators are.",
        examples=["group:nurses"],
    )


class PolicySettings(Section):
    """What decides about tasks."""

    file: AbsolutePath | None = Field(
        default=None, description="Policy document; unset: the one `homebred policy default` prints."
    )
    site_ceiling_file: AbsolutePath | None = Field(
        default=None, description="Root-owned document that bounds every policy; unset: nothing does."
    )


class DetectionSettings(Section):
    """What the device knows of its own site, to recognise in tasks."""

    gazetteer_file: AbsolutePath | None = Field(
        default=None,
        description="Names, codes and customers known here, as JSON lines; unset: patterns alone are searched.",
        examples=["/etc/homebred/gazetteer.jsonl"],
    )
    recognizer: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether a recognizer of names, a process of its own of about 200 MB, searches what may leave as "
        "well; auto: where the extra `ner` is installed.",
    )


class EngineSettings(Section):
    """The worker processes that hold models."""

    python: AbsolutePath = Field(
        default_factory=lambda: Path(sys.executable),
        description="Interpreter that runs them; the daemon's own by default.",
    )
    threads: int = Field(default=0, ge=0, le=1024, description="Processor threads of one worker; 0: all cores but one.")
    slots: int = Field(default=4, ge=1, le=64, description="Generations that one worker runs at the same time.")
    context_tokens: int = Field(default=2048, ge=256, le=1_048_576, description="Context of one generation, tokens.")
    queue_limit: int = Field(
        default=64, ge=1, le=4096, description="Generations that wait for a slot before more are refused."
    )
    max_models: int = Field(
        default=4, ge=1, le=64, description="Base models held in memory at the same time, where it holds so many."
    )
    max_adapters: int = Field(
        default=8, ge=1, le=256, description="LoRA adapters that one base model is served with at the same time."
    )
    keep_alive_s: float = Field(
        default=0.0,
        ge=0,
        le=604_800,
        description="Time after its last use at which a model that is not pinned is unloaded, seconds; 0: never.",
    )
    load_timeout_s: float = Field(
        default=120.0, gt=0, le=3600, description="Longest time a model may take to load, seconds."
    )
    stall_timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Longest time a busy worker may make no progress before it is ended as hung, seconds.",
    )
    memory_budget_mb: int = Field(
        default=0,
        ge=0,
        le=16_777_216,
        description="Memory that all loaded models may take together, megabytes; 0: nine tenths of what is available"
        " when the daemon starts.",
    )
    gpu_memory_budget_mb: int = Field(
        default=0,
        ge=0,
        le=16_777_216,
        description="The same of a GPU with memory of its own; 0: nine tenths of what is free, as nvidia-smi says.",
    )


class RequestSettings(Section):
    """What callers may ask for."""

    max_message_bytes: int = Field(
        default=4_194_304, ge=65_536, le=67_108_864, description="Longest request or answer message, bytes."
    )
    max_streams: int = Field(
        default=64, ge=1, le=1024, description="Answers streamed at the same time, over all callers."
    )
    default_deadline_s: float = Field(
        default=120.0,
        gt=0,
        le=86_400,
        description="Time from acceptance to outcome of a task that names none, seconds.",
    )
    unread_timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Longest time a caller may leave its answer unread before it is dropped, seconds.",
    )
    drain_s: float = Field(
        default=20.0,
        ge=0,
        le=3600,
        description="Time that running answers are given when the daemon is told to stop, seconds.",
    )


class ReviewSettings(Section):
    """The queue of tasks that a person must answer; their content is encrypted on the disk."""

    max_items: int = Field(
        default=1000, ge=1, le=100_000, description="Tasks that may wait; beyond it such tasks are refused."
    )
    max_mb: int = Field(
        default=256,
        ge=1,
        le=65_536,
        description="Space that tasks and answers in the queue may take, megabytes; beyond it such tasks are refused.",
    )
    retention_h: float = Field(
        default=72.0,
        gt=0,
        le=8760,
        description="Hours until a task that nobody answered expires, and until an answer that was given is erased.",
    )
    lease_s: float = Field(
        default=900.0, ge=10, le=86_400, description="Time a reviewer has for a claimed task, seconds."
    )
    key_file: AbsolutePath | None = Field(
        default=None,
        description="32-byte key, mode 0600; unset: the systemd credential review-key, else one made in state_dir.",
    )


class LedgerSettings(Section):
    """The record of decisions."""

    max_decisions: int = Field(
        default=1_000_000,
        ge=1000,
        le=100_000_000,
        description="Decisions kept; beyond it the oldest go, and are counted.",
    )


INTERFACES = r"^ *([A-Za-z0-9_.:*?@-]{1,15}( +|$))*$"
"""Names that Linux gives interfaces are up to 15 bytes long."""


class LinkSettings(Section):
    """The way to a cloud model."""

    state: Literal["auto", "up", "metered", "down", "portal"] = Field(
        default="auto",
        description="What the router sees of the link; auto: as calls and probes find it, down without an endpoint.",
    )
    metered: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Whether the network costs by the byte; auto: as NetworkManager says, and metered_interfaces.",
    )
    metered_interfaces: str = Field(
        default="ww*",
        pattern=INTERFACES,
        description="Interfaces that make it metered where a default route goes through one: names with * and ?, "
        "separated by spaces.",
        examples=["ww* ppp*"],
    )


class CloudEndpointSettings(Section):
    """One cloud model, by the alias that policies name it by."""

    base_url: Annotated[str, AfterValidator(checked_base_url)] = Field(
        description="Where its API is, with the version; https, but for a server on this device.",
        examples=["https://api.example.com/v1"],
    )
    wire_format: Literal["openai_chat", "openai_responses", "anthropic_messages"] = Field(
        description="What its API speaks."
    )
    model: str = Field(min_length=1, description="The provider's name for the model.", examples=["example-large"])
    key_credential: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.-]*$",
        description="The systemd credential that holds the key; empty: none.",
        examples=["cloud-key"],
    )
    key_file: AbsolutePath | None = Field(
        default=None, description="File that holds the key, mode 0600; wins over key_credential."
    )
    pin: str = Field(
        default="",
        pattern=r"^(sha256:[0-9a-f]{64})?$",
        description="Digest of the public key that it must have; empty: any that an authority vouches for.",
        examples=["sha256:" + 64 * "0"],
    )
    ca_file: AbsolutePath | None = Field(
        default=None, description="PEM file of the authorities that count; unset: the system's."
    )
    price_per_1k_tokens: float = Field(
        default=0.0, ge=0, le=1_000_000, description="Price of 1,000 tokens, for the daily budget."
    )


class CloudSettings(Section):
    """The cloud models that tasks may be given to, where policy and link permit, and what they may cost."""

    endpoints: dict[str, CloudEndpointSettings] = Field(
        default_factory=dict, description="A table for each alias; none by default, and then nothing ever leaves."
    )
    max_calls_per_day: int = Field(
        default=1000, ge=0, le=1_000_000, description="Calls within one UTC day, each try counted; 0: no limit."
    )
    max_mb_per_day: int = Field(
        default=100, ge=0, le=1_000_000, description="Sent and received within one UTC day, megabytes; 0: no limit."
    )
    max_money_per_day: float = Field(
        default=0.0, ge=0, le=1_000_000, description="Cost within one UTC day, in the prices' currency; 0: no limit."
    )


class GatewayTokenSettings(Section):
    """One caller of the gateway, by the name that its profile `token:NAME` has in the policy."""

    credential: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.-]*$",
        description="The systemd credential that holds its token; empty: none.",
        examples=["gateway-desk"],
    )
    file: AbsolutePath | None = Field(
        default=None, description="File that holds its token, mode 0600; wins over credential."
    )


class GatewaySettings(Section):
    """The OpenAI-compatible way in, for programs of this device."""

    enabled: bool = Field(default=False, description="Whether there is one.")
    address: Literal["127.0.0.1", "::1"] = Field(
        default="127.0.0.1", description="Loopback address that it listens at; no other is possible."
    )
    port: int = Field(default=8484, ge=1, le=65_535, description="TCP port that it listens at.")
    socket: AbsolutePath | None = Field(
        default=None, description="Unix socket that it listens at instead; unset: address and port."
    )
    allowed_origins: str = Field(
        default="",
        pattern=r"^( *[!-~]+( +[!-~]+)*)? *$",
        description="Origins that a request may name, separated by spaces; empty: a request that names one is refused.",
        examples=["app://notes"],
    )
    tokens: dict[str, GatewayTokenSettings] = Field(
        default_factory=dict, description="A table for each caller, by its name; without one nobody may come in."
    )


class LogSettings(Section):
    """What the daemon writes about itself; never a task's content."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe entry that is written."
    )
    format: Literal["auto", "json", "console", "journal"] = Field(
        default="auto",
        description="JSON lines, text for people, or the systemd journal's fields; auto: the journal where it listens, "
        "else JSON.",
    )


class MetricsSettings(Section):
    """Figures for Prometheus: counts and times, never a task's content. Nowhere by default."""

    socket: AbsolutePath | None = Field(
        default=None,
        description="Unix socket that answers GET /metrics; unset: none.",
        examples=["/run/homebred/daemon/metrics.sock"],
    )
    group: str = Field(
        default="",
        max_length=64,
        description="Group whose members may read that socket, by name or number; empty: the daemon's own user alone.",
        examples=["prometheus"],
    )
    port: int = Field(
        default=0, ge=0, le=65_535, description="Port of 127.0.0.1 that does the same for every local user; 0: none."
    )

    @property
    def are_wanted(self) -> bool:
        """Whether anybody is to read figures."""
        return self.socket is not None or self.port > 0


class TracingSettings(Section):
    """Traces of tasks for a collector on this device: names and times, never content. Nowhere by default."""

    socket: AbsolutePath | None = Field(
        default=None,
        description="Unix socket where a collector takes OTLP over HTTP; unset: none.",
        examples=["/run/otelcol/otlp.sock"],
    )
    port: int = Field(
        default=0, ge=0, le=65_535, description="Port of 127.0.0.1 where one does, in its place; 0: none."
    )

    @property
    def are_wanted(self) -> bool:
        """Whether anybody is to have traces."""
        return self.socket is not None or self.port > 0


class Settings(BaseSettings):
    """Everything that can be configured; made by `config.load`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    paths: PathSettings = PathSettings()
    access: AccessSettings = AccessSettings()
    policy: PolicySettings = PolicySettings()
    detection: DetectionSettings = DetectionSettings()
    engine: EngineSettings = EngineSettings()
    requests: RequestSettings = RequestSettings()
    review: ReviewSettings = ReviewSettings()
    ledger: LedgerSettings = LedgerSettings()
    link: LinkSettings = LinkSettings()
    cloud: CloudSettings = CloudSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    gateway: GatewaySettings = GatewaySettings()
    fleet: FleetSettings = FleetSettings()
    transfer: TransferSettings = TransferSettings()
    build: BuildSettings = BuildSettings()
    probation: ProbationSettings = ProbationSettings()
    log: LogSettings = LogSettings()

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Made directly, settings are the arguments and the defaults: only `config.load` looks at the world."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def known_keys() -> dict[Key, FieldInfo]:
    """Every setting by section and name, in the order above."""
    return {
        (section, name): field
        for section, outer in Settings.model_fields.items()
        if isinstance(outer.annotation, type) and issubclass(outer.annotation, BaseModel)
        for name, field in outer.annotation.model_fields.items()
    }


def field_within(field: FieldInfo, path: tuple[str, ...]) -> FieldInfo | None:
    """What the tables of a setting have at an alias and a name below it; None: there is no such thing."""
    inner = get_args(field.annotation)
    if get_origin(field.annotation) is not dict or len(path) != len(("alias", "name")):
        return None
    fields: dict[str, FieldInfo] = inner[1].model_fields
    return fields.get(path[1])


def expected(field: FieldInfo) -> str:
    """What to write for a setting, in a person's words."""
    if get_origin(field.annotation) is Literal:
        return "one of: " + ", ".join(get_args(field.annotation))
    if get_origin(field.annotation) is dict:
        return "a table for each in the configuration file"
    if field.examples:
        return f'text such as "{field.examples[0]}"'
    kinds: dict[object, str] = {int: "an integer", float: "a number", bool: "true or false", SecretStr: "a string"}
    if field.annotation not in kinds:
        return "an absolute path"
    bounds = [
        words.format(getattr(part, name))
        for part in field.metadata
        for name, words in (("ge", "from {}"), ("gt", "over {}"), ("le", "up to {}"))
        if hasattr(part, name)
    ]
    return " ".join([kinds[field.annotation], *bounds])
