"""The settings' page: every leaf has a meaning, a unit and a variable that is read."""

from __future__ import annotations

import pytest

from deploy.reference.settings import Setting, sections, unit
from gateway.settings import Settings
from gateway.settings.sources import Variables

SETTINGS = [setting for section in sections() for setting in section.settings]
ANY = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.path)


@ANY
def test_every_setting_has_a_description_that_is_a_sentence(setting: Setting) -> None:
    description = setting.field.description or ""
    assert description.endswith("."), f"{setting.path}: describe it in its Field"


@ANY
def test_every_setting_has_a_unit_or_values(setting: Setting) -> None:
    assert unit(setting)


def test_every_group_says_what_it_is() -> None:
    assert [section.path for section in sections() if not section.sentence] == []


@ANY
def test_every_variable_is_read(setting: Setting) -> None:
    if not setting.variable.startswith("TIERFLOW_GATEWAY_"):
        assert "[]" in setting.path, "only what stands in a list has no variable"
        return
    values = Variables({setting.variable.replace("<NAME>", "EDGE"): "1"}, Settings)()
    for name in setting.path.replace("<name>", "edge").split("."):
        assert name in values, setting.variable
        values = values[name]
