"""Linear systems by a black box, and the linear systems of derivatives: against dense matrices."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sparse
import scipy.sparse.linalg as sla

from dualgrad import errors, grad, hessian, implicit, jacfwd, jacobian, jacrev, jvp, linearize, vjp, vmap

N = 6
RNG = np.random.default_rng(0)
S = RNG.standard_normal((N, N))
S = S @ S.T + N * np.eye(N)  # symmetric positive definite
G = 0.4 * RNG.standard_normal((N, N))  # general
B, W = RNG.standard_normal(N), RNG.standard_normal(N)
P = np.array([0.3, 0.7])

cg = functools.partial(sla.cg, rtol=1e-13)
gmres = functools.partial(sla.gmres, rtol=1e-13)
bicgstab = functools.partial(sla.bicgstab, rtol=1e-14)


def direct(A: Any, b: Any) -> Any:
    """Any operator, by its columns."""
    return np.linalg.solve(np.stack([A @ e for e in np.eye(len(b))], 1), b)


def matrix(p: Any, general: bool) -> Any:
    return S + p[0] * np.eye(N) + (p[0] * p[1] * G if general else 0)


def dense(p: Any, general: bool = True) -> Any:
    return np.linalg.solve(matrix(p, general), np.sin(p[1]) * B)


def free(p: Any, solve: Any = gmres, general: bool = True, **options: Any) -> Any:
    return implicit.linear_solve(lambda v: matrix(p, general) @ v, np.sin(p[1]) * B, solve, **options)


SOLVES = [
    pytest.param(cg, False, {"symmetric": True}, id="cg"),
    pytest.param(cg, False, {}, id="cg, of the adjoint"),
    pytest.param(gmres, True, {}, id="gmres"),
    pytest.param(bicgstab, True, {}, id="bicgstab"),
    pytest.param(direct, True, {}, id="direct"),
    pytest.param(lambda A, b: direct(A, b).reshape(-1, 1), True, {"transpose_solve": direct}, id="transpose_solve"),
    pytest.param(lambda matvec, b: gmres(sla.LinearOperator((N, N), matvec), b)[0], True, {}, id="matvec called as a function"),
]


@pytest.mark.parametrize(("solve", "general", "options"), SOLVES)
def test_the_derivatives_are_those_of_the_dense_solution(solve, general, options):
    f = lambda p: free(p, solve, general, **options)
    g = lambda p: dense(p, general)
    np.testing.assert_allclose(f(P), g(P), rtol=1e-10)
    for mode in (jacfwd, jacrev):
        np.testing.assert_allclose(mode(f)(P), mode(g)(P), rtol=1e-10, atol=1e-12)
    expected = hessian(lambda p: W @ g(p))(P)
    for outer, inner in [(jacfwd, jacrev)] if solve is not gmres else itertools.product((jacfwd, jacrev), repeat=2):
        np.testing.assert_allclose(outer(inner(lambda p: W @ f(p)))(P), expected, rtol=1e-9, atol=1e-12)


def test_the_third_derivative_and_products_after_the_call():
    f, g = (lambda p: W @ free(p)), (lambda p: W @ dense(p))
    third = lambda h: jacrev(jacfwd(jacrev(h)))(P)
    np.testing.assert_allclose(third(f), third(g), rtol=1e-9, atol=1e-12)
    _, pullback = vjp(f, P)
    np.testing.assert_allclose(pullback(2.0)[0], 2 * grad(g)(P), rtol=1e-10)
    np.testing.assert_allclose(pullback(3.0)[0], 3 * grad(g)(P), rtol=1e-10)
    np.testing.assert_allclose(linearize(f, P)[1](np.array([1.0, 2.0])), grad(g)(P) @ [1, 2], rtol=1e-10)


def test_one_solve_for_the_value_and_one_for_each_cotangent_or_tangent():
    calls = []

    def solve(A, b):
        calls.append(len(b))
        return direct(A, b)

    for call, count in (
        (lambda: free(P, solve), 1),
        (lambda: grad(lambda p: W @ free(p, solve))(P), 2),
        (lambda: jvp(lambda p: free(p, solve), (P,), (P,)), 2),
        (lambda: jacfwd(lambda p: free(p, solve))(P), 3),
        (lambda: vmap(lambda p: free(p, solve))(np.stack([P, P, P])), 3),
    ):
        calls.clear()
        call()
        assert len(calls) == count


def test_mapped_systems_are_solved_instance_by_instance():
    points = np.stack([P, 2 * P, P + 1])
    np.testing.assert_allclose(vmap(free)(points), np.stack([dense(p) for p in points]), rtol=1e-10)
    f, g = (lambda p: W @ free(p)), (lambda p: W @ dense(p))
    np.testing.assert_allclose(vmap(grad(f))(points), vmap(grad(g))(points), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(vmap(hessian(f))(points), vmap(hessian(g))(points), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(grad(lambda q: np.sum(vmap(f)(q)))(points), vmap(grad(g))(points), rtol=1e-9, atol=1e-12)
    right = np.stack([B, W])  # many right-hand sides of one operator
    solve = vmap(lambda b, s: implicit.linear_solve(lambda v: s * (S @ v), b, cg, symmetric=True), in_axes=(0, None))
    np.testing.assert_allclose(solve(right, 2.0), np.linalg.solve(2 * S, right.T).T, rtol=1e-10)
    np.testing.assert_allclose(
        grad(lambda s: np.sum(solve(right, s)))(2.0), -np.sum(np.linalg.solve(S, right.T)) / 4, rtol=1e-10
    )


def test_the_rank_of_pages_follows_the_damping_and_the_links():
    """(1 - d P) x = (1 - d)/n: dx/dd = (1 - d P)^-1 (P x - 1/n), P a sparse matrix."""
    n = 30
    links = sparse.random_array((n, n), density=0.2, rng=np.random.default_rng(1), format="csr") + sparse.eye_array(n)
    links = links / links.sum(axis=0)
    d = 0.85

    def rank(d):
        def matvec(v):
            return v - d * product(v)

        return implicit.linear_solve(matvec, (1 - d) * np.full(n, 1 / n), gmres)

    dense_links = links.toarray()
    product = lambda v: dense_links @ v
    x = rank(d)
    assert np.sum(x) == pytest.approx(1)
    expected = np.linalg.solve(np.eye(n) - d * dense_links, dense_links @ x - 1 / n)
    np.testing.assert_allclose(jvp(rank, (d,), (1.0,))[1], expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(grad(lambda d: rank(d)[3])(d), expected[3], rtol=1e-8)


def test_factorizations_made_beforehand():
    general = matrix(P, True)
    lu, sparse_lu, factor = la.lu_factor(general), sla.splu(sparse.csc_array(general)), la.cho_factor(S)
    for solve, transpose_solve in (
        (lambda A, b: la.lu_solve(lu, b), lambda A, b: la.lu_solve(lu, b, trans=2)),
        (lambda A, b: sparse_lu.solve(b), lambda A, b: sparse_lu.solve(b, trans="H")),
    ):
        f = lambda b, s=solve, t=transpose_solve: implicit.linear_solve(lambda v: general @ v, b, s, t)
        np.testing.assert_allclose(jacrev(f)(B), np.linalg.inv(general), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(jacfwd(f)(B), np.linalg.inv(general), rtol=1e-10, atol=1e-12)
    overwriting = lambda A, b: la.cho_solve(factor, b, overwrite_b=True)
    f = lambda b: implicit.linear_solve(lambda v: S @ v, b, overwriting, symmetric=True)
    np.testing.assert_allclose(jacrev(f)(B), np.linalg.inv(S), rtol=1e-10, atol=1e-12)


def test_a_factorization_that_ignores_the_transposed_operator_is_noticed():
    general = matrix(P, True)
    f = lambda b: implicit.linear_solve(lambda v: general @ v, b, lambda A, b: np.linalg.solve(general, b))
    np.testing.assert_allclose(jacfwd(f)(B), np.linalg.inv(general), rtol=1e-10, atol=1e-12)
    with pytest.warns(errors.ResidualWarning, match=r"the transposed system .* give transpose_solve=, or symmetric=True"):
        grad(lambda b: W @ f(b))(B)


def test_trees_and_complex_systems():
    tree_b = {"u": B[:3], "v": (B[3:5], B[5])}

    def matvec(x, s):
        flat = np.concatenate([x["u"], x["v"][0], np.reshape(x["v"][1], (1,))])
        y = s * (S @ flat)
        return {"u": y[:3], "v": (y[3:5], y[5])}

    f = lambda s: implicit.linear_solve(lambda x: matvec(x, s), tree_b, cg, symmetric=True)
    expected = np.linalg.solve(S, B)
    np.testing.assert_allclose(f(2.0)["v"][0], expected[3:5] / 2, rtol=1e-10)
    gradient = grad(lambda s: np.sum(f(s)["u"]) + f(s)["v"][1])(2.0)
    np.testing.assert_allclose(gradient, -(expected[:3].sum() + expected[5]) / 4, rtol=1e-9)
    C = S + 1j * G
    solve = lambda c, b: implicit.linear_solve(lambda v: (c * C) @ v, b, gmres)
    c = 1.2 - 0.4j
    for b in (B + 1j * W, B):  # a real right-hand side of a complex operator has a complex solution
        closed = lambda c, b: np.linalg.solve(c * C, b)
        np.testing.assert_allclose(solve(c, b), closed(c, b), rtol=1e-10)
        loss = lambda c, b, f: np.sum(np.abs(f(c, b) * W + 1) ** 2)
        for k in (0, 1):
            got, wanted = grad(loss, k)(c, b, solve), grad(loss, k)(c, b, closed)
            assert np.result_type(got) == np.result_type(wanted)
            np.testing.assert_allclose(got, wanted, rtol=1e-9)


def test_float32_and_zero():
    s, b = np.float32(2), B.astype(np.float32)
    f = lambda s, b: implicit.linear_solve(lambda v: s * (S.astype(np.float32) @ v), b, functools.partial(sla.cg, rtol=1e-6))
    for value in (f(s, b), jacrev(f, 1)(s, b), jacfwd(f)(s, b), grad(lambda s: f(s, b)[0])(s)):
        assert value.dtype == np.float32
    np.testing.assert_allclose(jacrev(f, 1)(s, b), np.linalg.inv(2 * S), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(f(s, 0 * b), np.zeros(N, np.float32))
    np.testing.assert_allclose(jacfwd(lambda b: f(s, b))(0 * b), np.linalg.inv(2 * S), rtol=1e-4, atol=1e-6)


# ---- the systems of derivatives, without a matrix ---------------------------------------------------------------------


def equations(x: Any, p: Any) -> Any:
    return matrix(p, True) @ x + 0.1 * x**3 - np.sin(p[1]) * B


def newton_solver(x: Any, p: Any) -> Any:
    for _ in range(30):
        x = x - np.linalg.solve(jacobian(equations)(x, p), equations(x, p))
    return x


def test_a_root_with_a_matrix_free_system_equals_the_dense_one():
    dense_root = implicit.root(equations, newton_solver)
    free_root = implicit.root(equations, newton_solver, linear_solver=gmres)
    x0, points = np.zeros(N), np.stack([P, 2 * P])
    for mode in (jacfwd, jacrev):
        np.testing.assert_allclose(mode(lambda p: free_root(x0, p))(P), mode(lambda p: dense_root(x0, p))(P), rtol=1e-9, atol=1e-12)
    f, g = (lambda p: W @ free_root(x0, p)), (lambda p: W @ dense_root(x0, p))
    expected = hessian(g)(P)
    for outer, inner in itertools.product((jacfwd, jacrev), repeat=2):
        np.testing.assert_allclose(outer(inner(f))(P), expected, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(vmap(grad(f))(points), vmap(grad(g))(points), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(vjp(f, P)[1](2.0)[0], 2 * grad(g)(P), rtol=1e-9)
    closed_over = lambda p: W @ implicit.root(lambda x: equations(x, p), lambda x: newton_solver(x, p), linear_solver=gmres)(x0)
    np.testing.assert_allclose(hessian(closed_over)(P), expected, rtol=1e-8, atol=1e-11)


def test_a_minimum_gives_its_solver_a_symmetric_operator():
    def f(x, p):
        return 0.5 * x @ (matrix(p, False) @ x) + 0.1 * np.sum(x**4) - np.sin(p[1]) * (B @ x)

    def solver(x, p):
        for _ in range(30):
            x = x - np.linalg.solve(hessian(f)(x, p), grad(f)(x, p))
        return x

    def by_cg(A, b):
        np.testing.assert_allclose(A @ B, A.H @ B, rtol=1e-14)
        return cg(A, b)

    x0 = np.zeros(N)
    for derivative in (jacfwd, jacrev, lambda f: hessian(lambda p: W @ f(p))):
        np.testing.assert_allclose(
            derivative(lambda p: implicit.minimum(f, solver, linear_solver=by_cg)(x0, p))(P),
            derivative(lambda p: implicit.minimum(f, solver)(x0, p))(P),
            rtol=1e-9,
            atol=1e-12,
        )
