"""The package indexes as pip sees them: whether they answer, what they have, and how to tell uv.

Runs on the system's Python with nothing but its library.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from urllib.parse import urlsplit

from deploy.images.torch_build import PIP

ANSWER_S = 6
"""The wait for an index to answer; each is asked twice."""
LONGEST_S = 27.0
"""The longest wait for all of them."""
FAILED = re.compile(
    r"Could not fetch URL (\S+): (?:connection error|There was a problem confirming)"
)
UNTRANSLATED = ("no-index", "trusted-host", "client-cert", "proxy")
"""Options of pip's configuration that uv would have to be told of in other ways."""


class IndexUnreachable(Exception):
    """Package indexes that do not answer; one line for the user."""


def check_indexes(python: str, package: str) -> None:
    """Ask every index that pip would ask for a package. Raises IndexUnreachable.

    pip itself tries each index six times for each package, which takes minutes.
    """
    command = [python, *PIP, "index", "versions", package, "-vv"]
    command += ["--retries", "1", "--timeout", str(ANSWER_S)]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        raise IndexUnreachable(
            f"the Python package index has not answered for {LONGEST_S:.0f} s: check the network, "
            "PIP_INDEX_URL"
        ) from None
    if dead := silent_hosts(answer.stdout + answer.stderr):
        raise IndexUnreachable(
            f"the Python package index at {', '.join(dead)} can't be reached: check the network, "
            "PIP_INDEX_URL and PIP_EXTRA_INDEX_URL"
        )


def silent_hosts(log: str) -> list[str]:
    """The hosts that pip could not reach, by its log. URLs stay out: they may hold a password."""
    hosts = (urlsplit(url).hostname or "its address" for url in FAILED.findall(log))
    return list(dict.fromkeys(hosts))


def uv_environment(python: str, environ: Mapping[str, str] = os.environ) -> dict[str, str] | None:
    """The environment in which uv asks the indexes that pip is configured for; None where that
    can't be said to it. In variables, as addresses may hold passwords."""
    listed = subprocess.run([python, *PIP, "config", "list"], capture_output=True, text=True)
    return None if listed.returncode else translated(listed.stdout, environ)


def translated(listed: str, environ: Mapping[str, str]) -> dict[str, str] | None:
    """`listed` is what `pip config list` prints."""
    options: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        options[name.rpartition(".")[2]] = " ".join(shlex.split(value))
    if any(name in options for name in UNTRANSLATED):
        return None
    chosen = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # As pip: hashes say which file is right.
    if url := options.get("index-url"):
        chosen["UV_DEFAULT_INDEX"] = url
    if more := options.get("extra-index-url"):
        chosen["UV_INDEX"] = " ".join(more.split())
    if links := options.get("find-links"):
        chosen["UV_FIND_LINKS"] = ",".join(links.split())
    if certificate := options.get("cert"):
        chosen["SSL_CERT_FILE"] = certificate
    return {**chosen, **environ}
