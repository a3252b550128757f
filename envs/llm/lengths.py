"""How long prompts and answers are: tables of quantiles of published traces.

Of Azure's traces (Patel et al. 2024, "Splitwise"; data CC-BY, github.com/Azure/AzurePublicDataset, November 2023) the
tables are quantiles of the rows themselves; the one prompt of the conversations with more than 8000 tokens is left
out. Of arXiv summarisation (Cohan et al. 2018) and Mooncake's conversations (Qin et al. 2024) they go through eight
quantiles each, linear in the logarithm between them, so that only these are the traces' own.

Prompts and answers are drawn independently; in the traces their rank correlation is 0.07 (conversation) and -0.02
(code).
"""

from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np

from ..core.errors import UnknownNameError

# Where the tables stand: every 128th, and halves of what is left at the top, where the long ones are.
LEVELS = np.concatenate([np.arange(128) / 128, 1 - 0.5 ** np.arange(8, 13), [1.0]])
QUOTED = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0])
GRID = 2**14  # points at which moments are taken


@dataclass(frozen=True, eq=False)
class Lengths:
    """A distribution of prompts and answers, independent of each other.

    Attributes:
        name: what it is called.
        prompt: (levels,) tokens of the prompt at ``LEVELS``.
        output: (levels,) tokens of the answer at ``LEVELS``.
    """

    name: str
    prompt: np.ndarray = field(repr=False)
    output: np.ndarray = field(repr=False)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Prompts and answers of requests, both (count,) int64; prompts are drawn first."""
        return quantiles(self.prompt, rng.random(count)), self.draw_outputs(rng, count)

    def draw_outputs(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Answers alone, (count,) int64."""
        return quantiles(self.output, rng.random(count))

    @cached_property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Prompts and answers at the middles of ``GRID`` equal shares, from which means are taken."""
        middles = (np.arange(GRID) + 0.5) / GRID
        return quantiles(self.prompt, middles), quantiles(self.output, middles)


def quantiles(table: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Tokens at shares from 0 to 1, whole ones, linear between ``LEVELS``."""
    return np.rint(np.interp(share, LEVELS, table)).astype(np.int64)


def lengths(name: str) -> Lengths:
    """The distribution of a name.

    Raises:
        UnknownNameError: if there is none, listing the known ones.
    """
    if name not in NAMES:
        raise UnknownNameError("distribution of lengths", name, NAMES)
    return _lengths(name)


@cache
def _lengths(name: str) -> Lengths:
    if name in _TABLES:
        return Lengths(name, *(np.array(table, dtype=float) for table in _TABLES[name]))
    tables = (np.exp(np.interp(LEVELS, QUOTED, np.log(quoted))) for quoted in _QUANTILES[name])
    return Lengths(name, *(np.rint(table) for table in tables))


# Prompts, then answers, at the levels of QUOTED.
_QUANTILES = {
    "summarisation": ((1, 1242, 1986, 2730, 3370, 3702, 3933, 4054), (5, 78, 115, 167, 242, 372, 3271, 4056)),
    "mooncake": (
        (891, 964, 2306, 6909, 15_367, 27_367, 85_400, 126_195),
        (1, 24, 156, 350, 472, 597, 1119, 2000),
    ),
}

