"""From the frame in which a device says what it is to a member."""

from __future__ import annotations

from gateway.core.devices.member import DeviceModel, Member, MemberCondition
from gateway.protocol import work


def member_from(frame: work.Register, before: MemberCondition, replica: str) -> Member:
    """What the device says of itself, unproven. Runs of white space are one: descriptions become
    lines of lists."""
    return Member(
        id="",
        instance=frame.instance,
        description=_one_line(frame.description),
        models=[
            DeviceModel(
                name=_one_line(m.name),
                family=_one_line(m.family),
                parameters=m.parameters,
                tokenizer=m.tokenizer,
            )
            for m in frame.models
        ],
        abilities=frozenset(frame.abilities),
        tags=frozenset(frame.tags),
        owner=frame.owner,
        privacy=frame.privacy,
        max_work=frame.max_work,
        condition=condition(frame.condition, before),
        replica=replica,
    )


def condition(said: work.Condition, before: MemberCondition) -> MemberCondition:
    """The link's measurements come with pings, and stay."""
    return MemberCondition(
        battery=said.battery,
        hot=said.hot,
        working=said.working,
        round_trip_s=before.round_trip_s,
        bytes_per_s=before.bytes_per_s,
    )


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
