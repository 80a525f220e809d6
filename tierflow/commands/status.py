"""`tierflow status`"""

from __future__ import annotations

import argparse
import json

from deploy.local.variables import SettingError
from tierflow.instances import InstanceStatus, instance_status, status_of_all
from tierflow.local import URL, gateway_port, is_of_instance, named_url

EXAMPLES = """\
  tierflow status
  tierflow status --all            # every instance of this machine
  tierflow status --json | jq .ready
exit code: 0 where everything is up and ready, else 1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="the instances on all ports")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    if (url := named_url()) and not is_of_instance(url):
        raise SettingError(
            f"{URL}: `status` tells of the instances of this machine, which TIERFLOW_PORT names; "
            "take it out, or ask that gateway's /ready"
        )
    found = status_of_all() if arguments.all else [instance_status(gateway_port())]
    if arguments.json:
        told = [each.as_json() for each in found]
        print(json.dumps(told if arguments.all else told[0], indent=2))
    elif found:
        print("\n\n".join(as_text(each) for each in found))
    else:
        print("nothing is running on this machine")
    return 0 if found and all(each.ready for each in found) else 1


def as_text(status: InstanceStatus) -> str:
    """A line about the instance, one for each part, and where the logs are."""
    if not status.running:
        lines = [f"{status.url}: nothing is running; `tierflow up` starts it"]
        return "\n".join([*lines, *([f"logs: {status.logs}"] if status.logs.is_dir() else [])])
    state = "ready" if status.ready else status.problem
    lines = [f"{status.url}: {state}; process {status.runner}, for {_time(status.seconds)}"]
    width = max((len(part.name) for part in status.parts), default=0)
    for part in status.parts:
        since = _time(part.seconds) if part.alive else "ended"
        lines.append(f"  {part.name:<{width}}  {part.address or '-':<28} {since:>9}  {part.health}")
    return "\n".join([*lines, f"logs: {status.logs} (`tierflow logs`)"])


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
