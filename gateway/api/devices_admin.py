"""The devices' API: enrolment, and what operators see and do. See docs/device-members.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends

from gateway.api.admin_token import AdminGate
from gateway.api.device_desk import DeviceAdmin, DeviceHandlers
from gateway.api.json_body import documented
from gateway.protocol.devices import EnrolmentWish, EnrolRequest
from gateway.protocol.openai import ErrorBody


def devices_router(gate: AdminGate, admin: Callable[[], DeviceAdmin]) -> APIRouter:
    """`admin` as in `DeviceHandlers`."""
    router, handlers = APIRouter(tags=["devices"]), DeviceHandlers(admin)
    operators: dict[str, Any] = {
        "dependencies": [Depends(gate)],
        "responses": _errors(401, 403, 404, 409, 503),
    }
    router.post(
        "/v1/admin/enrolments",
        summary="Mint a token that enrols one device, once",
        status_code=201,
        openapi_extra=documented(EnrolmentWish),
        **operators,
    )(handlers.mint)
    router.post(
        "/v1/devices/enrol",
        summary="Exchange an enrolment token for a device's own token",
        status_code=201,
        openapi_extra=documented(EnrolRequest),
        responses=_errors(400, 403, 409, 429, 503),
    )(handlers.enrol)
    router.get("/v1/devices", summary="All devices, by name, a page at a time", **operators)(
        handlers.devices
    )
    router.get("/v1/devices/{id}", summary="One device", **operators)(handlers.device)
    router.delete(
        "/v1/devices/{id}",
        summary="Revoke an enrolled device's token, and close its connection",
        **operators,
    )(handlers.revoke)
    return router


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorBody} for status in statuses}
