"""One call to a cloud model: what is asked, what streams back, and what can go wrong.

    CloudError
    ├── LaneClosedError           the air gap holds, or no endpoint has that name
    ├── StoppedAtGateError        the last look at what would leave found what may not; carries entity types alone
    ├── BudgetSpentError
    ├── CloudUnreachableError     no name, no connection, or lost before the first text      tried again
    ├── CaptivePortalError        somebody else answers in its place
    ├── WrongCertificateError     the same, found in the handshake
    ├── RateLimitedError          says when to come again                                    tried again
    ├── ProviderFailedError       its own fault (5xx)                                        tried again
    ├── RequestRefusedError       it does not take this request (4xx)
    ├── BrokenAnswerError         not what its wire format says, or too long
    ├── CutOffError               lost after the first text
    └── CloudDeadlineError

An error's words hold neither content nor key: a provider's own sentences may quote the request, so they are not kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from homebred_daemon.core.budgets import Spending
from homebred_daemon.core.reachability import Sign
from homebred_daemon.errors import HomebredError
from homebred_engines import api


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRequest:
    """One generation. Whoever makes it has masked all of its text."""

    alias: str
    """The endpoint as policies name it: `cloud/default`."""
    system: str = ""
    turns: tuple[api.Message, ...]
    """Of the user, the assistant and its tools."""
    max_tokens: int
    """Tokens to generate at most; from 1."""
    temperature: float | None = None
    """None: the provider's default."""
    top_p: float | None = None
    """As `temperature`."""
    seed: int | None = None
    """For providers that take one; of the others nobody can have the same answer twice."""
    json_schema: str = ""
    """JSON Schema as JSON text that the answer should fit; empty: free text."""
    tools: tuple[api.Tool, ...] = ()
    tool_choice: str = "auto"
    """As in `api.GenerateOptions`."""


@dataclass(frozen=True, slots=True)  # positional: one field, streamed by the hundred
class CloudText:
    """A piece of the answer; never empty."""

    text: str


class CloudFinish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    """max_tokens, or the model's own limit."""
    TOOL_CALLS = "tool_calls"
    FILTERED = "filtered"
    """The provider or the model refused to go on."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudUsage:
    """What the provider counted; None: it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFinished:
    """The end of an answer that is whole."""

    reason: CloudFinish
    usage: CloudUsage
    tool_calls: tuple[api.ToolCall, ...] = ()
    """What the model asks for, as it said it: arguments may be no JSON, and a name one that no tool has."""


CloudEvent = CloudText | CloudFinished


class CloudLane(Protocol):
    """The way out to cloud models: the only one there is."""

    def ask(self, request: CloudRequest, *, deadline_s: float) -> AsyncGenerator[CloudEvent, None]:
        """Texts, then one CloudFinished; closing the stream ends the call.

        `deadline_s` is for the whole of it, all tries included.

        Raises:
            CloudError: before or between events.
        """
        ...


class SpendingStore(Protocol):
    """Where what a day's calls have cost outlives the process. Its calls wait for the disk."""

    def read(self) -> Spending:
        """What was kept last; nothing spent where nothing was.

        Raises:
            StateError: it cannot be read.
        """
        ...

    def keep(self, spending: Spending) -> None:
        """Keeps it; returns once it would survive a power cut.

        Raises:
            StateError: it cannot be written.
        """
        ...


class CloudError(HomebredError):
    """The cloud model did not answer."""

    code = "cloud_failed"
    hint = "run `homebred status` to see how the endpoint stands; the task may be sent again"
    sign: ClassVar[Sign | None] = None
    """What it says of the link to the endpoint; None: nothing."""
    is_passing: ClassVar[bool] = False
    """Whether another try may succeed, as long as nothing was streamed."""

    def __init__(self, message: str = "", *, hint: str = "", has_streamed: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.has_streamed = has_streamed  # text of this answer was given out already


class LaneClosedError(CloudError):
    """There is no way out to a cloud model."""

    code = "cloud_closed"
    hint = "see air_gap in policy and site ceiling, and [cloud] in the configuration"


class StoppedAtGateError(CloudError):
    """What was about to leave the device holds what may not; nothing was sent."""

    code = "stopped_at_gate"
    hint = "a person must answer this task; report how it came so far, as masking should have caught it"

    def __init__(self, entity_types: Collection[str]) -> None:
        self.entity_types = tuple(sorted(entity_types))
        super().__init__(f"the last look at what would leave the device found {', '.join(self.entity_types)}")


class BudgetSpentError(CloudError):
    """Today's cloud budget is spent."""

    code = "cloud_budget_spent"
    hint = "wait until 00:00 UTC, or raise the limits a day in [cloud]"


class CloudUnreachableError(CloudError):
    """The cloud endpoint cannot be reached."""

    code = "cloud_unreachable"
    hint = "look at the network; the endpoint is tried again by itself"
    sign = Sign.FAILURE
    is_passing = True


class CaptivePortalError(CloudError):
    """Somebody else answers in the cloud endpoint's place."""

    code = "captive_portal"
    hint = "sign in to this network, or correct the endpoint's base_url"
    sign = Sign.STRANGER


class WrongCertificateError(CloudError):
    """Whoever answers cannot prove to be the cloud endpoint."""

    code = "wrong_certificate"
    hint = "sign in to this network; if the endpoint has a new certificate, correct its pin or ca_file"
    sign = Sign.STRANGER


class RateLimitedError(CloudError):
    """The provider takes no more requests for now."""

    code = "cloud_rate_limited"
    hint = "wait, or raise the limits with the provider"
    sign = Sign.SUCCESS
    is_passing = True

    def __init__(self, message: str = "", *, retry_after_s: float | None = None, has_streamed: bool = False) -> None:
        super().__init__(message, has_streamed=has_streamed)
        self.retry_after_s = retry_after_s  # what the provider asks for; None: it did not say


class ProviderFailedError(CloudError):
    """The provider failed."""

    code = "provider_failed"
    hint = "wait; the provider's status page may say more"
    sign = Sign.SUCCESS
    is_passing = True


class RequestRefusedError(CloudError):
    """The provider does not take this request."""

    code = "cloud_refused"
    hint = "check the endpoint's key, model and wire format"
    sign = Sign.SUCCESS


class BrokenAnswerError(CloudError):
    """The answer is not what the endpoint's wire format says."""

    code = "broken_answer"
    hint = "check that the endpoint speaks the wire format it is configured with"


class CutOffError(CloudError):
    """The cloud model's answer was cut off."""

    code = "cloud_cut_off"
    hint = "send the task again"
    sign = Sign.FAILURE


class CloudDeadlineError(CloudError):
    """The cloud model did not answer in time."""

    code = "cloud_deadline"
    hint = "allow more time with deadline_s"
