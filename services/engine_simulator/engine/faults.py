"""Faults to inject, set by flags or at run time, each for all or for the next N requests."""

import random
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.engine_simulator.errors import EngineError


class FaultPlan(BaseModel):
    """The faults of one request; by default there are none.

    Token counts are generated tokens per choice. Delays are in seconds and come on top of the
    engine's own pace.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    refuse: bool = Field(default=False, description="answer 503 to every inference request")
    error_probability: float = Field(default=0.0, ge=0, le=1, description="answer 500 this often")
    status: int | None = Field(
        default=None, ge=400, le=599, description="answer every inference request with it"
    )
    empty: bool = Field(default=False, description="answer 200 without an event or a field")
    hang_before_first_byte: bool = Field(
        default=False, description="accept, then send not one byte"
    )
    hang_after_tokens: int | None = Field(
        default=None, ge=0, description="stop producing, stay connected"
    )
    close_after_tokens: int | None = Field(default=None, ge=0, description="close the socket")
    half_event_after_tokens: int | None = Field(
        default=None, ge=0, description="send half of the next event, then close the socket"
    )
    error_event_after_tokens: int | None = Field(
        default=None, ge=0, description="end the stream with an error event"
    )
    garbage_after_tokens: int | None = Field(
        default=None, ge=0, description="send a broken SSE event"
    )
    token_delay_s: float = Field(default=0.0, ge=0, le=60, description="added before every token")
    token_jitter_s: float = Field(
        default=0.0, ge=0, le=60, description="up to so much added, at random"
    )
    unhealthy: bool = Field(default=False, description="/health answers 503")
    models: list[str] | None = Field(default=None, description="serve these model names instead")

    def breaks_at(self, tokens: int) -> bool:
        """Whether an answer that has so many tokens ends here, before it is complete."""
        counts = (
            self.close_after_tokens,
            self.half_event_after_tokens,
            self.error_event_after_tokens,
        )
        return any(count is not None and tokens >= count for count in counts)


NO_FAULTS = FaultPlan()


@dataclass(slots=True)
class _Setting:
    """A fault in force, for so many requests more; None: for all."""

    value: Any
    remaining: int | None


class Faults:
    """The faults in force. Only inference requests count against a limited fault."""

    def __init__(self, seed: int) -> None:
        self._settings: dict[str, _Setting] = {}
        self.random = random.Random(seed)

    def set(self, name: str, value: Any, requests: int | None = None) -> None:
        """Raises EngineError (400) for an unknown name, a bad value or a bad request count."""
        if name not in FaultPlan.model_fields:
            known = ", ".join(sorted(FaultPlan.model_fields))
            raise EngineError(f"unknown fault {name!r}; there are: {known}", param=name)
        try:
            checked = getattr(FaultPlan(**{name: value}), name)
        except ValidationError as exc:
            reason = exc.errors()[0]["msg"]
            raise EngineError(f"fault {name}={value!r}: {reason}", param=name) from exc
        if requests is not None and (not isinstance(requests, int) or requests < 1):
            raise EngineError(f"fault {name}: requests must be a number from 1", param=name)
        self._settings[name] = _Setting(checked, requests)

    def set_all(self, raw: bytes) -> None:
        """From JSON: `{name: value}` or `{name: {"value": value, "requests": N}}`."""
        try:
            faults = TypeAdapter(dict[str, Any]).validate_json(raw)
        except ValidationError as exc:
            raise EngineError("faults must be a JSON object") from exc
        for name, value in faults.items():
            if isinstance(value, dict):
                self.set(name, value.get("value"), value.get("requests"))
            else:
                self.set(name, value)

    def clear(self) -> None:
        self._settings.clear()

    def current(self) -> FaultPlan:
        """The plan in force; counts against nothing."""
        if not self._settings:
            return NO_FAULTS
        return FaultPlan(**{name: setting.value for name, setting in self._settings.items()})

    def next_plan(self) -> FaultPlan:
        """The plan for the next inference request, which counts against limited faults."""
        plan = self.current()
        for name, setting in list(self._settings.items()):
            if setting.remaining is not None:
                setting.remaining -= 1
                if setting.remaining <= 0:
                    del self._settings[name]
        return plan

    def describe(self) -> dict[str, Any]:
        return {
            name: {"value": setting.value, "requests": setting.remaining}
            for name, setting in self._settings.items()
        }


def parse_flag(text: str) -> tuple[str, str, int | None]:
    """`name`, `name=value` or either with `@requests`. Raises ValueError."""
    setting, at, count = text.partition("@")
    name, _, value = setting.partition("=")
    return name.replace("-", "_"), value or "true", int(count) if at else None
