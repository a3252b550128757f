"""The flexible job shop instance refuses nonsense, and its text format round-trips."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.core.instance import Instance
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance, format, parse, read
from dispatchgym.envs.flexible_job_shop.reader import MAX_CELLS, MAX_TIME

TIMES = [[[3, -1, 5], [4, 4, 0]], [[-1, 7, -1], [-1, -1, -1]]]
TEXT = "2 3 2\n2 2 1 3 3 5 3 1 4 2 4 3 0\n1 1 2 7\n"


def small(**changes) -> FlexibleJobShopInstance:
    return FlexibleJobShopInstance(**({"name": "small", "duration": TIMES} | changes))


class TestInstance:
    def test_properties(self):
        shop = small(release=[7, 0])
        assert isinstance(shop, Instance) and shop.objective == "makespan"
        assert (shop.jobs, shop.machines, shop.route, shop.size) == (2, 3, 2, "2x3")
        assert shop.operations.tolist() == [2, 1] and shop.alternatives.tolist() == [[2, 3], [1, 0]]
        assert shop.shortest.tolist() == [[3, 0], [7, 0]] and shop.longest_work == 5 + 4 + 7
        assert np.allclose(shop.mean, [[4, 8 / 3], [7, 0]])
        assert shop.release.tolist() == [7, 0] and small().release.tolist() == [0, 0]
        assert shop.duration.dtype == shop.release.dtype == np.int32

    def test_arrays_are_read_only_copies(self):
        times = np.array(TIMES)
        shop = small(duration=times)
        times[0, 0, 0] = 99
        assert shop.duration[0, 0, 0] == 3
        for array in (shop.duration, shop.release, shop.operations, shop.alternatives, shop.shortest, shop.mean):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1

    def test_columns_that_pad_every_job_are_dropped(self):
        wide = np.full((2, 5, 3), -1)
        wide[:, :2] = TIMES
        assert small(duration=wide).duration.shape == (2, 2, 3) and small(duration=wide).digest == small().digest

    def test_digest_depends_on_every_number_and_not_on_the_name(self):
        digest = small().digest
        assert re.fullmatch("[0-9a-f]{16}", digest) and small(name="other").digest == digest
        changed = np.array(TIMES)
        changed[0, 0, 0] = 4
        more = np.append(TIMES, np.full((2, 2, 1), -1), axis=2)
        others = [small(duration=changed), small(release=[0, 1]), small(duration=more)]
        assert len({digest, *(shop.digest for shop in others)}) == 4

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"duration": [[[3, -2]]]}, "job 0, operation 0: time -2 on machine 1 is not 0 to"),
            ({"duration": [[[3]], [[MAX_TIME + 1]]]}, "job 1, operation 0: time .* on machine 0"),
            ({"duration": [[[3]], [[-1]]]}, "job 1, operation 0 can run on no machine"),
            ({"duration": [[[3], [-1], [4]]]}, "job 0, operation 1 can run on no machine, but the one after"),
            ({"duration": [[[3]], [[MAX_TIME - 3]]]}, "job 1: the longest times .* sum to"),
            ({"release": [0, -1]}, "job 1: release -1"),
            ({"release": [0, MAX_TIME - 16]}, "job 1: the longest times and the latest release"),
            ({"release": [0]}, "1 releases for 2 jobs"),
            ({"release": [0.5, 1]}, "release must hold .* got float64"),
            ({"duration": [[3]]}, "duration must hold .* 3 dimensions"),
            ({"duration": [[[3], [4, 5]]]}, "duration is not a rectangular array"),
            ({"duration": [[[True]]]}, "duration must hold .* got bool"),
            ({"duration": np.zeros((1, 0, 2), int)}, "duration must hold"),
            ({"duration": np.broadcast_to(np.int8(0), (2, MAX_CELLS, 1))}, "duration must hold"),
            ({"duration": np.full((1, 1, 1), 2**64 - 1, np.uint64)}, "time 4611686018427387904"),
            ({"name": ""}, "a name is"),
            ({"name": "a\nb"}, "a name is"),
        ],
    )
    def test_nonsense_is_refused(self, changes, message):
        with pytest.raises(InstanceError, match=message):
            small(**changes)

    def test_the_largest_total_is_accepted(self):
        assert small(duration=[[[3, 1]], [[MAX_TIME - 4, 0]]]).longest_work == MAX_TIME - 1


class TestFormat:
    def test_pairs_become_times(self):
        shop = parse(TEXT, "folder/two.fjs")
        assert shop.duration.tolist() == TIMES and shop.name == "two" and shop.digest == small().digest
        assert parse(TEXT.replace("2 3 2", "2 3"), name="mine").name == "mine"

    def test_machines_may_be_numbered_from_0(self):
        shifted = "2 3\n2 2 0 3 2 5 3 0 4 1 4 2 0\n1 1 1 7\n"
        assert parse(shifted).digest == small().digest
        # neither 0 nor 3 appears: the first machine is 1
        assert parse("1 3\n1 2 1 5 2 6\n").duration.tolist() == [[[5, 6, -1]]]

    def test_the_order_of_alternatives_does_not_matter(self):
        assert parse(TEXT.replace("2 1 3 3 5 3", "2 3 5 1 3 3")).digest == small().digest

    def test_releases_comments_and_line_endings(self):
        text = "# a shop\n\n" + TEXT + "release 4 0\n# the end\n"
        for form in (text, text.replace("\n", "\r\n"), "\ufeff" + text.replace(" ", "\t")):
            assert parse(form).digest == small(release=[4, 0]).digest

    @given(st.integers(0, 2**32 - 1))
    def test_every_instance_round_trips(self, random_flexible_shop, seed):
        shop = random_flexible_shop(np.random.default_rng(seed))
        assert parse(format(shop)).digest == shop.digest

    def test_files_are_named_after_themselves(self, tmp_path):
        path = tmp_path / "mine.fjs"
        path.write_text(TEXT)
        assert read(path).name == "mine" and read(path).digest == small().digest
        with pytest.raises(InstanceError, match="no such file"):
            read(tmp_path / "other.fjs")
