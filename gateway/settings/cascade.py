"""Settings of `tierflow-cascade`; see docs/cascade.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.core.types import Tier
from gateway.protocol.cascade import MAX_QUALITY, MIN_QUALITY
from gateway.settings.group import Group

ANY = "any"
ModelName = Annotated[str, Field(min_length=1, max_length=256)]


class CascadeStage(Group):
    """One tier that is asked: a model, or a registered device."""

    model: ModelName | None = Field(
        default=None, description="a served model, tierflow-edge or tierflow-cloud"
    )
    device: ModelName | Annotated[tuple[ModelName, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="a device's id, a list of them, or any; only as the lowest stage",
    )
    max_tokens: int | None = Field(default=None, ge=1, description="of its answer; none: no bound")

    @model_validator(mode="after")
    def _one(self) -> CascadeStage:
        if (self.model is None) == (self.device is None):
            raise ValueError("model: give either model or device")
        if ANY in self.devices and len(self.devices) > 1:
            raise ValueError(f"device: name devices, or say {ANY} alone")
        if self.model in ("tierflow-cascade", "tierflow-collective"):
            raise ValueError(f"model: {self.model} can't be a stage of a cascade")
        return self

    @property
    def devices(self) -> tuple[str, ...]:
        """() where it is a model."""
        given = self.device or ()
        return (given,) if isinstance(given, str) else given


class SelfCheck(Group):
    """How the small model is asked whether its answer is right."""

    template: str = Field(
        default=(
            "{question}\n\nProposed answer:\n{answer}\n\n"
            "Is the proposed answer right? Answer yes or no."
        ),
        max_length=4000,
        description="with {question} and {answer}",
    )
    expects: Literal["yes", "same"] = Field(
        default="yes", description="yes: an answer that begins so; same: the same final answer"
    )
    max_tokens: int = Field(default=64, ge=1, le=4096)

    @model_validator(mode="after")
    def _placeholders(self) -> SelfCheck:
        for name in ("{question}", "{answer}"):
            if name not in self.template:
                raise ValueError(f"template: must contain {name}")
        return self


class CascadeSettings(Group):
    stages: tuple[CascadeStage, ...] = Field(
        default=(CascadeStage(model="tierflow-edge"), CascadeStage(model="tierflow-cloud")),
        min_length=2,
        max_length=4,
        description="lowest tier first",
    )
    predictor: str | None = Field(
        default=None,
        description="file of python -m loadtest.calibration, or the name of a shipped one; none: "
        "the shipped one for the models at hand, else a cautious rule",
    )
    quality: float = Field(
        default=0.99,
        ge=MIN_QUALITY,
        le=MAX_QUALITY,
        description="share of the top tier's accuracy to keep",
    )
    confidence: Literal["logprobs", "agreement", "self-check"] = "logprobs"
    samples: int = Field(default=4, ge=1, le=16, description="answers that agreement asks for")
    sample_temperature: float = Field(default=0.7, gt=0, le=2)
    answer_lead: str = Field(
        default="Answer:", max_length=64, description="what precedes the answer proper in a text"
    )
    self_check: SelfCheck = SelfCheck()
    stream_mode: Literal["live", "exact"] = "live"
    outcome_log: str | None = Field(
        default=None, description="file for features and decisions, JSON lines; none: nothing"
    )
    audit_share: float = Field(
        default=0.0, ge=0, le=1, description="of accepted answers that the top is asked as well"
    )
    cost_per_token: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={"device": 0.1, "edge": 1.0, "cloud": 10.0},
        description="by tier, for the cost metric, in any unit",
    )

    @model_validator(mode="after")
    def _stages(self) -> CascadeSettings:
        if any(stage.device for stage in self.stages[1:]):
            raise ValueError("stages: a device can only be the lowest")
        for tier in self.cost_per_token:
            if tier not in tuple(Tier):
                raise ValueError(f"cost_per_token: {tier!r} is no tier; {', '.join(Tier)} are")
        return self
