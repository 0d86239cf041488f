"""Memory: long recordings are nothing to the garbage collector, and freed arrays nothing to the operating system."""
import gc
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import scipy.special

from dualgrad.core.memory import _SETTINGS
from dualgrad.interpreters.tape import Tape


def test_the_garbage_collector_does_not_look_through_records():
    """A record that it follows costs 1 us for every few that come after it: a loop of n steps would take n log n."""
    with Tape() as tape:
        x, y = tape.watch(np.ones(3)), tape.watch(np.ones((2, 3)))
        for _ in range(3):
            x = 0.5 * x + np.maximum(x, 0.1) * np.tanh(x - 1.0) / np.ones(3)
            y = scipy.special.expit(x * y - x) - 2**x
    gc.collect()
    gc.collect()  # a tuple with a tuple in it is let go the second time
    assert len(tape.history) > 30 and not any(gc.is_tracked(record) for record in tape.history)


GRADIENTS = """
import resource
import numpy as np
from dualgrad import grad

f = grad(lambda x: np.sum(np.tanh(np.sin(x) * np.exp(-(x**2)))))
x = np.linspace(0, 1, 200_000)
for _ in range(3):
    f(x)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    f(x)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_gradient_works_in_the_memory_of_the_one_before():
    def pages(**settings):
        environment = {name: value for name, value in os.environ.items() if name not in _SETTINGS} | settings
        done = subprocess.run([sys.executable, "-c", GRADIENTS], env=environment, capture_output=True, text=True, check=True)
        return float(done.stdout)

    kept, given_back = pages(), pages(MALLOC_TRIM_THRESHOLD_="131072")  # a setting of the user's is left alone
    assert kept < 100 < 1000 < given_back
