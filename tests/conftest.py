"""Before any test imports NumPy: matrix products run on one thread, unless the environment says otherwise.

The suite runs on a process per core (`-n auto`); threads of a BLAS beside them only get in each other's way.
"""

import os

for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_variable, "1")
