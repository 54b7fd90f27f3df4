"""Whether this kernel lets us have io_uring, asked of the kernel itself."""

import ctypes
import os
from pathlib import Path

SETUP, SINGLE_ISSUER = 425, 1 << 12


def has_io_uring() -> bool:
    """Whether io_uring_setup(2) succeeds with what came with Linux 6.0."""
    parameters = (ctypes.c_uint32 * 30)(0, 0, SINGLE_ISSUER)
    descriptor = ctypes.CDLL(None).syscall(SETUP, 1, ctypes.byref(parameters))
    if descriptor < 0:
        return False
    os.close(descriptor)
    return True


def rings() -> int:
    """How many pieces of memory this process shares with the kernel by io_uring."""
    return Path("/proc/self/maps").read_text().count("[io_uring]")
