"""Environments: their names, and that only a finished one is taken for one."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.images.locked import locked_packages
from deploy.local import environments
from deploy.local.environments import (
    LOCKS,
    MARKER,
    EnvironmentFailure,
    cache_root,
    chosen_requirements,
    ensure,
    environment_folder,
    is_complete,
    pip_install,
    uv_install,
)
from deploy.local.installation import package_index, system_packages
from deploy.local.installation.package_index import IndexUnreachable, check_indexes, silent_hosts
from deploy.local.installation.steps import explain

LOCK_NAMES = sorted(lock.stem for lock in LOCKS.glob("*.txt"))
SCRIPT = LOCKS.parent / "local" / "environments.py"


def write_lock(folder: Path, *packages: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "tiny.txt").write_text("# nothing to fetch\n" + "".join(f"{p}\n" for p in packages))
    return folder


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_name_stands_for_the_content_of_a_lock_file(one: bytes, other: bytes) -> None:
    root = Path("cache")
    names = {environment_folder("gateway", lock, root).name for lock in (one, other)}
    assert (len(names) == 1) == (one == other)
    assert all(len(name.removeprefix("gateway-")) == 12 for name in names)


@dataclass(frozen=True)
class Made:
    """An environment that two processes asked for at once, over what an interrupted one left."""

    locks: Path
    cache: Path
    folder: Path
    codes: list[int]
    outputs: list[str]
    errors: list[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("environments")
    locks, cache = write_lock(place / "locks"), place / "cache"
    folder = environment_folder("tiny", (locks / "tiny.txt").read_bytes(), cache)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("broken")
    (folder / "leftover").write_text("of an interrupted installation")
    call = (
        "import sys; from pathlib import Path; from deploy.local.environments import ensure;"
        f"print(ensure('tiny', Path({str(locks)!r}), Path({str(cache)!r})))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", call],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=SCRIPT.parent.parent.parent,
        )
        for _ in range(2)
    ]
    written = [process.communicate() for process in both]
    return Made(
        locks=locks,
        cache=cache,
        folder=folder,
        codes=[process.returncode for process in both],
        outputs=[output for output, _ in written],
        errors=[errors for _, errors in written],
    )


def test_an_environment_is_made_once(made: Made) -> None:
    python = made.folder / "bin" / "python"
    shown = subprocess.run(
        [python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert Path(shown.stdout.strip()) == made.folder
    before = python.stat().st_ctime_ns, (made.folder / MARKER).stat().st_ino
    assert ensure("tiny", made.locks, made.cache) == python
    assert (python.stat().st_ctime_ns, (made.folder / MARKER).stat().st_ino) == before


def test_a_half_made_environment_is_made_again(made: Made) -> None:
    assert is_complete(made.folder)
    assert (made.folder / "bin" / "python").read_bytes() != b"broken"
    assert not (made.folder / "leftover").exists()


def test_two_callers_at_once_get_one_environment(made: Made) -> None:
    assert made.codes == [0, 0]
    assert made.outputs == [f"{made.folder / 'bin' / 'python'}\n"] * 2
    assert sum("is ready, after" in errors for errors in made.errors) == 1


UNREACHED = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://someone:hunter2@127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
}
SIX = f"six==1.17.0 --hash=sha256:{64 * '0'}"


@pytest.fixture
def emptied(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty environments are copies: making one takes far longer. No index is reached."""
    copy = ["cp", "-a", str(made.folder)]
    monkeypatch.setattr(environments, "empty_environment", lambda folder: [*copy, str(folder)])
    for name, value in UNREACHED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("emptied")
