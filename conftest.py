"""pytest's entry at the root: the collector of the MyST chapters."""

import os

# Read when torch is first imported: threads that spin for long slow training tenfold on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

pytest_plugins = ["nbval_md"]
