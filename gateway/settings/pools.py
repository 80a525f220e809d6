"""Where engines are: pools with their endpoints, or the discovery that finds them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.core.speculation.round_economy import RoundMode
from gateway.core.tier import Tier
from gateway.core.types import Probe
from gateway.settings.checks.addresses import base_url, parse_address
from gateway.settings.group import Group, Unit
from gateway.settings.tls import ClientTls
from gateway.settings.values import BearerToken, Seconds

MIN_SECRET = 16
"""Characters of a mailbox's secret."""
MAILBOX_PORT = 9301
"""Of an example."""


class Pool(Group):
    """A pool: the replicas of one model at one tier."""

    tier: Tier = Field(description="The tier of the pool.")
    endpoints: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Base URLs of the replicas, without /v1; a path below which a server stands is "
        "kept. Default: those that discovery finds.",
    )
    probe: Probe = Field(
        default=Probe.ENGINE,
        description="The way to look at replicas: `engine` for vLLM, `models` or `answers` for "
        "other servers.",
    )
    models: tuple[str, ...] = Field(
        default=(),
        description="Names of served models that must be known before a replica was seen.",
    )
    hold_s: Seconds = Field(
        default=0.0,
        ge=0,
        description="How long requests wait while the pool has no healthy endpoint.",
    )
    profile: str = Field(default="default", description="The routing profile.")
    saturation_queue: Annotated[int, Unit("requests")] = Field(
        default=8,
        ge=1,
        description="An endpoint at which this many requests wait is saturated: other tiers are "
        "preferred.",
    )
    max_in_flight: Annotated[int, Unit("requests")] = Field(
        default=512, ge=1, description="Requests of this gateway at one endpoint at once."
    )
    api_key: BearerToken | None = Field(
        default=None, description="The bearer token for the engines."
    )
    mailboxes: tuple[str, ...] = Field(
        default=(),
        description="Addresses that accept drafts, `host:port`, one for each endpoint in order.",
    )
    mailbox_secret: SecretStr | None = Field(
        default=None,
        description="The engines' `TIERFLOW_DRAFT_SECRET`, at least 16 characters.",
    )

    draft_rounds: RoundMode = Field(
        default=RoundMode.NEVER,
        description="Whether drafts are checked in rounds, by requests with several prompts, at "
        "engines without a mailbox: `auto` where that is expected to be faster, `always` to "
        "measure what it takes. It loads the engines with more rows; they need a prefix cache.",
    )
    draft_round_tokens: Annotated[int, Unit("tokens")] = Field(
        default=8, ge=1, le=64, description="Draft tokens that a round checks at most."
    )

    tls: ClientTls | None = None
    mailbox_tls: bool = Field(
        default=False, description="Whether the mailboxes speak TLS, by the files of `tls`."
    )

    @field_validator("endpoints")
    @classmethod
    def _urls(cls, urls: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if urls is None else tuple(base_url(url) for url in urls)

    @field_validator("mailboxes")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if "@" in address:
                raise ValueError("an address has no user and no password; set `mailbox_secret`")
            parse_address(address, MAILBOX_PORT)
        return addresses

    @model_validator(mode="after")
    def _drafts(self) -> Pool:
        secret, endpoints = self.mailbox_secret, self.endpoints or ()
        if self.mailboxes and len(self.mailboxes) != len(endpoints):
            raise ValueError(
                f"mailboxes: {len(self.mailboxes)} for {len(endpoints)} endpoints; "
                "give one per endpoint, in their order"
            )
        if self.mailboxes and secret is None:
            raise ValueError("mailbox_secret: set it to the engines' own; `mailboxes` need it")
        _long_enough(secret)
        return self

    @model_validator(mode="after")
    def _encrypted(self) -> Pool:
        secure = any(url.startswith("https://") for url in self.endpoints or ())
        listed = self.endpoints is not None
        if self.tls is not None and listed and not secure and not self.mailbox_tls:
            raise ValueError("tls: no endpoint is an https:// URL, and `mailbox_tls` is not set")
        if self.mailbox_tls and self.tls is None:
            raise ValueError("mailbox_tls: set `tls` too; `{}` stands for the system's own")
        return self

    @model_validator(mode="after")
    def _named(self) -> Pool:
        if self.probe is Probe.ANSWERS and not self.models:
            raise ValueError(
                "models: list what the pool serves; `probe: answers` does not ask for it"
            )
        if self.probe is Probe.ANSWERS and self.endpoints is None:
            raise ValueError(
                "probe: `answers` needs a list of `endpoints`; give `models` or `engine` for those "
                "that discovery finds"
            )
        return self


class Discovery(Group):
    """Discovery of engines in Kubernetes; `discovery: {}` turns it on; see docs/gateway.md."""

    namespaces: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Namespaces to watch; default: the gateway's own."
    )
    selector: dict[str, str] = Field(
        default={"app.kubernetes.io/part-of": "tierflow"},
        description="Labels that EndpointSlices must carry beside tierflow.dev/pool and /tier.",
    )
    resync_s: Seconds = Field(
        default=300.0, ge=1, description="The interval at which all EndpointSlices are listed anew."
    )
    kubeconfig: str | None = Field(
        default=None, description="A kubeconfig file; default: the pod's service account."
    )
    http_port: str = Field(
        default="http", description="The name of the engines' HTTP port in EndpointSlices."
    )
    drafts_port: str = Field(
        default="drafts", description="The name of the port that accepts drafts."
    )
    api_key: BearerToken | None = Field(
        default=None,
        description="The bearer token for engines that are found; a pool's own replaces it.",
    )
    mailbox_secret: SecretStr | None = Field(
        default=None,
        description="The `TIERFLOW_DRAFT_SECRET` of engines that are found. Without it they get no "
        "drafts.",
    )

    @model_validator(mode="after")
    def _drafts(self) -> Discovery:
        _long_enough(self.mailbox_secret)
        return self


def _long_enough(secret: SecretStr | None) -> None:
    if secret is not None and len(secret.get_secret_value()) < MIN_SECRET:
        raise ValueError(f"mailbox_secret: {MIN_SECRET} characters at least")