# fmt: off
_CONVERSATION_PROMPT = (
    2, 23, 64, 120, 165, 181, 181, 181, 194, 197, 200, 203, 206, 209, 212, 218, 235, 247, 321, 371, 374, 376, 378,
    381, 383, 386, 388, 390, 391, 393, 394, 395, 396, 397, 398, 400, 401, 402, 403, 404, 405, 407, 408, 410, 412,
    415, 419, 422, 428, 437, 459, 670, 818, 881, 910, 946, 966, 979, 986, 995, 1001, 1007, 1011, 1016, 1020, 1024,
    1028, 1033, 1037, 1040, 1044, 1048, 1052, 1055, 1059, 1064, 1067, 1071, 1075, 1080, 1083, 1087, 1092, 1096,
    1100, 1105, 1110, 1115, 1120, 1127, 1133, 1139, 1147, 1155, 1164, 1176, 1189, 1208, 1233, 1266, 1312, 1314,
    1315, 1317, 1334, 1371, 1479, 1620, 1766, 1904, 2019, 2172, 2308, 2444, 2584, 2693, 3012, 3699, 4074, 4076,
    4079, 4081, 4084, 4086, 4089, 4094, 4107, 4162, 5027, 5652, 6130, 6472, 7096, 7930
)
_CONVERSATION_OUTPUT = (
    7, 14, 18, 28, 33, 37, 40, 43, 45, 47, 49, 51, 53, 54, 56, 58, 60, 63, 64, 66, 68, 70, 72, 73, 75, 76, 78, 79,
    81, 82, 83, 84, 85, 86, 87, 88, 89, 89, 90, 91, 92, 93, 94, 94, 95, 96, 97, 98, 99, 100, 101, 103, 104, 105,
    107, 108, 110, 112, 114, 116, 118, 121, 123, 126, 129, 132, 135, 138, 141, 145, 149, 153, 157, 161, 163, 167,
    171, 178, 181, 187, 196, 205, 217, 217, 223, 273, 373, 375, 377, 382, 385, 387, 389, 392, 393, 394, 395, 396,
    396, 396, 397, 398, 399, 401, 402, 405, 407, 409, 411, 411, 414, 414, 416, 418, 420, 423, 427, 429, 429, 433,
    440, 446, 456, 472, 502, 528, 568, 615, 659, 918, 954, 1000, 1000, 1000
)
_CODE_PROMPT = (
    3, 15, 26, 41, 51, 61, 71, 80, 90, 97, 106, 123, 137, 149, 161, 175, 185, 196, 209, 229, 246, 261, 291, 318,
    348, 368, 392, 427, 462, 491, 518, 548, 578, 596, 629, 674, 700, 742, 762, 784, 825, 849, 875, 898, 915, 942,
    967, 988, 1016, 1033, 1050, 1067, 1093, 1116, 1139, 1172, 1196, 1231, 1269, 1301, 1342, 1372, 1391, 1431,
    1469, 1491, 1538, 1571, 1605, 1638, 1673, 1701, 1734, 1774, 1813, 1852, 1885, 1912, 1960, 2011, 2048, 2087,
    2129, 2158, 2195, 2250, 2294, 2326, 2372, 2417, 2444, 2484, 2539, 2593, 2644, 2687, 2744, 2794, 2850, 2928,
    2982, 3054, 3154, 3230, 3330, 3453, 3569, 3650, 3775, 3962, 4102, 4270, 4434, 4624, 4769, 5043, 5510, 5801,
    6040, 6192, 6499, 7003, 7408, 7432, 7435, 7436, 7436, 7436, 7436, 7437, 7437, 7437, 7437, 7437
)
_CODE_OUTPUT = (
    6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9,
    9, 9, 10, 10, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 12, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13,
    13, 13, 14, 14, 14, 14, 14, 15, 15, 15, 15, 15, 16, 16, 16, 16, 17, 17, 18, 18, 18, 19, 19, 19, 20, 20, 21,
    21, 22, 22, 23, 24, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 37, 40, 42, 44, 46, 49, 52, 55, 58, 61, 66,
    72, 77, 85, 94, 106, 126, 151, 196, 283, 404, 674, 827, 888, 938, 1899
)
# fmt: on

# Prompts, then answers, at LEVELS.
_TABLES = {
    "conversation": (_CONVERSATION_PROMPT, _CONVERSATION_OUTPUT),
    "code": (_CODE_PROMPT, _CODE_OUTPUT),
}
NAMES = (*_TABLES, *_QUANTILES)
