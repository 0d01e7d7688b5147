"""The compiled engine held to the plain one, as the chapter on the engine shows it."""

from linrep.engine.choice import Engine
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.train import Optimizer, TrainConfig, train

STEP_SIZES: dict[Optimizer, float] = {"gd": 1.0, "sgd": 0.1, "adam": 0.001}


def differences(*, concepts: int, seeds: range, steps: int) -> dict[str, float]:
    """The largest absolute difference of an entry of F or G between the engines, by optimiser and precision.

    The step sizes are 1 for gd and the paper's for sgd and adam.
    """
    engines: tuple[Engine, Engine] = ("numba", "torch")
    found = {}
    for optimizer, step_size in STEP_SIZES.items():
        for dtype in ("float32", "float64"):
            batch = make_batches(Setting(concepts=concepts, optimizer=optimizer, dtype=dtype), seeds)[0]
            config = TrainConfig(step_size, steps, optimizer)
            ours, plain = (
                train(batch.population, batch.start, config, seeds=batch.seeds, engine=engine) for engine in engines
            )
            of_f = (ours.embedding - plain.embedding).abs().max()
            of_g = (ours.unembedding - plain.unembedding).abs().max()
            found[f"{optimizer}, {dtype}"] = float(max(of_f, of_g))
    return found
