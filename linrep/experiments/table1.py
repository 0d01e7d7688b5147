"""Table 1 of the paper: U, E and UE on complete sets, beside gradient descent on the exact loss.

The paper trains with SGD (rate 0.1, batch 100) for an unstated number of steps. Here the loss is the exact population
loss, with the step size and the clock found on pilot seeds by the rules of `linrep.pilot`, once for each m.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from linrep.experiments.beside_paper import comparison_lines, self_pair_lines
from linrep.experiments.paper_tables import TABLE1 as PAPER
from linrep.pilot import halved
from linrep.setting import Setting
from linrep.simulate import Simulation, simulate, step_effect


@dataclass(frozen=True, eq=False)
class Row:
    """One m of the table: the simulation, and the same at half the step and the same clock."""

    simulation: Simulation
    half_step: Simulation

    @property
    def concepts(self) -> int:
        """m."""
        return self.simulation.setting.concepts


def rows(sizes: Sequence[int], *, seeds: range) -> list[Row]:
    """Simulate each m = k with the linear start and the defaults of `Setting`, at the step found and at half of it."""
    found = []
    for concepts in sizes:
        simulation = simulate(Setting(concepts=concepts), seeds=seeds)
        half = simulate(simulation.setting, seeds=seeds, pace=halved(simulation.pace))
        found.append(Row(simulation, half))
    return found


def settings_table(found: Sequence[Row]) -> pd.DataFrame:
    """What the rules chose for each m, how many seeds are fitted and monotone, and what halving the step changes."""
    return pd.DataFrame(
        {
            "m": row.concepts,
            "step size": row.simulation.pace.step_size,
            "steps": row.simulation.pace.steps,
            "clock": round(row.simulation.clock),
            "seeds": len(row.simulation.seeds),
            "fitted": int(row.simulation.per_seed()["fitted"].sum()),
            "monotone": int(row.simulation.per_seed()["monotone"].eq(True).sum()),
            "half step moves": step_effect(row.simulation, row.half_step),
        }
        for row in found
    ).set_index("m")


def comparison_table(found: Sequence[Row], *, fitted_only: bool = False) -> pd.DataFrame:
    """Ours beside the paper's, cosine by cosine: means, standard errors, difference with its interval, verdict.

    Args:
        fitted_only: leave out the unfitted replicates; the paper averages all of its own.
    """
    lines = []
    for row in found:
        table = row.simulation.per_seed()
        table = table[table["fitted"]] if fitted_only else table
        lines += [{"m": row.concepts} | line for line in comparison_lines(table, PAPER[row.concepts])]
    return pd.DataFrame(lines).set_index(["m", "cosine"])


def self_pairs_table(found: Sequence[Row]) -> pd.DataFrame:
    """U and E when each vector's cosine with itself is counted too, beside the paper's; see `self_pair_lines`."""
    lines = [
        line
        for row in found
        for line in self_pair_lines(row.simulation.per_seed(), PAPER[row.concepts], m=row.concepts)
    ]
    return pd.DataFrame(lines).set_index(["m", "cosine"])
