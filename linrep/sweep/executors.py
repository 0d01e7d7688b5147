"""Where tasks are done: in this process, or by dask.distributed, which schedules them, here or on a cluster."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from linrep.errors import InputError, LinrepError
from linrep.sweep.task import Outcome, Task, perform

IGNORE_CTRL_C = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
"""What local workers run first: Ctrl-C reaches them too, but it is the sweep that ends them."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""The variables that say how many threads a process uses."""

MOST_CLAIMED = 400
"""Tasks that a sweep holds claims of at a time, each an open file: most systems allow a process about 1,000."""


@runtime_checkable
class Executor(Protocol):
    """Takes tasks by key and hands back their outcomes."""

    @property
    def capacity(self) -> int:
        """How many tasks it is worth giving it at a time."""

    def submit(self, key: str, task: Task, fingerprint: str) -> None:
        """Give it a task."""

    def finished(self) -> tuple[str, Outcome]:
        """Wait for the next outcome."""


class InProcess:
    """Does a task when its outcome is asked for: the compiled engine uses all cores by threads of its own."""

    capacity = 1

    def submit(self, key: str, task: Task, fingerprint: str) -> None:
        """Keep the task in mind."""
        self._next = (key, task, fingerprint)

    def finished(self) -> tuple[str, Outcome]:
        """Do it."""
        key, task, fingerprint = self._next
        return key, perform(task, fingerprint)


class OnDask:
    """Hands tasks to a Dask cluster, which does again what a lost worker was doing."""

    def __init__(self, client: Any) -> None:
        from distributed import as_completed

        self._client, self._completed = client, as_completed(loop=client.loop)
        self._tasks: dict[str, Task] = {}

    @property
    def capacity(self) -> int:
        """Two for each thread of the cluster, so that none waits for the next."""
        threads: int = sum(self._client.nthreads().values())
        return min(2 * max(1, threads), MOST_CLAIMED)

    def submit(self, key: str, task: Task, fingerprint: str) -> None:
        """Send it."""
        self._tasks[key] = task
        self._completed.add(self._client.submit(perform, task, fingerprint, key=f"linrep-{key}", pure=False))

    def finished(self) -> tuple[str, Outcome]:
        """The next that has finished."""
        from distributed import KilledWorker

        future = next(self._completed)
        key = future.key.removeprefix("linrep-")
        task = self._tasks.pop(key)
        try:
            return key, future.result()
        except KilledWorker as error:
            message = f"{task}: every worker that tried it died ({error.allowed_failures + 1} of them); out of memory?"
            return key, Outcome(error=LinrepError(message))
        except Exception as error:
            message = f"{task} was not done by the cluster: {type(error).__name__}: {' '.join(str(error).split())}"
            return key, Outcome(error=LinrepError(message), refused=False)


def check_executor(workers: int, cluster: str | None) -> None:
    """Refuse a number of workers or a cluster that cannot be, before any work.

    Raises:
        InputError: names the value and what is allowed.
    """
    if workers < 0:
        raise InputError(f"workers is {workers}; it must be 0 (this process) or more")
    if workers and cluster is not None:
        raise InputError(f"workers is {workers} and cluster is {cluster!r}; one of the two is needed, not both")
    if workers or cluster is not None:
        try:
            import distributed  # noqa: F401
        except ImportError:
            raise InputError(
                "workers and clusters need dask.distributed, which is not installed: pip install distributed"
            ) from None


def own_workers() -> int:
    """A process for each core, for tasks that each keep one core busy; 0 where there is one, or no dask.distributed.

    Processes start the main script anew: one that asks for them keeps its work under `if __name__ == "__main__"`.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        return 0
    cores = _cores()
    return cores if cores > 1 else 0


@contextmanager
def executor(workers: int, cluster: str | None) -> Iterator[Executor]:
    """In this process for 0 workers, with that many local processes, or on the cluster at an address.

    Raises:
        InputError: no cluster answers at the address.
    """
    if cluster is not None:
        with _connected(cluster) as client:
            yield OnDask(client)
    elif workers:
        with _local(workers) as client:
            yield OnDask(client)
    else:
        yield InProcess()


def cluster_memory(cluster: str) -> int | None:
    """Bytes of memory of the largest worker of a cluster; None where its workers have no limit, or are yet to come.

    Raises:
        InputError: no cluster answers at the address.
    """
    with _connected(cluster) as client:
        limits = [worker["memory_limit"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    return max(limits) if limits and all(limits) else None


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    from distributed import Client
    from distributed.utils import silence_logging_cmgr

    with silence_logging_cmgr(logging.CRITICAL):  # what goes wrong is raised here
        try:
            client = Client(address, set_as_default=False)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"cluster is {address!r}, where no Dask scheduler answers: {reason}") from None
        with client:
            yield client


@contextmanager
def _local(workers: int) -> Iterator[Any]:
    """A Dask cluster of processes of this machine that live as long as this one, each with its share of the cores."""
    import dask
    from distributed import Client, LocalCluster

    share = str(max(1, _cores() // workers))
    threads = dict.fromkeys(THREADS, share)
    with (
        _own_environment(THREADS),
        dask.config.set({"distributed.nanny.pre-spawn-environ": threads}),  # for a script that imports torch itself
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port: the usual one may be taken
            memory_limit=None,
            silence_logs=logging.CRITICAL,
            env=threads,
            preload=[IGNORE_CTRL_C],
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _own_environment(names: Sequence[str]) -> Iterator[None]:
    """Put some variables of this process back at the end: what workers are started with is set here, too, and stays."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _cores() -> int:
    """The cores that this process may use, or the fewer threads that OMP_NUM_THREADS asks for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdigit() else cores
