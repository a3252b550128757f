"""What all observations write their features with."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.features import clip
from dispatchgym.envs.core.twin import twin

numbers = st.floats(-1e6, 1e6, width=32)


@given(numbers, numbers, numbers)
def test_numbers_are_brought_within_bounds(x, low, high):
    low, high = sorted([low, high])
    found = twin(clip)(np.float32(x), np.float32(low), np.float32(high))
    assert found.dtype == np.float32 and found == np.clip(np.float32(x), np.float32(low), np.float32(high))
