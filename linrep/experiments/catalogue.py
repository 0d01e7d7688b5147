"""The experiments that `linrep run` knows by name: each makes one record, `results/NAME.json`."""

from collections.abc import Callable
from importlib import import_module
from typing import Literal

from linrep.errors import InputError
from linrep.results import Record

Size = Literal["smoke", "paper"]
Experiment = Callable[[Size], Record]

EXPERIMENTS = {
    "table1": "linrep.experiments.full_tables:table1",
    "table2": "linrep.experiments.full_tables:table2",
    "figure5": "linrep.experiments.figure5:record",
    "sensitivity": "linrep.experiments.sensitivity:record",
    "table3": "linrep.experiments.incomplete:table3",
    "table4": "linrep.experiments.incomplete:table4",
    "figure6": "linrep.experiments.incomplete:figure6",
    "incomplete": "linrep.experiments.incomplete:incomplete",
    "late_phase": "linrep.experiments.late_phase:record",
    "ablations": "linrep.experiments.ablations:record",
    "width_map": "linrep.experiments.width_map:record",
    "width_causes": "linrep.experiments.width_causes:record",
    "limit_descent": "linrep.experiments.limit_descent:record",
    "context_sets": "linrep.experiments.linear:record",
    "log_odds": "linrep.experiments.log_odds_time:record",
    "orthogonality": "linrep.experiments.orthogonality_record:record",
    "balance": "linrep.experiments.balanced_factors:record",
    "loss": "linrep.experiments.loss_record:record",
    "winograd": "linrep.experiments.winograd:record",
    "layers": "linrep.experiments.layers:record",
    "steering": "linrep.experiments.steering:record",
    "room": "linrep.experiments.room:record",
    "theorems": "linrep.experiments.theorems:record",
}
"""Name to the function that makes its record, in the order in which `make results` runs them: the
table of theorems last, since it reads the others."""

OPTIONAL = {
    "gemma": "linrep.experiments.gemma:record",
}
"""The same for records that need a model with terms of its own; `make results` leaves them out."""


def experiment(name: str) -> Experiment:
    """The function behind a name.

    Raises:
        InputError: there is no such experiment; the message lists those that there are.
    """
    known = EXPERIMENTS | OPTIONAL
    if name not in known:
        raise InputError(f"there is no experiment {name!r}; there are {', '.join(known)}")
    module, _, function = known[name].partition(":")
    found: Experiment = getattr(import_module(module), function)
    return found


if __name__ == "__main__":
    print("\n".join(EXPERIMENTS))
