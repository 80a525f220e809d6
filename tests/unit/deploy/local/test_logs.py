"""The lines that are shown of the log of a part that ended."""

from pathlib import Path

from deploy.local.logs import LAST_LINES, causes

CORE = "(EngineCore pid=7) ERROR 01-31 10:00:00 [core.py:1510]"


def shown(tmp_path: Path, *lines: str) -> list[str]:
    log = tmp_path / "edge.log"
    log.write_text("\n".join(lines))
    return causes(log)


def test_causes_are_shown_once_and_first_cause_first(tmp_path: Path) -> None:
    assert shown(
        tmp_path,
        "(APIServer pid=6) WARNING 01-31 10:00:00 [a.py:1] may cause `OSError: [Errno 24]`",
        f"{CORE} Traceback (most recent call last):",
        f"{CORE} ValueError: no memory for a single token",
        "ValueError: no memory for a single token",
        "RuntimeError: Engine core initialization failed.",
        "a library says good-bye",
    ) == [
        "ValueError: no memory for a single token",
        "RuntimeError: Engine core initialization failed.",
    ]


def test_a_refused_value_is_shown_with_its_reason(tmp_path: Path) -> None:
    assert shown(
        tmp_path,
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, max_model_len is too large",
    )[1:] == ["Value error, max_model_len is too large"]


def test_without_a_named_error_the_end_is_shown(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(40)]
    assert shown(tmp_path, *lines) == lines[-LAST_LINES:]


def test_a_log_that_does_not_exist_has_no_lines(tmp_path: Path) -> None:
    assert causes(tmp_path / "absent") == []
