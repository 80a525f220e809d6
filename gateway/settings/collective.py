"""Settings of the collective; see docs/collective.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.settings.group import Group

Share = Annotated[float, Field(ge=0, le=1)]
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


class PriceSettings(Group):
    """Per 1,000 tokens by tier, in any one currency."""

    device: float = Field(default=0.1, ge=0)
    edge: float = Field(default=1.0, ge=0)
    cloud: float = Field(default=10.0, ge=0)


class Quality(Group):
    """What is learned about members from agreement and feedback."""

    prior: Share = Field(default=0.5, description="held of a member of whom nothing is known")
    prior_weight: float = Field(
        default=4.0, gt=0, description="how many observations that is worth"
    )
    half_life_s: float = Field(default=7 * 86400.0, gt=0, description="the past counts half then")
    feedback_weight: float = Field(
        default=4.0, gt=0, description="a caller's word against one observed agreement"
    )
    feedback_s: float = Field(default=86400.0, gt=0, description="how long feedback is taken")


class TemplateSettings(Group):
    purpose: Literal["aggregate", "revise"]
    form: Literal["finals", "quotes"]
    text: str = Field(min_length=1, max_length=16_384)
    answer_chars: int = Field(default=2000, ge=16, le=65_536)
    answers: int = Field(default=16, ge=1, le=16)

    @model_validator(mode="after")
    def _places(self) -> TemplateSettings:
        wanted = ("question", "answers") if self.purpose == "aggregate" else ("own", "other")
        if missing := [place for place in wanted if f"{{{place}}}" not in self.text]:
            raise ValueError(f"text: put {{{missing[0]}}} where it belongs")
        return self


class TemplateRuleSettings(Group):
    template: TemplateId
    models: tuple[str, ...] = ("*",)
    domains: tuple[str, ...] = ("*",)


class Embedding(Group):
    """What tells how close a description and a question are."""

    source: Literal["minilm", "pool", "words"] = Field(
        default="minilm",
        description="minilm: in the gateway itself; pool: a served model; words: none",
    )
    model: str = Field(default="", description="source pool: a model with /v1/embeddings")
    cache: int = Field(default=2048, ge=1, description="texts whose vectors are kept")
    timeout_s: float = Field(default=5.0, gt=0, description="then words are compared")

    @model_validator(mode="after")
    def _named(self) -> Embedding:
        if self.source == "pool" and not self.model:
            raise ValueError("model: name the model whose /v1/embeddings is asked")
        return self


class CollectiveSettings(Group):
    """The model `tierflow-collective`. What a request doesn't say is as here."""

    aggregator: str = Field(default="tierflow-edge", description="the server model")
    aggregate: Literal["auto", "template", "majority", "weighted", "best-of-n"] = "auto"
    rather_likelihood: tuple[str, ...] = Field(
        default=("rill-*",),
        description="auto: aggregator models that do best-of-n, not a template",
    )
    max_members: int = Field(default=5, ge=1, le=16)
    quorum: float = Field(default=0.66, gt=0, le=1, description="share of the members asked")
    grace: float = Field(
        default=0.1, ge=0, le=10, description="for the others, in parts of the quorum's time"
    )
    agreement: float = Field(
        default=1.0, gt=0.5, le=1, description="auto: share that must agree to end early"
    )
    deadline_s: float = Field(default=30.0, gt=0, le=600, description="for members, all rounds")
    rounds: int = Field(default=0, ge=0, le=3, description="of revision")
    on_too_few: Literal["degrade", "fail"] = "degrade"
    member_tokens: int = Field(default=256, ge=1, description="per answer, where none are asked")
    max_question_chars: int = Field(default=32_768, ge=256, description="all messages together")
    max_answer_chars: int = Field(default=32_768, ge=256, description="of one member")
    requests_per_minute: float | None = Field(
        default=None, gt=0, description="per caller; none: no limit"
    )
    burst: int = Field(default=10, ge=1, description="requests at once within that limit")
    idempotency_s: float = Field(default=86400.0, gt=0, description="how long answers are kept")
    lease_s: float = Field(
        default=10.0, gt=0, description="until another replica takes a dead one's request over"
    )
    affinity_s: float = Field(default=3600.0, gt=0, description="members of a session are kept")
    prices: PriceSettings = PriceSettings()
    quality: Quality = Quality()
    embedding: Embedding = Embedding()
    domains: dict[DomainName, str] = Field(default=DOMAINS, max_length=32)
    templates: dict[TemplateId, TemplateSettings] = Field(
        default={}, description="beside the shipped ones, or in their place"
    )
    template_rules: tuple[TemplateRuleSettings, ...] = Field(
        default=(), description="before the shipped ones"
    )
