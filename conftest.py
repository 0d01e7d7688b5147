"""pytest's entry at the root: the collector of the MyST chapters."""

pytest_plugins = ["nbval_md"]
