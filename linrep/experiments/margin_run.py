"""Theorem 4: problems of the hidden classification, independent hard-margin solvers, and runs with what theory says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import minimize
from sklearn.svm import SVC

from linrep.errors import LinrepError
from linrep.theory.joint import even_marks
from linrep.theory.margin import Margin, limit_offset, log_loss, longest, max_margin_direction, two_point_direction
from linrep.theory.margin_descent import Descent, cosine_gap_bound, descent, step_bound

SHARE = 0.2
"""A step that is set anew could be 1/(2R²ℓ); we take this part of it, to stay near the curve of small steps."""


@dataclass(frozen=True, eq=False)
class Problems:
    """Hidden classifications: which each is (columns k, seed), its points x_1 = f1, x_2 = −f0, where its Δ_c start."""

    names: pd.DataFrame
    points: Float[np.ndarray, "problems 2 dim"]
    start: Float[np.ndarray, "problems classifiers dim"]


def random_problems(dims: Sequence[int] = (2, 3, 5, 10), *, classifiers: int = 4, seeds: range = range(20)) -> Problems:
    """N(0, 1) points and starts in each of some dimensions; smaller spaces are padded with zeros."""
    names = [(dim, seed) for dim in dims for seed in seeds]
    vectors = np.zeros((len(names), 2 + classifiers, max(dims)))
    for place, (dim, seed) in enumerate(names):
        vectors[place, :, :dim] = np.random.default_rng([seed, dim, 4]).standard_normal((2 + classifiers, dim))
    return Problems(pd.DataFrame(names, columns=["k", "seed"]), vectors[:, :2], vectors[:, 2:])


def svc_direction(points: Float[np.ndarray, "points dim"]) -> Float[np.ndarray, " dim"]:
    """ŵ by scikit-learn's linear SVC with C = 10^12; each point is given with its mirror image, so the bias is 0."""
    scaled = points / longest(points)
    machine = SVC(kernel="linear", C=1e12, tol=1e-10)
    machine.fit(np.vstack([scaled, -scaled]), np.repeat([1, -1], len(points)))
    return np.asarray(machine.coef_[0] / np.linalg.norm(machine.coef_[0]))


def slsqp_direction(points: Float[np.ndarray, "points dim"]) -> Float[np.ndarray, " dim"]:
    """ŵ by scipy's SLSQP: the least |w|²/2 with all w·x_j ≥ 1.

    Raises:
        LinrepError: the solver does not converge, as on points that are not separable.
    """
    scaled = points / longest(points)
    found = minimize(
        lambda w: 0.5 * w @ w,
        np.zeros(points.shape[1]),
        jac=lambda w: w,
        constraints={"type": "ineq", "fun": lambda w: scaled @ w - 1, "jac": lambda _: scaled},
        method="SLSQP",
        options={"ftol": 1e-9, "maxiter": 1000},
    )
    if not found.success:
        raise LinrepError(f"SLSQP found no direction: {found.message}")
    return np.asarray(found.x / np.linalg.norm(found.x))


def solver_table(sets: Mapping[str, Problems]) -> pd.DataFrame:
    """Three solvers against the closed form of two points: the largest distance between unit vectors, for each set."""
    solvers: dict[str, Callable[[Float[np.ndarray, "points dim"]], Float[np.ndarray, " dim"]]] = {
        "NNLS": lambda points: max_margin_direction(points).direction,
        "SVC": svc_direction,
        "SLSQP": slsqp_direction,
    }
    rows = []
    for name, problems in sets.items():
        closed = two_point_direction(problems.points)
        apart = {
            solver: max(
                float(np.linalg.norm(solve(points) - direction))
                for points, direction in zip(problems.points, closed.direction, strict=True)
            )
            for solver, solve in solvers.items()
        }
        relative = closed.margin / longest(problems.points)
        rows.append({"problems": name, "number": len(relative), "least γ/R": relative.min()} | apart)
    return pd.DataFrame(rows).set_index("problems")


