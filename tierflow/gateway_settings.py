"""What the gateway says of the settings that a chart would start it with, before it is there.

Both sides meet here: the preflight, which knows no gateway, and the gateway's own reader.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ConfigError
from gateway.protocol.configuration.variables import PREFIX, SETTINGS_PREFIX
from gateway.settings import Settings
from gateway.settings.checks.variables import check_variables
from k8s.preflight.judgements.gateway_settings import StartSettings

PLACEHOLDERS = {
    "DEVICES__TOKENS": "{}",
    "STATE__REDIS__URL": "redis://placeholder:6379/0",
}
SECRETS = ("_KEY", "_PASSWORD", "_SECRET", "_TOKEN", "__KEY", "__TOKEN", "__PASSWORD")
"""Ends of names of settings that any word stands for."""
WORD = "0123456789abcdef0123456789abcdef"
FILE = "gateway.yaml"


def refusal(settings: StartSettings) -> str:
    """As the gateway would say it at its start; empty: nothing. What a Secret holds that is not
    there to be read counts as right."""
    own = {name: value for name, value in settings.variables.items() if _is_ours(name)}
    known = {name: value for name, value in own.items() if value is not None}
    unread = {name: stand_in for name in own.keys() - known.keys() if (stand_in := _word(name))}
    with tempfile.TemporaryDirectory() as folder, _environment(unread | known):
        file = Path(folder) / FILE
        file.write_text(settings.file)
        try:
            check_variables(dict.fromkeys(own, ""), Settings)
            Settings.load(file)
        except ConfigError as error:
            return str(error).replace(str(file), FILE)
    return ""


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _word(name: str) -> str:
    setting = name.upper().removeprefix(SETTINGS_PREFIX)
    if setting in PLACEHOLDERS:
        return PLACEHOLDERS[setting]
    return WORD if setting.endswith(SECRETS) else ""


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Settings are read from the process' environment: for that long, it holds these of ours and no
    others. No thread runs yet that could read it."""
    before = {name: value for name, value in os.environ.items() if _is_ours(name)}
    try:
        for name in before:
            del os.environ[name]
        os.environ.update(variables)
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)
