"""What the paper prints: Tables 1 to 4, and what can be read off Figures 5 and 6 (section 5.1 and appendix E)."""

from collections.abc import Mapping

from linrep.stats import Estimate

RUNS = {3: 100, 4: 100, 5: 50, 6: 20, 7: 10}
"""How many runs each m has in the paper's Tables 1 and 2."""

_NAMES = ("U", "E", "UE")

_SGD = {
    3: ((0.972, 0.006), (0.982, 0.005), (0.980, 0.005)),
    4: ((0.975, 0.005), (0.971, 0.005), (0.973, 0.005)),
    5: ((0.988, 0.004), (0.981, 0.004), (0.984, 0.004)),
    6: ((0.997, 0.000), (0.985, 0.002), (0.990, 0.001)),
    7: ((0.995, 0.001), (0.972, 0.004), (0.981, 0.003)),
}

_ADAM = {
    3: ((0.910, 0.015), (0.923, 0.013), (0.926, 0.012)),
    4: ((0.972, 0.005), (0.959, 0.005), (0.965, 0.005)),
    5: ((0.985, 0.004), (0.970, 0.004), (0.975, 0.004)),
    6: ((0.996, 0.001), (0.977, 0.002), (0.983, 0.001)),
    7: ((0.966, 0.012), (0.918, 0.016), (0.929, 0.015)),
}

_MASKS = {
    "50 masks": ((0.974, 0.009), (0.946, 0.014), (0.959, 0.011)),
    "100 masks": ((0.957, 0.009), (0.915, 0.013), (0.934, 0.011)),
}

_TOKENS = {
    "m = 10": ((0.951, 0.011), (0.777, 0.010), (0.855, 0.011)),
    "m = 12": ((0.896, 0.011), (0.551, 0.008), (0.696, 0.009)),
}

_Row = tuple[tuple[float, float], ...]
Cell = dict[str, Estimate]
Printed = dict[int, Cell]


def _cell(row: _Row, runs: int) -> Cell:
    return {name: Estimate(mean, stderr, runs) for name, (mean, stderr) in zip(_NAMES, row, strict=True)}


def _estimates(cells: Mapping[int, _Row]) -> Printed:
    return {m: _cell(row, RUNS[m]) for m, row in cells.items()}


TABLE1, TABLE2 = _estimates(_SGD), _estimates(_ADAM)
"""Mean ± standard error over `RUNS` runs, by m and cosine: SGD with rate 0.1, and Adam with rate 0.001."""

TABLE3 = {name: _cell(row, 10) for name, row in _MASKS.items()}
"""At most 50, at most 100 masks; m = k = 10, 10 runs."""

TABLE4 = {name: _cell(row, 10) for name, row in _TOKENS.items()}
"""Subsets of tokens and of contexts, of sizes that are not stated; k = m, 10 runs."""

FIGURE6 = {"m": 7, "U at k = m": 0.99, "U at k = 5": 0.9, "E at k = 5": 0.73}
"""What can be read off the drawing of incomplete worlds in fewer dimensions, to about `READING_ERROR`."""

READING_ERROR = 0.01

FIGURE5 = {"epochs": 5000, "first loss": 4.8, "last loss": 2.3, "saturated": 0.98, "saturated at": 1500}
"""m = 7, 10 runs, as far as it can be read off the drawing: training time in epochs of unstated size, the loss in nats,
and about where the cosines level off, and when."""
