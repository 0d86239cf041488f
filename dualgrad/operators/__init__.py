"""Matrices of derivatives as operators, never formed: trees in and out, and SciPy's LinearOperator on their vectors.

    JacobianOperator(f, params, *args)                          J v and J^T u
    HessianOperator(f, params, *args)                           H v
    GaussNewtonOperator(model, loss, params, *args)             J^T H_loss J v
    FisherOperator(model, params, *args, likelihood=...)        the exact one; FisherOperator.empirical(losses, params, *args)

The function is evaluated once, when the operator is made; every product replays that recording.  `operator @ tree` is a tree,
`operator @ vector` and all that SciPy does with a LinearOperator (cg, minres, eigsh, lsmr, sums, products) is on vectors,
ordered as by `tree.ravel`.  `matmat` is one batched sweep.

    to_dense                                       the matrix
    trace, diagonal, logdet -> Estimate            stochastic estimates with standard errors, of any LinearOperator
"""

from dualgrad.operators.dense import to_dense
from dualgrad.operators.determinants import logdet
from dualgrad.operators.diagonals import diagonal
from dualgrad.operators.estimate import Estimate
from dualgrad.operators.fisher import FisherOperator
from dualgrad.operators.gauss_newton import GaussNewtonOperator
from dualgrad.operators.hessian import HessianOperator
from dualgrad.operators.jacobian import JacobianOperator
from dualgrad.operators.operator import TreeOperator
from dualgrad.operators.traces import trace

__all__ = [
    "Estimate",
    "FisherOperator",
    "GaussNewtonOperator",
    "HessianOperator",
    "JacobianOperator",
    "TreeOperator",
    "diagonal",
    "logdet",
    "to_dense",
    "trace",
]
