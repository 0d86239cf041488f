"""Imported before NumPy: matrix products run on one thread, unless the environment says otherwise.

A product of two 300 by 300 matrices on two threads of a machine with two cores takes 0.5 ms when it is idle, and 30 ms when
something else holds a core, because one thread waits for the other's turn.  On one thread it takes 1 ms either way, and the
figures say something about the tools.
"""
import os

for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_variable, "1")
