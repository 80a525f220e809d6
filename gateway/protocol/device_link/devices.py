"""The shapes of the devices' API: enrolment, and what operators see of each device."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.protocol.device_link.fields import Privacy

ENROL_PATH = "/v1/devices/enrol"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
DeviceName = Annotated[str, Field(pattern=NAME_PATTERN)]
Owner = Annotated[str, Field(min_length=1, max_length=256)]


class RequestBody(BaseModel):
    """The body of a request: a field that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid")


class EnrolmentWish(RequestBody):
    """What an operator allows a device that is yet to come."""

    name: DeviceName | None = Field(default=None, description="null: the device may choose")
    owner: Owner | None = Field(default=None, description="whose device it is; null: nobody's")
    privacy: list[Privacy] = Field(
        default=["public", "owner", "private"],
        min_length=1,
        max_length=3,
        description="the privacy classes that the device may register with",
    )
    ttl_s: float = Field(default=900.0, ge=1, le=86_400, description="until the token expires")


class Enrolment(BaseModel):
    """A one-time token that enrols a device. It is shown once: the gateway keeps only its
    SHA-256."""

    object: Literal["device.enrolment"] = "device.enrolment"
    enrolment_token: str = Field(description="for one device, once")
    name: str | None = None
    owner: str | None = None
    privacy: list[Privacy]
    expires_in_s: float


class EnrolRequest(RequestBody):
    """A device's wish to be enrolled."""

    enrolment_token: str = Field(min_length=1, max_length=256)
    name: DeviceName | None = Field(
        default=None, description="null: the operator's, else one is made up"
    )
    attempt: str | None = Field(
        default=None,
        min_length=16,
        max_length=128,
        description="drawn at random: with it an exchange whose answer was lost can be repeated",
    )


class Enrolled(BaseModel):
    """A device's own token. It is shown once: the gateway keeps only its SHA-256."""

    object: Literal["device.enrolled"] = "device.enrolled"
    device: str
    device_token: str = Field(description="to connect with, as a bearer token")
    owner: str | None = None
    privacy: list[Privacy]


class DeviceModelCard(BaseModel):
    """A model that a device runs."""

    name: str
    family: str = ""
    parameters: int = Field(default=0, description="weights; 0: unknown")
    tokenizer: str = Field(default="", description="its fingerprint")


class DeviceCondition(BaseModel):
    """A device's battery and heat."""

    battery: float | None = Field(default=None, description="charge, 0 to 1; null: on mains")
    hot: bool = False


class DeviceLink(BaseModel):
    """A device's link. As the device measured it; 0: not yet."""

    round_trip_s: float = 0.0
    bytes_per_s: float = 0.0


class DeviceWork(BaseModel):
    """A device's work: now, and since it registered."""

    in_flight: int = 0
    max_work: int
    finished: int = Field(default=0, description="completed on this connection")
    refusals: dict[str, int] = Field(default={}, description="by code, on this connection")


class Registration(BaseModel):
    """What the device says of itself. The description and the tags are its own words."""

    instance: str
    replica: str = Field(description="the gateway replica that has its connection")
    description: str
    models: list[DeviceModelCard]
    abilities: list[str]
    tags: list[str]
    privacy: Privacy
    lease_age_s: float = Field(description="since it was heard, or its lease was seen renewed")
    condition: DeviceCondition
    link: DeviceLink
    work: DeviceWork


class DeviceCard(BaseModel):
    """A device, as operators see it."""

    id: str
    object: Literal["device"] = "device"
    source: Literal["settings", "enrolled", "unknown"] = Field(
        description="where its token is from; unknown: its record is gone, or can't be read now"
    )
    owner: str | None = None
    enrolled_at: int | None = Field(default=None, description="Unix time, seconds")
    registered: bool
    registration: Registration | None = None


class DeviceList(BaseModel):
    """A page of devices."""

    object: Literal["list"] = "list"
    data: list[DeviceCard]
    has_more: bool = Field(description="ask again with after=<the last id>")
    partial: bool = Field(
        default=False,
        description="the shared state is lost: enrolled devices that are not registered here are "
        "missing",
    )


class DeviceRevoked(BaseModel):
    """The device whose token was revoked."""

    object: Literal["device.revoked"] = "device.revoked"
    id: str
    revoked: bool = True
