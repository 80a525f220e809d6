import pytest

from services.engine_simulator.settings import parse_arguments


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ([], "--model"),
        (["--model", "m", "--speed", "9"], "--speed"),
        (["--model", "m", "--port", "http"], "--port"),
        (["--model", "m", "--port", "70000"], "--port"),
        (["--model", "m", "--decode-tokens-per-s", "0"], "--decode-tokens-per-s"),
        (["--model", "m", "--decode-tokens-per-s", "nan"], "--decode-tokens-per-s"),
        (["--model", "m", "--max-num-seqs", "1.5"], "--max-num-seqs"),
        (["--model", "m", "--fault", "explode"], "explode"),
        (["--model", "m", "--fault", "refuse@many"], "refuse@many"),
        (["--model", "m", "--fault", "hang_after_tokens=-1"], "hang_after_tokens"),
    ],
)
def test_a_wrong_flag_ends_in_one_line_that_names_it(
    flags: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_arguments(flags)
    assert exit_.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert named in message


def test_flags_become_settings() -> None:
    settings = parse_arguments(
        ["--model", "m", "--port", "0", "--decode-tokens-per-s", "12.5", "--max-num-seqs", "3",
         "--fault", "hang-after-tokens=4@2"]
    )  # fmt: skip
    assert (settings.model, settings.port) == ("m", 0)
    assert (settings.rates.decode_tokens_per_s, settings.rates.max_num_seqs) == (12.5, 3)
    assert settings.faults.describe() == {"hang_after_tokens": {"value": 4, "requests": 2}}
