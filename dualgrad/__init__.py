"""dualgrad: differentiate the NumPy you already wrote.

    grad, value_and_grad, vjp          reverse mode (a tape)
    jvp, linearize, derivative         forward mode (dual numbers)
    jacobian, hessian, hvp, vmap       their compositions
"""
from dualgrad import errors, tree
from dualgrad import rules as rules  # declares the primitives
from dualgrad.check import check_grads
from dualgrad.core.traced import install_operators
from dualgrad.interpreters.dual import Dual
from dualgrad.interpreters.tape import Tape
from dualgrad.transforms.checkpoint import checkpoint
from dualgrad.transforms.custom import custom_jvp, custom_vjp, stop_gradient
from dualgrad.transforms.debug import debug_nans
from dualgrad.transforms.jacobian import hessian, hvp, jacfwd, jacobian, jacrev
from dualgrad.transforms.pullback import grad, value_and_grad, vjp
from dualgrad.transforms.pushforward import derivative, jvp, linearize
from dualgrad.transforms.vectorize import vmap

__all__ = [
    "Dual",
    "Tape",
    "check_grads",
    "checkpoint",
    "custom_jvp",
    "custom_vjp",
    "debug_nans",
    "derivative",
    "errors",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linearize",
    "stop_gradient",
    "tree",
    "value_and_grad",
    "vjp",
    "vmap",
]

install_operators()