def test_an_index_that_can_not_be_reached_is_told_at_once_and_leaves_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[str], float | None]] = []
    run = subprocess.run

    def seen(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append((command, options.get("timeout")))
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", seen)
    locks = write_lock(tmp_path / "locks", SIX)
    with pytest.raises(EnvironmentFailure) as failed:
        ensure("tiny", locks, tmp_path / "cache")
    assert str(failed.value).startswith(
        "the Python package index at 127.0.0.1 can't be reached: check the network"
    )
    assert "hunter2" not in str(failed.value) and "\n" not in str(failed.value)
    folder = environment_folder("tiny", (locks / "tiny.txt").read_bytes(), tmp_path / "cache")
    assert not folder.exists()
    assert folder.with_suffix(".log").exists()
    [(command, timeout)] = asked
    assert timeout is not None and timeout <= 30, "whatever the index does"
    assert command[-4:] == ["--retries", "1", "--timeout", "6"]


def test_an_index_that_never_answers_is_given_up_after_half_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang(command: list[str], **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(IndexUnreachable, match="has not answered for 27 s: check the network"):
        check_indexes("python", "six")


def test_hosts_that_failed_are_named_once_without_passwords() -> None:
    log = (
        "Could not fetch URL https://a:****@one.example/simple/six/: connection error: x\n"
        "Could not fetch URL https://two.example/simple/six/: There was a problem confirming the "
        "ssl certificate: x - skipping\n"
        "Could not fetch URL https://one.example/simple/pip/: connection error: x - skipping\n"
        "Could not fetch URL https://three.example/simple/six/: 404 Client Error - skipping\n"
    )
    assert silent_hosts(log) == ["one.example", "two.example"]


def test_everything_that_the_system_lacks_is_named_with_its_command_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = {"python3.11-venv": "makes Python environments", "libnuma1": "has libnuma.so.1"}
    monkeypatch.setattr(environments, "missing_packages", lambda names: lacking)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system_packages, "PACKAGE_LISTS", tmp_path)
    locks = write_lock(tmp_path / "locks", SIX)
    install = "sudo apt-get install -y python3.11-venv libnuma1"
    for before in ("sudo apt-get update; ", ""):
        with pytest.raises(EnvironmentFailure) as failed:
            ensure("tiny", locks, tmp_path / "cache", then=["engine"])
        assert str(failed.value) == (
            "2 system packages are missing: python3.11-venv (makes Python environments), libnuma1 "
            f"(has libnuma.so.1); install with: {before}{install}"
        )
        assert list((tmp_path / "cache").iterdir()) == []
        (tmp_path / "deb.debian.org_main_binary-amd64_Packages.lz4").touch()


def test_what_engines_need_of_the_system_is_looked_for_where_they_come_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(system_packages, "LIBRARIES", {"libnone.so.1": "libnone1"})
    assert "libnone1" in system_packages.missing_packages({"gateway", "engine"})
    assert "libnone1" not in system_packages.missing_packages({"gateway"})


def engine_locks(folder: Path) -> Path:
    write_lock(folder)
    (folder / "engine.txt").write_text(f"torch==2.0+cpu --hash=sha256:{64 * '1'}\n{SIX}\n")
    default = [f"torch==2.0 --hash=sha256:{64 * '2'}", f"nvidia-x==1 --hash=sha256:{64 * '3'}"]
    (folder / "default-torch.txt").write_text("\n".join(default) + "\n")
    return folder


def test_torchs_cpu_build_is_taken_where_pip_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "has_files", lambda python, package: True)
    lock = engine_locks(tmp_path / "locks") / "engine.txt"
    assert chosen_requirements(lock, tmp_path) == lock


def test_elsewhere_its_default_build_is_taken_and_one_line_says_what_that_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environments, "has_files", lambda python, package: False)
    lock = engine_locks(tmp_path / "locks") / "engine.txt"
    packages = locked_packages(chosen_requirements(lock, tmp_path).read_text())
    assert [package.pin for package in packages] == ["six==1.17.0", "torch==2.0", "nvidia-x==1"]
    assert all(package.hashes for package in packages)
    [line] = capsys.readouterr().err.splitlines()
    assert "torch==2.0+cpu" in line and "GB more to download and" in line


def test_the_default_torch_is_of_the_engines_version() -> None:
    pins = {
        name: next(p.version for p in locked_packages(text) if p.key == "torch")
        for name in ("engine", "default-torch")
        if (text := (LOCKS / f"{name}.txt").read_text())
    }
    assert pins["engine"] == f"{pins['default-torch']}+cpu"


