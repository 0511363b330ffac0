"""Memory shared by the tests of kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]


@pytest.fixture(scope="session")
def noise() -> Array:
    return np.random.default_rng(5).integers(0, 256, 8 << 20, dtype=np.uint8)
