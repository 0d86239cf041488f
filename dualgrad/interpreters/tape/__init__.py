"""Reverse mode: a tape is one flat list of records, and a pullback is one loop over it from the end.

    Variable              a value, its index on the tape, and the tape                           recording.py
    record                a tuple (pull, parents, residuals): no node objects, no dictionaries    recording.py
    pull(ct, g, record)   adds (d out / d parent)^H g to ct[parent] for each parent              pulls.py
    sweep                 for record in reversed(records): pull                                   sweep.py

A record keeps only the residuals its rule reads.  Cotangents are adjoint under Re<a, b>, so the gradient of a real function
of complex z is the direction of steepest ascent, df/dx + i df/dy.
"""
from dualgrad.interpreters.tape.recording import Variable
from dualgrad.interpreters.tape.sweep import forget, pull_back, suspend
from dualgrad.interpreters.tape.tape import Tape

__all__ = ["Tape", "Variable", "forget", "pull_back", "suspend"]
