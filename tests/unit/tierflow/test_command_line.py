from __future__ import annotations

import pytest

from tierflow.command_line import COMMANDS, main

NAMES = [command.name for command in COMMANDS]


def refused(*words: str) -> int:
    """The exit code of a command line that ends in the parser."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_without_a_command_the_help_lists_all_and_the_exit_code_is_that_of_a_wrong_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert [name for name in NAMES if f"    {name} " not in shown.replace("\n", " ")] == []
    assert "exit codes:" in shown


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(name, "--help") == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown and f"tierflow {name}" in shown.split("examples:")[1]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["stauts"], "status"),
        (["devcie"], "device"),
        (["ask", "--modle", "x", "question"], "--model"),
        (["logs", "--folow"], "--follow"),
        (["admin", "keys", "mkae", "a"], "make"),
        (["admin", "keys", "make", "a", "--tokens-per-dya", "5"], "--tokens-per-day"),
        (["device", "--dratfer", "onnx"], "--drafter"),
        (["preflight", "--namespcae", "x"], "--namespace"),
        (["calibrate", "ask", "--ouput", "x"], "--output"),
        (["completion", "bsah"], "bash"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest_right_one(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"did you mean {meant}?" in line
    assert line.endswith("--help")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["status", "--jsno"], "tierflow status"),
        (["admin", "keys", "make", "a", "--modles", "x"], "tierflow admin keys make"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_help_of_its_command(
    words: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(*words) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"{command}: ") and line.endswith(f"see {command} --help\n")


@pytest.mark.parametrize("command", ["up", "status", "ask x", "device", "admin keys list", "load"])
@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("TIERFLOW_PORT", "TIERFLOW_PORT=eighty: "),
        ("TIERFLOW_PRT", "TIERFLOW_PORT"),
    ],
)
def test_a_wrong_variable_is_one_line_at_every_command(
    command: str,
    variable: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, "eighty")
    assert main(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_device_s_model_has_to_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "--gateway", "", "--model", "/nope"]) == 2
    assert capsys.readouterr().err == "tierflow device: --model /nope: no such folder\n"


def test_an_option_is_not_guessed_from_its_beginning() -> None:
    assert refused("logs", "--follo") == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_lines_that_complete(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "tierflow" in capsys.readouterr().out
