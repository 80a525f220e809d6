"""What the whole gateway talks about: tiers, endpoints, requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.core.access.key import EVERYTHING, Scope
from gateway.core.access.quota import RequestUse
from gateway.core.bodies.media_urls import MediaName
from gateway.core.endpoints.estimate import Estimate
from gateway.core.endpoints.outlier_ejection import PassiveHealth
from gateway.core.endpoints.usual_waits import UsualWaits
from gateway.core.privacy import PUBLIC, PrivacyTerms
from gateway.core.streams.continuation import ContinuationTerms
from gateway.core.tier import Tier
from gateway.errors import GatewayError
from gateway.protocol.headers import NORMAL_PRIORITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What the caller asks for beside its answer, from the `x-tierflow-*` headers.

    `cascade_quality` is the share of the top tier's accuracy that a cascade is to keep,
    `resumable_s` how long a stream is to survive its connection, `priority` is from 0 to 9, the
    most urgent. `marks`: a stream is to say who made its tokens.
    """

    max_tier: Tier | None = None
    min_quality: str | None = None
    deadline_s: float | None = None
    session: str | None = None
    cascade_quality: float | None = None
    resumable_s: int | None = None
    priority: int = NORMAL_PRIORITY
    marks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request. `id` tells callers apart, as far as can be: admission is fair between
    them. `authorization` is the header as it came, a secret: it is shown nowhere, and no engine
    gets it. `owner` is whose the caller's idempotency keys, streams and answers are, a secret as
    well; "": nobody can tell. `idempotency_key`: repeating the request is to give the same answer;
    only what the gateway answers itself heeds it.

    `key` is the name of the caller's key, "" without one, and `scope` what it is for; `fan_out`
    is how often engines may be asked for this request, None: as often as it takes. `used` sums up
    what the request uses at servers, with the requests that the gateway makes for it.
    """

    authorization: str = field(default="", repr=False)
    owner: str = field(default="", repr=False)
    idempotency_key: str | None = None
    id: str = ""
    key: str = ""
    scope: Scope = EVERYTHING
    fan_out: int | None = None
    used: RequestUse | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest:
    """One call of an inference route. The body stays opaque bytes; the rest is for routing.

    `prompt_chars` counts the text of the prompt and of its tools (images aside), `prefix_key`
    identifies the prompt's head, `max_tokens` is what the caller allows (None: the engine's
    default), `received` is in seconds on the gateway's clock. `model_in_body` is False where the
    caller left the model open and the route allows it; `model_places` are where its value begins
    and ends in the body, None where nobody has looked. `parent` is the id of the caller's request
    that this one of the gateway's own serves; empty for a caller's. `fault` is what is wrong with
    the body: the request's lifecycle raises it, so that it is reported like any other refusal.
    `privacy` says which tiers may see it, and holds for requests that serve it, too.
    `continuation` is set where another engine can go on with the answer's stream. `several`: the
    answer may have more than one text; `answers`: how many the engine makes.
    `predicted`: its caller gives a text that the answer is expected to be. `chain` is the virtual
    model that its caller asked for, where that is a chain of tiers whose last stage is `model`; "":
    none.
    `media_names` are hosts that an engine would fetch from, not looked up yet.
    `method` is GET for what has no body; `target` is the path with the query at the engine, "":
    the `path`. `endpoint` is the id of the only endpoint that can answer, "": any; `follows` the
    id of the stored response that this one goes on from.
    """

    id: str
    path: str
    model: str
    body: bytes
    received: float
    stream: bool = False
    prompt_chars: int = 0
    prefix_key: bytes = b""
    max_tokens: int | None = None
    model_in_body: bool = True
    model_places: tuple[tuple[int, int], ...] | None = None
    demands: Demands = Demands()
    privacy: PrivacyTerms = PUBLIC
    caller: Caller = Caller()
    parent: str = ""
    fault: GatewayError | None = None
    continuation: ContinuationTerms | None = None
    several: bool = False
    answers: int = 1
    predicted: bool = False
    chain: str = ""
    media_names: tuple[MediaName, ...] = ()
    method: str = "POST"
    target: str = ""
    endpoint: str = ""
    follows: str = ""

    def remaining_s(self, now: float) -> float | None:
        """Seconds until the caller's deadline, at least 0; None without one."""
        if self.demands.deadline_s is None:
            return None
        return max(0.0, self.demands.deadline_s - (now - self.received))


