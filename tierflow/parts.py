"""Where the parts lie that the commands run, and the Python that has what they need.

In a checkout the parts are its folders. An installed package holds them in `tierflow/parts`, where
they are in nobody's way: no other program's `import services` finds them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = PACKAGE / "parts"
PARTS = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent
"""The folder that holds `gateway`, `services`, `k8s`, `loadtest`, `deploy` and `charts`."""
_ENTRY = (
    "import sys; sys.path[:0] = {paths!r}; from tierflow.command_line import main; "
    "sys.exit(main(sys.argv[1:]))"
)


class EnvironmentMissing(Exception):
    """No Python has what a command needs; one line for the user."""


def use_parts() -> None:
    """Let this process, and those that it starts, import the parts."""
    if str(PARTS) not in sys.path:
        sys.path.insert(0, str(PARTS))


def enter_environment(needs: Iterable[str], argv: Sequence[str], then: Sequence[str] = ()) -> None:
    """Return where this Python has the packages `needs`; else become the Python of the gateway's
    environment, which is made first, with the same arguments. `then` are the environments that
    come next: what they need of the system is looked at first. Raises EnvironmentMissing."""
    if all(find_spec(name) for name in needs):
        return
    from deploy.local.environments import EnvironmentFailure, ensure

    try:
        python = str(ensure("gateway", then=then))
    except EnvironmentFailure as failure:
        raise EnvironmentMissing(str(failure)) from failure
    if Path(sys.prefix) == Path(python).parent.parent:
        missing = ", ".join(name for name in needs if not find_spec(name))
        raise EnvironmentMissing(f"{Path(python).parent.parent} lacks {missing}: remove the folder")
    sys.stdout.flush()
    entry = _ENTRY.format(paths=[str(PARTS), str(PACKAGE.parent)])
    os.execv(python, [python, "-c", entry, *argv])
