"""Who may connect as a device, and what a device may do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gateway.protocol.device_link.devices import DeviceName, Owner
from gateway.protocol.device_link.speculation import MAX_SESSIONS
from gateway.protocol.device_link.work import MAX_WORK
from gateway.protocol.nearest import nearest
from gateway.settings.group import Group, Unit
from gateway.settings.values import Seconds

TokenHash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class DeviceSettings(Group):
    """Devices that may connect, and their limits: docs/speculation.md, docs/device-members.md."""

    tokens: dict[DeviceName, TokenHash] = Field(
        default={}, description="The SHA-256 of each device's token, in hex, by the device's name."
    )
    owners: dict[DeviceName, Owner] = Field(
        default={}, description="The proven owners of the devices under `devices.tokens`, by name."
    )
    lease_s: Seconds = Field(
        default=15.0, gt=0, description="A device that sends no frame for this long counts as gone."
    )
    heartbeat_s: Seconds = Field(
        default=5.0, gt=0, description="How often a device pings; shorter than `devices.lease_s`."
    )
    max_sessions: Annotated[int, Unit("sessions")] = Field(
        default=64, ge=1, le=MAX_SESSIONS, description="Speculative sessions per device at once."
    )
    drafts_per_s: Annotated[float, Unit("tokens per second")] = Field(
        default=10_000.0, gt=0, description="Draft tokens that a device may send."
    )
    max_work: Annotated[int, Unit("pieces of work")] = Field(
        default=8, ge=1, le=MAX_WORK, description="Work that a device has at once."
    )
    max_work_s: float = Field(
        default=600.0, gt=0, le=86_400, description="The longest deadline of one piece of work."
    )
    max_answer_bytes: int = Field(
        default=256 * 1024,
        ge=1024,
        description="The text of one answer; longer answers are cut off.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> DeviceSettings:
        if self.heartbeat_s >= self.lease_s:
            raise ValueError("heartbeat_s: must be shorter than lease_s")
        if len(set(self.tokens.values())) != len(self.tokens):
            raise ValueError("tokens: two devices have the same token; give each its own")
        if unknown := sorted(self.owners.keys() - self.tokens.keys()):
            meant = nearest(unknown[0], self.tokens)
            hint = f"did you mean {meant}?" if meant else "enrolled devices' are recorded then"
            raise ValueError(f"owners: {', '.join(unknown)} is not under tokens; {hint}")
        return self
