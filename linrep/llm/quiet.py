"""The libraries around language models: that they are there, that they keep quiet, and their errors in one line."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from tqdm import TqdmWarning

from linrep.errors import LinrepError

_SERVICE = "DISABLE_SAFETENSORS_CONVERSION"


def require_transformers() -> None:
    """Refuse to go on without the extra packages.

    Raises:
        LinrepError: names the command that installs them.
    """
    if any(find_spec(name) is None for name in ("transformers", "gguf")):
        raise LinrepError("language models need transformers and gguf: pip install 'linrep[llm]'")


def require_drawing() -> None:
    """Refuse to draw without the packages for it.

    Raises:
        LinrepError: names the command that installs them.
    """
    if any(find_spec(name) is None for name in ("matplotlib", "seaborn")):
        raise LinrepError("figures need matplotlib and seaborn: pip install 'linrep[book]'")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """transformers without notices, progress bars and its conversion service, and as before afterwards.

    The service, a public bot, would be asked to convert the pickled weights of a Hub model that has no others.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # in a notebook tqdm asks for widgets; no bar is shown anyway
        from transformers.utils import logging as notices

    bars: Any = notices  # untyped
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels, shown = [logger.level for logger in loggers], bars.is_progress_bar_enabled()
    service = os.environ.get(_SERVICE)
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        bars.disable_progress_bar()
        os.environ[_SERVICE] = "1"
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if shown:
            bars.enable_progress_bar()
        del os.environ[_SERVICE]
        if service is not None:
            os.environ[_SERVICE] = service


def one_line(error: Exception) -> str:
    """What an error says, in one line of at most 300 characters; its type when it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__
