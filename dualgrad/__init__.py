"""dualgrad: differentiate the NumPy you already wrote.

    grad, value_and_grad, vjp          reverse mode (a tape)
    jvp, linearize, derivative         forward mode (dual numbers)
    jacobian, hessian, hvp, vmap       their compositions
    directional_derivatives, laplacian Taylor mode (power series)
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
from dualgrad.transforms.hessian import hessian, hessian_diagonal, hvp, value_grad_and_hessian
from dualgrad.transforms.jacobian import jacfwd, jacobian, jacrev, value_and_jacobian
from dualgrad.transforms.pullback import grad, value_and_grad, vjp
from dualgrad.transforms.pushforward import derivative, jvp, linearize
from dualgrad.transforms.taylor import directional_derivatives, laplacian
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
    "directional_derivatives",
    "errors",
    "grad",
    "hessian",
    "hessian_diagonal",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "laplacian",
    "linearize",
    "stop_gradient",
    "tree",
    "value_and_grad",
    "value_and_jacobian",
    "value_grad_and_hessian",
    "vjp",
    "vmap",
]

install_operators()
