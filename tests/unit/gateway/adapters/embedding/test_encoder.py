"""The encoder's 8-bit weights, and the products that they go through."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.adapters.embedding import runtime
from gateway.adapters.embedding.encoder import Encoder
from gateway.adapters.embedding.files import find_files
from gateway.adapters.embedding.quantization import LARGEST, quantise, widest_units

IDS = [101, 2054, 2003, 2459, 2335, 2603, 1029, 102]


def test_weights_come_back_to_half_a_step() -> None:
    matrix = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    integers, scales = quantise(matrix)
    assert integers.shape == (7, 5) and np.abs(integers).max() == LARGEST
    assert np.all(np.abs(integers.T * scales[:, None] - matrix) <= scales[:, None] * 0.5001)


def test_an_output_without_weights_stays_zero() -> None:
    matrix = np.zeros((2, 3), np.float32)
    matrix[1] = 1
    integers, scales = quantise(matrix)
    assert (integers.T * scales[:, None]).tolist() == [[0, 0, 0], [1, 1, 1]]


def test_the_units_that_all_norms_amplify_most_are_apart() -> None:
    gains = [np.array([1, -5, 2, 0], np.float32), np.array([1, 0, 2, 3.5], np.float32)]
    assert widest_units(gains, 2).tolist() == [1, 2]


def test_exact_products_do_not_saturate() -> None:
    assert not runtime.saturates(exact=True)


def test_exact_products_give_the_vectors_of_fast_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CPUs whose fast ones are right; on others both are exact."""
    file = find_files().weights
    vector = Encoder(file).embed(IDS)
    monkeypatch.setattr(runtime, "saturates", lambda exact: True)
    assert Encoder(file).embed(IDS) @ vector == pytest.approx(1.0, abs=1e-4)
