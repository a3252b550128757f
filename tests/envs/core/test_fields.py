"""State declarations: one line per array makes struct, tensors and documentation."""

import pytest
import warp as wp

from dispatchgym.envs.core.engine import TORCH
from dispatchgym.envs.core.fields import COMMON, DTYPES, Field, struct
from dispatchgym.envs.core.registry import families


def test_axes_and_options():
    assert Field("start", "env job operation", "").shape == ("env", "job", "operation")
    assert Field("delta", "", "").is_option and not Field("seed", "one", "").is_option
    assert Field("delta", "", "").shape == ()


def test_a_struct_has_the_fields_in_order():
    fields = (Field("width", "", ""), Field("load", "env machine", "", "float32"), Field("mask", "env", "", "int8"))
    made = struct("Small", __name__, fields)()
    made.width = 3
    made.load = wp.zeros((2, 3), dtype=wp.float32, device="cpu")
    made.mask = wp.zeros(2, dtype=wp.int8, device="cpu")
    assert (made.width, made.load.shape, made.mask.dtype) == (3, (2, 3), wp.int8)
    with pytest.raises(TypeError, match="load"):
        made.load = wp.zeros((2, 3), dtype=wp.int32, device="cpu")


def test_every_dtype_has_a_tensor():
    assert DTYPES.keys() == TORCH.keys()


@pytest.mark.parametrize("entry", families(), ids=lambda entry: entry.name)
def test_every_field_of_every_family_is_documented_once(entry):
    (fields,) = {program.fields for program in entry.room("model").PROGRAMS.values()}
    names = [field.name for field in fields]
    assert len(set(names)) == len(names) and fields[: len(COMMON)] == COMMON
    assert all(field.doc and field.dtype in DTYPES for field in fields)
    assert {field.shape[0] for field in fields if field.shape} <= {"env", "bank", "one", "quantile"}
    # state is integer; floats are for what is seen and for the reward
    floats = {field.name for field in fields if field.dtype == "float32" and field.shape[0] == "env"}
    observed = {"work", "resource", "context", "assignment_attr", "candidate_attr", "precedence_attr"}
    assert floats <= observed | {"reward"}
