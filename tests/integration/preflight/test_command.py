"""The command as it is typed: exit codes, and one line for what can't be used."""

from __future__ import annotations

import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import yaml

from k8s.preflight.__main__ import main
from tests.integration.preflight.cluster import kubeconfig, manifests
from tests.servers import CHECKOUT
from tests.stand_in import StandIn

pytestmark = pytest.mark.integration


def run(*arguments: str) -> tuple[int, str, str]:
    """The command within this process, which has imported already what it needs."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        redirect_stdout(StringIO()) as output,
        redirect_stderr(StringIO()) as errors,
    ):
        for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", "/nonexistent")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        code = main(arguments)
    return code, output.getvalue(), errors.getvalue()


def typed(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """The command as it is typed."""
    done = subprocess.run(
        [sys.executable, "-m", "k8s.preflight", *arguments],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def rendered(registry: StandIn, tmp_path: Path) -> str:
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(manifests(registry)))
    return str(file)


def test_the_table_is_printed_and_the_kubeconfig_found_by_its_variable(
    api: StandIn, rendered: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(yaml.safe_dump(kubeconfig(api.url)))
    code, table, errors = typed("--manifests", rendered, environment={"KUBECONFIG": str(config)})
    assert (code, errors) == (0, "")
    heading, first, *_ = table.splitlines()
    assert heading.split()[:3] == ["CHECK", "RESULT", "FOUND"]
    assert first.split() == ["API", "server", "ok", api.url]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, (), "kubeconfig"),
        ("{", (), "kubeconfig"),
        ("just words", (), "kubeconfig"),
        (yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), ("--context", "other"), "other"),
        (yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), ("--timeout", "0"), "--timeout"),
        (yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), ("--timeout", "inf"), "--timeout"),
        (yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), ("--timeout", "1e99"), "--timeout"),
        (yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), ("--timeout", "nan"), "--timeout"),
        (yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), ("--values", "x.yaml"), "--values"),
        (yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), ("--set", "a=1"), "--set"),
        (yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), ("-n", "Bad_NS"), "Bad_NS"),
    ],
)
def test_what_can_not_be_used_gives_code_2_and_one_line(
    rendered: str, tmp_path: Path, content: str | None, arguments: tuple[str, ...], words: str
) -> None:
    config = tmp_path / "config"
    if content is not None:
        config.write_text(content)
    code, table, errors = run("--manifests", rendered, "--kubeconfig", str(config), *arguments)
    assert (code, table) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith("preflight: ")
    assert words in line


def test_an_unknown_option_gives_code_2(rendered: str) -> None:
    code, _, errors = typed("--manifests", rendered, "--colour")
    assert code == 2
    assert "--colour" in errors
    assert "Traceback" not in errors


SECRET = "s3cret"


def with_user(server: str, **user: object) -> str:
    return yaml.safe_dump({**kubeconfig(server), "users": [{"name": "me", "user": user}]})


@pytest.mark.parametrize("token", [f"{SECRET}\ntoken", f"{SECRET}\u2026", f"{SECRET} token", " \n"])
def test_a_token_that_can_not_be_sent_gives_one_line_that_does_not_show_it(
    rendered: str, tmp_path: Path, token: str
) -> None:
    config = tmp_path / "config"
    config.write_text(with_user("http://127.0.0.1:1", token=token))
    code, table, errors = run("--manifests", rendered, "--kubeconfig", str(config))
    assert (code, table) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith(f"preflight: kubeconfig {config}: the token is no good")
    assert SECRET not in errors


def test_white_space_around_a_token_is_not_sent(
    api: StandIn, rendered: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(with_user(api.url, token=f" {SECRET}\n"))
    code, _, errors = run("--manifests", rendered, "--kubeconfig", str(config))
    assert (code, errors) == (0, "")
    assert {request.headers["authorization"] for request in api.requests} == {f"Bearer {SECRET}"}


def test_a_credential_plugin_that_is_missing_gives_one_line(rendered: str, tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}
    config = tmp_path / "config"
    config.write_text(with_user("http://127.0.0.1:1", exec=plugin))
    code, table, errors = run("--manifests", rendered, "--kubeconfig", str(config))
    assert (code, table) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith("preflight: kubeconfig") and "no-such-plugin" in line


@pytest.mark.parametrize("amount", ["lots", "-1", "NaN", "1e999", True])
def test_a_request_that_is_no_quantity_gives_one_line_that_names_the_field(
    registry: StandIn, tmp_path: Path, amount: object
) -> None:
    objects = manifests(registry)
    container = objects[0]["spec"]["template"]["spec"]["containers"][0]
    container["resources"]["requests"]["cpu"] = amount
    file, config = tmp_path / "rendered.yaml", tmp_path / "config"
    file.write_text(yaml.safe_dump_all(objects))
    config.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1")))
    code, table, errors = run("--manifests", str(file), "--kubeconfig", str(config))
    assert (code, table) == (2, "")
    (line,) = errors.splitlines()
    assert line == (
        "preflight: Deployment/edge: container engine: resources.requests.cpu: "
        f"{str(amount)!r} is no quantity; write it as 500m or 2Gi"
    )
