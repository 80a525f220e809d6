"""Who may connect as a device, and what a device may do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gateway.protocol.devices import DeviceName, Owner
from gateway.protocol.speculation import MAX_SESSIONS
from gateway.protocol.work import MAX_WORK
from gateway.settings.group import Group

TokenHash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class DeviceSettings(Group):
    """Devices that may connect, draft and work: docs/speculation.md, docs/device-members.md."""

    tokens: dict[DeviceName, TokenHash] = Field(
        default={}, description="the SHA-256 of each device's token, in hex, by the device's name"
    )
    owners: dict[DeviceName, Owner] = Field(
        default={}, description="of the devices under tokens, where it shall be proven"
    )
    lease_s: float = Field(
        default=15.0, gt=0, description="without a frame until it counts as gone"
    )
    heartbeat_s: float = Field(default=5.0, gt=0, description="how often a device shall ping")
    max_sessions: int = Field(default=64, ge=1, le=MAX_SESSIONS, description="at once, per device")
    drafts_per_s: float = Field(default=10_000.0, gt=0, description="draft tokens, per device")
    max_work: int = Field(default=8, ge=1, le=MAX_WORK, description="at once, per device")
    max_work_s: float = Field(default=600.0, gt=0, le=86_400, description="for one piece of work")
    max_answer_bytes: int = Field(
        default=256 * 1024, ge=1024, description="of text in one answer; more is cut off"
    )

    @model_validator(mode="after")
    def _consistent(self) -> DeviceSettings:
        if self.heartbeat_s >= self.lease_s:
            raise ValueError("heartbeat_s: must be shorter than lease_s")
        if len(set(self.tokens.values())) != len(self.tokens):
            raise ValueError("tokens: two devices have the same token; give each its own")
        if unknown := sorted(self.owners.keys() - self.tokens.keys()):
            raise ValueError(
                f"owners: {', '.join(unknown)} is not under tokens; enrolled devices' owners are "
                "recorded at enrolment"
            )
        return self