@dataclass(frozen=True, eq=False)
class Course:
    """A run on some problems, with what the theory says of it.

    Attributes:
        run: the run. margin: ŵ and γ. offset: q, where the part of Δ_c orthogonal to ŵ ends (gradient flow).
        clock: ln(1 + η_1 + η_2 + ...), in units of the problem's `step_bound`, at each mark.
    """

    problems: Problems
    run: Descent
    margin: Margin
    offset: Float[np.ndarray, "problems classifiers dim"]
    clock: Float[np.ndarray, "marks problems classifiers"]

    def cosines(self) -> Float[np.ndarray, "marks problems classifiers"]:
        """cos(Δ_c, ŵ)."""
        along = np.einsum("mpcd,pd->mpc", self.run.classifiers, self.margin.direction)
        return np.asarray(along / np.linalg.norm(self.run.classifiers, axis=-1))

    def gaps(self) -> Float[np.ndarray, "marks problems classifiers"]:
        """1 − cos(Δ_c, ŵ), as half the square of a distance, which keeps its digits when it is small."""
        lengths = np.linalg.norm(self.run.classifiers, axis=-1, keepdims=True)
        apart = self.run.classifiers / lengths - self.margin.direction[:, None]
        return np.asarray(0.5 * (apart**2).sum(axis=-1))

    def promises(self) -> Float[np.ndarray, "marks problems classifiers"]:
        """The theorem's bound on the gaps."""
        lengths = np.linalg.norm(self.run.classifiers, axis=-1)
        bounds = [cosine_gap_bound(self.problems.points, self.problems.start, at, self.margin.margin) for at in lengths]
        return np.stack(bounds)

    def laws(self) -> Float[np.ndarray, "marks problems classifiers"]:
        """2|Δ_c|²(1 − cos)/|q|², which tends to 1."""
        return np.asarray(2 * (self.run.classifiers**2).sum(axis=-1) * self.gaps() / (self.offset**2).sum(axis=-1))

    def depths(self) -> Float[np.ndarray, "marks problems classifiers"]:
        """−ln ℓ(Δ_c)."""
        return -log_loss(self.run.classifiers, self.problems.points)


def plain_run(problems: Problems, *, steps: int = 10_000, multiple: float = 1.0) -> Course:
    """Gradient descent with one step throughout: a multiple of the theorem's bound."""
    bound = step_bound(problems.points, problems.start)
    marks = even_marks(steps)
    run = descent(problems.points, problems.start, step=multiple * bound, marks=marks)
    clock = np.log1p(multiple * np.array(marks, dtype=float))
    return _course(problems, run, np.broadcast_to(clock[:, None, None], run.classifiers.shape[:-1]))


def anew_run(problems: Problems, *, steps: int = 20_000, share: float = SHARE) -> Course:
    """Gradient descent whose step is set anew, before each step, to a share of the bound 1/(2R²ℓ) at the present loss.

    These are the normalised steps of `descent`. The clock is the sum of the plain steps; between two marks −ln ℓ is
    taken to be linear in the number of steps.
    """
    size = share * 0.5 / longest(problems.points) ** 2
    run = descent(problems.points, problems.start, step=size, marks=even_marks(steps, 200), normalised=True)
    depth = -log_loss(run.classifiers, problems.points)
    rise = np.diff(depth, axis=0)
    taken = np.log(np.diff(run.marks)[:, None, None] * (size / step_bound(problems.points, problems.start))[:, None])
    # ∫ dτ e^depth over a piece, as a logarithm: the mean of e^depth is e^depth (e^rise − 1)/rise at its beginning.
    spent = taken + depth[:-1] + np.log(np.expm1(rise) / rise, where=rise < 500, out=rise - np.log(rise))
    clock = np.logaddexp.accumulate(np.concatenate([np.zeros_like(depth[:1]), spent]), axis=0)
    return _course(problems, run, clock)


EXAMPLE = Problems(
    pd.DataFrame({"k": [2], "seed": [0]}),
    np.array([[[1.2, 0.3], [0.2, 0.9]]]),
    np.array([[[-1.5, 0.5], [1.5, -1.0], [0.0, -1.5], [-0.5, 1.5]]]),
)
"""Two contexts in the plane, f1 = (1.2, 0.3) and f0 = (−0.2, −0.9), and four classifiers."""


def example_paths(*, steps: int = 400) -> tuple[Course, Float[np.ndarray, "marks classifiers dim"]]:
    """What the picture of the plane draws: the run of `EXAMPLE` with steps set anew, and its paths."""
    course = anew_run(EXAMPLE, steps=steps)
    return course, course.run.classifiers[:, 0]


def along_clock(
    course: Course, values: Float[np.ndarray, "marks problems classifiers"], steps: Sequence[float]
) -> Float[np.ndarray, "steps problems classifiers"]:
    """Positive values at chosen numbers of steps at the bound, between marks; NaN beyond the run.

    The logarithm of the value is taken to be linear in the logarithm of the clock.
    """
    wanted = np.log1p(np.asarray(steps, dtype=float))
    found = np.empty((len(wanted), *values.shape[1:]))
    for place in np.ndindex(values.shape[1:]):
        clock = course.clock[(slice(None), *place)]
        seen = np.interp(wanted, clock, np.log(values[(slice(None), *place)]), right=np.nan)
        found[(slice(None), *place)] = np.exp(seen)
    return found


def _course(problems: Problems, run: Descent, clock: Float[np.ndarray, "marks problems classifiers"]) -> Course:
    """The run with its margin and its limit."""
    margin, offset = two_point_direction(problems.points), limit_offset(problems.points, problems.start)
    return Course(problems, run, margin, offset, clock)
