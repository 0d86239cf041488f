"""dualgrad: differentiate the NumPy you already wrote.

    grad, value_and_grad, vjp          reverse mode (a tape)
    jvp, linearize, derivative         forward mode (dual numbers)
    jacobian, hessian, hvp, vmap       their compositions
"""
from dualgrad import errors, rules, tree
from dualgrad.interpreters.dual import Dual
from dualgrad.interpreters.tape import Tape
from dualgrad.transforms.pullback import grad, value_and_grad, vjp
from dualgrad.transforms.pushforward import derivative, jvp, linearize
from dualgrad.transforms.vectorize import vmap

__all__ = ["Dual", "Tape", "derivative", "errors", "grad", "jvp", "linearize", "tree", "value_and_grad", "vjp", "vmap"]
