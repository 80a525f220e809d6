from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.settings import own_settings
from tierflow.command_line import COMMANDS, main
from tierflow.local import device_model

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


@pytest.mark.parametrize("command", ["ask x", "status", "admin keys list", "calibrate ask"])
@pytest.mark.parametrize("address", ["localhost:8080", "ftp://host", "http://host:99999"])
def test_an_address_that_is_none_is_one_line_at_every_command(
    command: str,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TIERFLOW_URL", address)
    assert main(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "TIERFLOW_URL: expected http://host:port" in line


def test_the_state_of_another_machine_is_not_told_as_this_one_s(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIERFLOW_URL", "https://gateway.example")
    assert main(["status"]) == 2
    assert "instances of this machine" in capsys.readouterr().err


def test_the_operator_s_token_of_this_machine_goes_to_no_other_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TIERFLOW_ADMIN_TOKEN", raising=False)
    monkeypatch.setenv("TIERFLOW_STATE", str(tmp_path))
    own = tmp_path / "tierflow" / "8080"
    own.mkdir(parents=True)
    (own / "admin.token").write_text("hidden-one")
    assert main(["admin", "keys", "list", "--url", "http://127.0.0.1:1"]) == 2
    assert "no admin token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ask hi --max-tokens x", "tierflow ask: --max-tokens x: must be a whole number"),
        ("logs -n x", "tierflow logs: --lines x: must be a whole number"),
        ("logs gateway -follow", "tierflow logs: -follow is unknown; did you mean --follow?"),
        ("ask hi --url", "tierflow ask: --url: needs a value"),
        ("ask", "tierflow ask: give question"),
        ("settings --yaml --json", "--json and --yaml exclude each other"),
        ("ask --model x is 6 --model y or 7", "quote a text of several words"),
        ("preflight --timeout abc", "tierflow preflight: --timeout abc: must be a number"),
    ],
)
def test_a_wrong_line_is_told_in_plain_words(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(*words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line and "argument" not in line


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused("--version") == 0
    assert capsys.readouterr().out.startswith("tierflow 0.")


def test_a_device_s_model_is_looked_for_before_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIERFLOW_STATE", str(tmp_path))
    assert main(["device", "--model", "/nope"]) == 2
    assert capsys.readouterr().err == "tierflow device: --model /nope: no such folder\n"


@pytest.mark.parametrize("text", ["owner/name", "services/model_family/weights/rill-edge", "own"])
def test_a_device_s_model_is_the_same_to_the_device_and_to_up(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIERFLOW_DEVICE_MODEL", text)
    # Both members of this name would be one too many.
    monkeypatch.setenv("TIERFLOW_EDGE_MODEL", "other/edge")
    to_up = own_settings().device_model
    assert to_up is not None and str(device_model()) == to_up.source
