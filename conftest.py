"""pytest's entry at the root: the collector of the MyST chapters."""

import os

# Read when torch is first imported: threads that wait by spinning slow training tenfold on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

pytest_plugins = ["nbval_md"]
