"""Settings of `tierflow-cascade`; see docs/cascade.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.core.final_answer import LEAD
from gateway.protocol.requests.cascade import MAX_QUALITY, MIN_QUALITY, Confidence, StreamMode
from gateway.protocol.virtual_models import CASCADE, CLOUD, COLLECTIVE, EDGE
from gateway.settings.group import Group, Unit

ANY = "any"
ModelName = Annotated[str, Field(min_length=1, max_length=256)]


class CascadeStage(Group):
    """One stage of the cascade: a served model or a registered device."""

    model: ModelName | None = Field(
        default=None, description="A served model, `tierflow-edge` or `tierflow-cloud`."
    )
    device: ModelName | Annotated[tuple[ModelName, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="A device's name, a list of names, or `any`; only in the lowest stage.",
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="The longest answer of this stage."
    )

    @model_validator(mode="after")
    def _one(self) -> CascadeStage:
        if (self.model is None) == (self.device is None):
            raise ValueError("model: give either model or device")
        if ANY in self.devices and len(self.devices) > 1:
            raise ValueError(f"device: name devices, or say {ANY} alone")
        if self.model in (CASCADE, COLLECTIVE):
            raise ValueError(f"model: {self.model} can't be a stage of a cascade")
        return self

    @property
    def devices(self) -> tuple[str, ...]:
        """() where it is a model."""
        names = self.device or ()
        return (names,) if isinstance(names, str) else names


class SelfCheck(Group):
    """The question whether its answer is right, put to the small model."""

    template: str = Field(
        default=(
            "{question}\n\nProposed answer:\n{answer}\n\n"
            "Is the proposed answer right? Answer yes or no."
        ),
        max_length=4000,
        description="The question's text, with the places `{question}` and `{answer}`.",
    )
    expects: Literal["yes", "same"] = Field(
        default="yes",
        description="`yes`: the reply must begin so. `same`: it must repeat the final answer.",
    )
    max_tokens: int = Field(
        default=64, ge=1, le=4096, description="The longest reply to a self-check."
    )

    @model_validator(mode="after")
    def _placeholders(self) -> SelfCheck:
        for name in ("{question}", "{answer}"):
            if name not in self.template:
                raise ValueError(f"template: must contain {name}")
        return self


class CascadeSettings(Group):
    """The virtual model `tierflow-cascade`; see docs/cascade.md."""

    stages: tuple[CascadeStage, ...] = Field(
        default=(CascadeStage(model=EDGE), CascadeStage(model=CLOUD)),
        min_length=2,
        max_length=4,
        description="Two to four stages, the lowest tier first.",
    )
    predictor: str | None = Field(
        default=None,
        description="A file that `tierflow calibrate` wrote, or the name of a shipped "
        "predictor. Without it: the shipped one for the two models, or else a cautious rule.",
    )
    quality: Annotated[float, Unit("share")] = Field(
        default=0.99,
        ge=MIN_QUALITY,
        le=MAX_QUALITY,
        description="The share of the top tier's accuracy to keep.",
    )
    confidence: Confidence = Field(
        default="logprobs", description="What the confidence in an answer is computed from."
    )
    samples: Annotated[int, Unit("answers")] = Field(
        default=4, ge=1, le=16, description="Further answers that the method `agreement` asks for."
    )
    sample_temperature: Annotated[float, Unit("temperature")] = Field(
        default=0.7, gt=0, le=2, description="The sampling temperature of these answers."
    )
    answer_lead: str = Field(
        default=LEAD,
        max_length=64,
        description="The text after which the final answer stands.",
    )
    self_check: SelfCheck = SelfCheck()
    stream_mode: StreamMode = Field(
        default="live",
        description="`live`: tokens flow while confidence holds. `exact`: nothing flows before the "
        "decision.",
    )
    outcome_log: str | None = Field(
        default=None,
        description="A file of features and decisions, as JSON lines, of 256 MiB at most.",
    )
    audit_share: Annotated[float, Unit("share")] = Field(
        default=0.0,
        ge=0,
        le=1,
        description="The share of lower tiers' answers, accepted or continued by the top tier, for "
        "which the top tier is asked for its own.",
    )

    @model_validator(mode="after")
    def _stages(self) -> CascadeSettings:
        if any(stage.device for stage in self.stages[1:]):
            raise ValueError("stages: a device can only be the lowest")
        return self
