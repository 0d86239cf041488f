"""The memory of large arrays: what one gives up is kept for the next.

glibc maps fresh pages for every array of more than 128 kB and gives the end of its heap back as soon as more than that is free
there.  A gradient makes all its arrays, and frees them all; the next one would then touch every page for the first time again: up
to 5 us for 4 kB, ten times what a product takes.  glibc moves both bounds by itself, to 32 and 64 MB at most, as soon as a program
frees an array of 32 MB; here they are moved at once (mallopt(3)), with which GMM's gradient of 1 000 points takes 2.7 ms, not 6.
"""
from __future__ import annotations

import ctypes
import functools
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


@functools.cache
def keep_freed_memory() -> None:
    """Do so from now on, in this process; not without glibc, nor where the environment holds settings of the user's own."""
    if sys.platform != "linux" or any(name in os.environ for name in _SETTINGS):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2**25)
        mallopt(_TRIM_THRESHOLD, 2**26)
