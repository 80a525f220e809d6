"""`tierflow device`"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from services.device_agent.__main__ import enrol_this_device, report, serve
from services.device_agent.arguments import (
    AgentDefaults,
    ArgumentFailure,
    add_enrolment_arguments,
    check_model,
)
from services.device_agent.arguments import (
    add_arguments as add_agent_arguments,
)
from tierflow.local import (
    device_model,
    device_port,
    device_token_file,
    folder,
    instance_url,
    named_url,
)

EXAMPLES = """\
  tierflow device                        # drafts for what `tierflow up` serves here
  tierflow device --gateway ''           # answers alone
  tierflow device --gateway https://gateway.example --token-file device.token \\
    --enrolment-token-file enrolment.token --model models/rill-device
  tierflow device enrol --gateway https://gateway.example --token-file device.token"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = AgentDefaults(model=device_model(), port=device_port())
    add_agent_arguments(parser, defaults)
    commands = parser.add_subparsers(dest="device_command", metavar="enrol", required=False)
    enrol = commands.add_parser("enrol", help="exchange an enrolment token for one of this device")
    add_enrolment_arguments(enrol)


def run(arguments: argparse.Namespace) -> int:
    if arguments.device_command == "enrol":
        return report(lambda: enrol_this_device(arguments), "tierflow device enrol")
    return report(_serving(arguments), "tierflow device")


def _serving(arguments: argparse.Namespace) -> Callable[[], None]:
    def work() -> None:
        if arguments.gateway is None:
            arguments.gateway = named_url() or None
        if arguments.gateway is None:
            # What is wrong with the line itself is told before what is not up.
            check_model(arguments)
            _join_this_machine(arguments)
        serve(arguments)

    return work


def _join_this_machine(arguments: argparse.Namespace) -> None:
    """The gateway of `tierflow up`. Raises ArgumentFailure."""
    token = device_token_file()
    if token is None:
        raise ArgumentFailure(
            f"nothing has been up at {instance_url()} ({folder()} holds no device's token): run "
            "`tierflow up` first, or give --gateway; --gateway '' answers alone"
        )
    arguments.gateway = instance_url()
    arguments.token_file = arguments.token_file or token