class Probe(StrEnum):
    """The way in which an endpoint is looked at.

    ENGINE: /health, /v1/models and /metrics, as vLLM has them. MODELS: /v1/models alone, for what
    speaks the API and is no engine, such as a gateway in front of some. ANSWERS: any answer below
    500 to /v1/models will do; the models' names are then the configuration's.
    """

    ENGINE = "engine"
    MODELS = "models"
    ANSWERS = "answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One replica: `id` is unique over all pools, `url` has no trailing slash."""

    id: str
    url: str
    pool: str
    tier: Tier
    probe: Probe


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that an endpoint serves. `max_model_len` in tokens; None when the engine doesn't
    say."""

    name: str
    max_model_len: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits from which on an endpoint counts as busy.

    From `saturation_queue` waiting requests on, other tiers are preferred; at `max_in_flight`
    requests of this gateway's it takes no more.
    """

    saturation_queue: int
    max_in_flight: int


@dataclass(slots=True, kw_only=True)
class EndpointState:
    """What is known of a replica now, kept in memory and read by everyone.

    Its `EndpointSource` writes what the engine says; `serving.requests.attempts` counts
    `in_flight`, and `core.endpoints.endpoint_rates` learns the estimates. `seen`: whether it has
    been looked at, with whatever result.
    `waiting`, `running` and `kv_use` (0 to 1) are the engine's own, as of the last scrape;
    `in_flight` counts what this gateway has open there, `in_flight_at_scrape` the same then.
    `tokenizer` is the fingerprint of what its first model does with text, None when unknown.
    `health` is what requests have shown of it, `usual` how long it takes; `answered_at` is when it
    last sent anything to anybody, in seconds on the gateway's clock; `counts_tokens`: its metrics
    show that also of answers that come in one piece. `waits` are this gateway's
    requests that wait for something from it: each is called when it is taken out of use, and goes
    elsewhere if it can.
    """

    endpoint: Endpoint
    limits: Limits
    healthy: bool = False
    seen: bool = False
    problem: str = "not seen yet"
    models: Mapping[str, ServedModel] = field(default_factory=dict)
    tokenizer: str | None = None
    waiting: int = 0
    running: int = 0
    kv_use: float = 0.0
    in_flight: int = 0
    in_flight_at_scrape: int = 0
    prefill_s_per_token: Estimate = field(default_factory=lambda: Estimate(prior=2e-4))
    decode_s_per_token: Estimate = field(default_factory=lambda: Estimate(prior=0.01))
    service_s: Estimate = field(default_factory=lambda: Estimate(prior=1.0))
    answer_tokens: Estimate = field(default_factory=lambda: Estimate(prior=128.0))
    chars_per_token: Estimate = field(default_factory=lambda: Estimate(prior=4.0))
    health: PassiveHealth = field(default_factory=PassiveHealth)
    usual: UsualWaits = field(default_factory=UsualWaits)
    answered_at: float = float("-inf")
    counts_tokens: bool = False
    waits: set[Callable[[], None]] = field(default_factory=set)

    @property
    def queue(self) -> int:
        """Requests that wait there now: the engine's count, and those we sent since on top.

        What was sent since the scrape waits only if the engine was full then.
        """
        since = max(0, self.in_flight - self.in_flight_at_scrape)
        return self.waiting + since if self.waiting else 0

    def condition(self, now: float) -> str:
        """`ok`, or why it gets no requests, in words for the operator."""
        return (self.health.problem(now) or "ok") if self.healthy else self.problem

    def lost(self) -> None:
        """It is out of use: tell the requests that wait there."""
        for moved in tuple(self.waits):
            moved()

    @property
    def saturated(self) -> bool:
        return self.queue >= self.limits.saturation_queue or self.full

    @property
    def full(self) -> bool:
        return self.in_flight >= self.limits.max_in_flight


@dataclass(slots=True, kw_only=True)
class PoolState:
    """What is known of a pool, with or without endpoints, kept in memory and read by everyone.

    `hold_s`: seconds that requests wait while it has no healthy endpoint. `models`: what it serves
    or served last; `labels`: the same as its slices' labels say it. `held`: requests that wait for
    it now, counted by `serving.requests.scale_from_zero`.
    """

    name: str
    tier: Tier
    hold_s: float = 0.0
    models: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    held: int = 0
