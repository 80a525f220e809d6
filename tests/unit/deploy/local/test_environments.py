"""Environments: their names, and that only a finished one is taken for one."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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
    ensure,
    environment_folder,
    explain,
    is_complete,
    steps,
)

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


def test_a_failed_installation_leaves_no_environment(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_a_copy(lock: Path, folder: Path) -> list[tuple[str, list[str], bool]]:
        (first, _, required), *others = steps(lock, folder)
        return [(first, ["cp", "-a", str(made.folder), str(folder)], required), *others]

    # Making an empty environment takes far longer than copying one.
    monkeypatch.setattr(environments, "steps", from_a_copy)
    locks = write_lock(tmp_path / "locks", "not a requirement")
    with pytest.raises(EnvironmentFailure) as failed:
        ensure("tiny", locks, tmp_path / "cache")
    assert "\n" not in str(failed.value)
    folder = environment_folder("tiny", (locks / "tiny.txt").read_bytes(), tmp_path / "cache")
    assert not folder.exists()
    assert folder.with_suffix(".log").read_text()


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
    (pip,) = [
        command for _, command, _ in steps(LOCKS / "tools.txt", Path("x")) if "pip" in command
    ]
    assert {"--require-hashes", "--no-deps"} <= set(pip)


def test_the_engine_lock_leaves_out_what_does_not_fit_its_torch() -> None:
    packages = locked_packages((LOCKS / "engine.txt").read_text())
    pins = [package.pin for package in packages if package.key.startswith("torch")]
    assert len(pins) == 1
    assert pins[0].endswith("+cpu")
