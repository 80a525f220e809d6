"""EndpointSlices as the API server sends them: only the fields that are used here."""

from __future__ import annotations

from typing import TypeVar

import msgspec

POOL_LABEL = "tierflow.dev/pool"
TIER_LABEL = "tierflow.dev/tier"
MODEL_LABEL = "tierflow.dev/model"


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """An object as the API sends it, which may have null in place of anything that is empty.

    Fields that are not listed are passed over.
    """


class Metadata(_Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    resource_version: str = ""


class Conditions(_Wire, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Target(_Wire, frozen=True):
    uid: str = ""


class Member(_Wire, frozen=True):
    """A pod. Addresses after the first have no meaning in the API."""

    addresses: list[str] | None = None
    conditions: Conditions | None = None
    target_ref: Target | None = None


class Port(_Wire, frozen=True):
    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class Slice(_Wire, frozen=True):
    metadata: Metadata
    address_type: str = "IPv4"
    endpoints: list[Member] | None = None
    ports: list[Port] | None = None


class SliceList(_Wire, frozen=True):
    metadata: Metadata
    items: list[Slice] | None = None


class Event(_Wire, frozen=True):
    """An event of a watch.

    `object` is a slice; for BOOKMARK only its metadata, for ERROR a `Status`.
    """

    type: str
    object: msgspec.Raw


class Bookmark(_Wire, frozen=True):
    metadata: Metadata


class Status(_Wire, frozen=True):
    code: int | None = None
    reason: str | None = None
    message: str | None = None


Kind = TypeVar("Kind")


def decode(data: bytes | msgspec.Raw, kind: type[Kind]) -> Kind:
    """Raises ValueError for any other object."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"no {kind.__name__}: {error}") from error
