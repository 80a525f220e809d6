"""Settings of the collective; see docs/collective.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.protocol.requests.collective import Aggregate, OnTooFew
from gateway.protocol.virtual_models import EDGE
from gateway.settings.group import Group, Unit
from gateway.settings.values import Seconds

Share = Annotated[float, Field(ge=0, le=1), Unit("share")]
TemplateId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}@[0-9]{1,6}$")]
DomainName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]

DOMAINS = {
    "mathematics": "arithmetic, mathematics, calculation, numbers, equations, how many, days and "
    "dates, comparing quantities",
    "code": "programming, source code, what a program prints, variables, functions, debugging",
    "lists": "sorting, ordering, counting, reversing and selecting the items of a list of words",
    "reading": "a short passage about people and things and a question on it: who lives where, who "
    "has which job, where an object was put, carried or moved",
    "writing": "creative writing, stories, letters, style, summaries, translation",
    "conversation": "small talk, advice, feelings, opinions, everyday conversation",
}


class Quality(Group):
    """The memory of how good members are, from agreement and feedback."""

    prior: Share = Field(
        default=0.5, description="The expected quality of a member without observations."
    )
    prior_weight: Annotated[float, Unit("observations")] = Field(
        default=4.0, gt=0, description="The number of observations that the prior is worth."
    )
    half_life_s: Seconds = Field(
        default=7 * 86400.0, gt=0, description="After this time an observation counts half."
    )
    feedback_weight: Annotated[float, Unit("observations")] = Field(
        default=4.0, gt=0, description="The number of observations that a caller's score is worth."
    )
    feedback_s: Seconds = Field(
        default=86400.0, gt=0, description="How long feedback on an answer is accepted."
    )


class TemplateSettings(Group):
    """A text that a model reads when it aggregates or revises."""

    purpose: Literal["aggregate", "revise"] = Field(description="What the template is for.")
    form: Literal["finals", "quotes"] = Field(
        description="How members' answers are shown: `finals`: final answers alone; `quotes`: "
        "whole answers, quoted line by line."
    )
    text: str = Field(
        min_length=1,
        max_length=16_384,
        description="The template, with the places `{question}` and `{answers}` (to aggregate) or "
        "`{question}`, `{own}` and `{other}` (to revise).",
    )
    answer_chars: int = Field(
        default=2000, ge=16, le=65_536, description="The length to which each answer is cut."
    )
    answers: Annotated[int, Unit("answers")] = Field(
        default=16, ge=1, le=16, description="The largest number of answers that are shown."
    )

    @model_validator(mode="after")
    def _places(self) -> TemplateSettings:
        places = ("question", "answers") if self.purpose == "aggregate" else ("own", "other")
        if missing := [place for place in places if f"{{{place}}}" not in self.text]:
            raise ValueError(f"text: put {{{missing[0]}}} where it belongs")
        return self


class TemplateRuleSettings(Group):
    """A rule that chooses a template by the model that reads it and the question's domain."""

    template: TemplateId = Field(description="The template, as `name@version`.")
    models: tuple[str, ...] = Field(
        default=("*",), description="Patterns of the names of models that read it."
    )
    domains: tuple[str, ...] = Field(default=("*",), description="Patterns of domains.")


class Embedding(Group):
    """The measure of how close a member's description is to a question."""

    source: Literal["minilm", "pool", "words"] = Field(
        default="minilm",
        description="`minilm`: a model in the gateway itself. `pool`: a served model. `words`: no "
        "model, words are compared.",
    )
    model: str = Field(
        default="", description="The served model with /v1/embeddings, for the source `pool`."
    )
    cache: Annotated[int, Unit("texts")] = Field(
        default=2048, ge=1, description="The number of texts whose vectors are kept."
    )
    timeout_s: Seconds = Field(
        default=5.0, gt=0, description="The wait for a question's vector; then words are compared."
    )

    @model_validator(mode="after")
    def _named(self) -> Embedding:
        if self.source == "pool" and not self.model:
            raise ValueError("model: name the model whose /v1/embeddings is asked")
        return self


class CollectiveSettings(Group):
    """The virtual model `tierflow-collective` and its defaults; see docs/collective.md."""

    aggregator: str = Field(default=EDGE, description="The server model that aggregates.")
    aggregate: Aggregate = Field(
        default="auto", description="The way in which one answer is made of the members' answers."
    )
    rather_likelihood: tuple[str, ...] = Field(
        default=("rill-*",),
        description="Patterns of aggregators for which `auto` means `best-of-n`, not `template`.",
    )
    max_members: Annotated[int, Unit("members")] = Field(
        default=5, ge=1, le=16, description="The largest number of members that are asked at once."
    )
    quorum: Annotated[float, Unit("share")] = Field(
        default=0.66, gt=0, le=1, description="The share of the asked members that must answer."
    )
    grace: Annotated[float, Unit("share")] = Field(
        default=0.1,
        ge=0,
        le=10,
        description="The further wait for the other members, as a share of the quorum's time.",
    )
    agreement: Annotated[float, Unit("share")] = Field(
        default=1.0,
        gt=0.5,
        le=1,
        description="The share of the answers that must agree for `auto` to end early.",
    )
    deadline_s: float = Field(
        default=30.0, gt=0, le=600, description="The deadline of the members, over all rounds."
    )
    rounds: Annotated[int, Unit("rounds")] = Field(
        default=0, ge=0, le=3, description="The rounds of revision."
    )
    on_too_few: OnTooFew = Field(
        default="degrade",
        description="Without a quorum: `degrade` answers with what there is, `fail` gives 503.",
    )
    member_tokens: int = Field(
        default=256,
        ge=1,
        description="The longest answer of a member where the request has no `max_tokens`.",
    )
    max_question_chars: int = Field(
        default=32_768, ge=256, description="The length of all messages together."
    )
    max_answer_chars: int = Field(
        default=32_768, ge=256, description="The longest answer of one member."
    )
    requests_per_minute: Annotated[float | None, Unit("requests per minute")] = Field(
        default=None, gt=0, description="The rate at which one caller may ask, in the long run."
    )
    burst: Annotated[int, Unit("requests")] = Field(
        default=10, ge=1, description="Requests that a caller may make at once within that rate."
    )
    idempotency_s: Seconds = Field(
        default=86400.0, gt=0, description="How long the answer to an `Idempotency-Key` is kept."
    )
    lease_s: Seconds = Field(
        default=10.0,
        gt=0,
        description="The time after which another replica takes over the request of a dead one.",
    )
    affinity_s: Seconds = Field(
        default=3600.0, gt=0, description="How long the members of a session are preferred."
    )
    quality: Quality = Quality()
    embedding: Embedding = Embedding()
    domains: dict[DomainName, str] = Field(
        default=DOMAINS,
        max_length=32,
        description="What each domain is about, by its name; quality is observed per domain.",
    )
    templates: dict[TemplateId, TemplateSettings] = Field(
        default={}, description="Templates beside the shipped ones, or in their place."
    )
    template_rules: tuple[TemplateRuleSettings, ...] = Field(
        default=(), description="Rules that are tried before the shipped ones."
    )