def test_uv_checks_hashes_and_asks_the_indexes_that_pip_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = (
        "global.index-url='https://a:hunter2@one.example/simple'\n"
        ":env:.extra-index-url='https://two.example/simple file:///three'\n"
        "global.find-links='/wheels'\nglobal.cert='/ca.pem'\nuser.timeout='60'\n"
    )
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    environ = package_index.translated(listed, {"PATH": "/bin"})
    monkeypatch.setattr(environments, "uv_environment", lambda python: environ)
    installed = uv_install("python", Path("lock.txt"))
    assert installed is not None
    command, given = installed
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(command)
    assert not any("hunter2" in word for word in command), "a process list shows no password"
    assert given == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://a:hunter2@one.example/simple",
        "UV_INDEX": "https://two.example/simple file:///three",
        "UV_FIND_LINKS": "/wheels",
        "SSL_CERT_FILE": "/ca.pem",
        "PATH": "/bin",
    }


def test_uv_is_left_out_where_it_is_not_there_or_pip_is_told_what_it_can_not_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert package_index.translated("global.no-index='true'\n", {}) is None
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert uv_install("python", Path("lock.txt")) is None


def test_a_lock_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match=r"none\.txt is missing"):
        ensure("none", tmp_path, tmp_path)


def test_the_cache_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIERFLOW_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "tierflow"
    monkeypatch.setenv("TIERFLOW_CACHE", str(tmp_path / "chosen"))
    assert cache_root() == tmp_path / "chosen"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("ERROR: [Errno 28] No space left on device\n", "the disk is full"),
        ("WARNING: Retrying: NewConnectionError: Errno -3\n", "can't be reached"),
        (
            "ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu "
            "(from versions: 2.12.0)\n",
            "no index has torch==2.13.0+cpu: add PyTorch's CPU wheel index as an extra index "
            "(PIP_EXTRA_INDEX_URL)",
        ),
        ("ERROR: No matching distribution found for yarl==9\n", "no index has a wheel of yarl==9"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n"
            "    six==1.17.0 from file:///six.whl#sha256=47 (from -r six.txt (line 1)):\n"
            "        Expected sha256 92\n             Got        47\n",
            "the index gives other bytes for six==1.17.0 than the lock's hashes say",
        ),
        ("something\nERROR: odd\n\n", "the installation failed: ERROR: odd"),
        ("", "the installation failed: no output"),
    ],
)
def test_a_failure_is_explained_in_one_line(log: str, reason: str) -> None:
    assert reason in explain(log)
    assert "\n" not in explain(log)


@pytest.mark.parametrize("name", LOCK_NAMES)
def test_a_lock_file_pins_every_package_once_with_its_hashes_and_names_no_place(name: str) -> None:
    text = (LOCKS / f"{name}.txt").read_text()
    packages = locked_packages(text)
    keys = [package.key for package in packages]
    assert len(keys) == len(set(keys))
    assert [package.name for package in packages if not package.hashes] == []
    assert not re.search(r"^[^#]*[@/]", text, re.MULTILINE)


def test_an_environment_is_installed_by_hashes_alone() -> None:
    assert {"--require-hashes", "--no-deps"} <= set(pip_install("python", LOCKS / "tools.txt"))


def test_the_engine_lock_leaves_out_what_does_not_fit_its_torch() -> None:
    packages = locked_packages((LOCKS / "engine.txt").read_text())
    pins = [package.pin for package in packages if package.key.startswith("torch")]
    assert len(pins) == 1
    assert pins[0].endswith("+cpu")


def test_a_misspelt_variable_is_told_of_before_anything_is_installed(tmp_path: Path) -> None:
    environ = {**os.environ, "TIERFLOW_CACHE": str(tmp_path), "TIERFLOW_EDGE_MODLE": "x"}
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "gateway"], env=environ, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "tierflow: TIERFLOW_EDGE_MODLE is no variable of Tierflow; did you mean "
        "TIERFLOW_EDGE_MODEL?\n"
    )
    assert list(tmp_path.iterdir()) == []
