"""Seeds of what is random."""

import numpy as np
import pytest

from oneiro import ArgumentError
from oneiro.seed import seeded


def test_a_seed_decides_the_numbers() -> None:
    same = [seeded(5).normal(size=3) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert (seeded(2**32 - 1).normal(size=3) != same[0]).all()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_what_is_no_seed(seed: int) -> None:
    with pytest.raises(ArgumentError, match=f"seed is {seed}: it must lie in 0..4294967295"):
        seeded(seed)
