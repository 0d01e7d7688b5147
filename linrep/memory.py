"""Refuse what would not fit in memory, before it is allocated."""

import psutil
import torch

from linrep.errors import TooLargeError


def describe_bytes(size: float) -> str:
    """A size for a person: 12.3 GB."""
    for name in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            return f"{size:.0f} {name}" if name == "bytes" else f"{size:.1f} {name}"
        size /= 1000
    return f"{size:.3g} EB"


def free_memory(device: str) -> int:
    """Bytes now free on a device: the machine's memory for the CPU, the card's for CUDA."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def require_memory(size: int, what: str, *, device: str = "cpu", limit: int | None = None) -> None:
    """Refuse an allocation of `size` bytes when it is more than `limit`, or without one, than is free on the device.

    Raises:
        TooLargeError: names what was asked for, its size and the limit.
    """
    available = free_memory(device) if limit is None else limit
    if size > available:
        raise TooLargeError(
            f"{what} would take {describe_bytes(size)} of memory; {describe_bytes(available)} is available"
        )
