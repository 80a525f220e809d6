"""What a device's token stands for, and what a registration may say beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.core.devices.member import Member, Privacy

ALL: frozenset[Privacy] = frozenset({"public", "owner", "private"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`owner` None: nobody recorded one, and the device names it itself. `privacy`: the classes
    that it may register with. `digest`: its enrolled token's SHA-256; empty for one of the
    settings', which nobody can revoke here."""

    device: str
    owner: str | None = None
    privacy: frozenset[Privacy] = ALL
    digest: str = ""


class RegistrationRefused(Exception):
    """The connection ends with it. `code`: duplicate_device, owner_differs or
    privacy_not_allowed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def admit(grant: Grant, offered: Member, max_work: int) -> Member:
    """The member that a device becomes. Raises RegistrationRefused.

    Only a recorded owner is proven; a device that names another one is not what it says.
    """
    if grant.owner is not None and offered.owner not in ("", grant.owner):
        raise RegistrationRefused(
            "owner_differs",
            "owner: another one is recorded for this token; leave it out, or enrol the device anew",
        )
    if offered.privacy not in grant.privacy:
        allowed = ", ".join(sorted(grant.privacy))
        raise RegistrationRefused(
            "privacy_not_allowed", f"privacy: this device was enrolled for {allowed}"
        )
    return replace(
        offered,
        id=grant.device,
        owner=offered.owner if grant.owner is None else grant.owner,
        max_work=min(offered.max_work, max_work),
    )


def duplicate() -> RegistrationRefused:
    return RegistrationRefused(
        "duplicate_device",
        "another process with this token is registered; give each device a token of its own, or "
        "wait until that one's lease is over",
    )
