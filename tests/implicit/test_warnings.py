"""What is said of a solution that is none, of a singular system, and of bad arguments; and what a solve leaves on a tape."""

from __future__ import annotations

import contextvars
import gc
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
import scipy.sparse.linalg as sla

from dualgrad import Tape, errors, grad, implicit, jacobian, jvp, vmap

A = np.array([[3.0, 1.0], [1.0, 2.0]])
B = np.array([1.0, 2.0])


# ---- not a solution ---------------------------------------------------------------------------------------------------


def test_a_residual_is_told_with_its_size_the_tolerance_and_the_step_that_is_missing():
    solve = implicit.root(lambda x, a: x**2 - a, lambda init, a: init)
    message = (
        r"implicit.root: F\(x\) is not zero at the solution returned: its largest element is 1, the tolerance 0.000122; "
        r"a Newton step would move a solution of size 1 by 0.5 \(at .*test_warnings.py:\d+\)\. .* let the solver converge further"
    )
    with pytest.warns(errors.ResidualWarning, match=message) as record:
        grad(solve, argnums=1)(1.0, 2.0)
    assert len(record) == 1 and record[0].filename == __file__
    solve(1.0, 2.0)  # silent where no derivative is taken
    for loose in (10.0, np.inf):
        grad(implicit.root(lambda x, a: x**2 - a, lambda init, a: init, tol=loose), argnums=1)(1.0, 2.0)
    with pytest.warns(errors.ResidualWarning, match="the tolerance 1e-12"):
        tight = implicit.root(lambda x, a: x**2 - a, lambda init, a: np.sqrt(a) + 1e-6, tol=1e-12)
        grad(tight, argnums=1)(1.0, 2.0)


def test_the_condition_that_fails_is_named():
    for make, what in (
        (implicit.fixed_point(lambda x, a: np.cos(a * x)), r"implicit.fixed_point: T\(x\) - x is not zero"),
        (implicit.minimum(lambda x, a: (x - a) ** 2), r"implicit.minimum: grad f\(x\) is not zero"),
    ):
        with pytest.warns(errors.ResidualWarning, match=what):
            grad(make(lambda init, a: init), argnums=1)(1.0, 2.0)


def test_scipys_own_success_is_not_taken_for_granted():
    """MINPACK's lm, begun at 0, stops at a point that is no root and says it succeeded."""
    F = lambda x, t: A @ x + 0.1 * x**3 - t * B
    with pytest.warns(errors.ResidualWarning, match="largest element is 0.0131"):
        jacobian(implicit.root(F, lambda x0, t: so.root(F, x0, args=(t,), method="lm")), argnums=1)(np.zeros(2), 0.7)


def test_a_residual_is_measured_by_the_step_that_is_missing():
    """A relative error of 1e-6 in a solution is none to speak of, whatever the units of F; and so is a residual of 1e-9."""
    for scale in (1e-12, 1.0, 1e12):
        solve = implicit.root(lambda x, a, s=scale: s * (x - a), lambda init, a: a * (1 + 1e-6))
        np.testing.assert_allclose(grad(solve, argnums=1)(None, 3e4), 1.0)
    near_zero = implicit.root(lambda x, a: x - a, lambda init, a: a + 1e-9)
    np.testing.assert_allclose(grad(near_zero, argnums=1)(None, 0.0), 1.0)


def test_the_worst_instance_is_told():
    solve = implicit.root(lambda x, a: x - a, lambda init, a: a if a < 5 else a + 2 * a)
    with pytest.warns(errors.ResidualWarning, match="largest element is 18, .* a solution of size 27 by 18"):
        vmap(grad(solve, argnums=1), in_axes=(None, 0))(None, np.array([1.0, 6.0, 9.0, 2.0]))


def test_a_linear_solver_that_stops_early_is_noticed():
    L = np.diag(np.arange(1.0, 40.0))
    message = r"did not solve A x = b: \|A x - b\| = 2.02, the tolerance is 0.000122 of 6.24"
    with pytest.warns(errors.ResidualWarning, match=message):
        implicit.linear_solve(lambda v: L @ v, np.ones(39), lambda A, b: sla.cg(A, b, maxiter=3))
    implicit.linear_solve(lambda v: L @ v, np.ones(39), lambda A, b: sla.cg(A, b, maxiter=3), tol=1.0)
    singular = np.array([[1.0, 0.0], [0.0, 0.0]])
    with pytest.warns(errors.ResidualWarning, match=r"\|A x - b\| = 1, "):
        implicit.linear_solve(lambda v: singular @ v, np.ones(2), lambda A, b: np.linalg.pinv(singular) @ b)
    solve = implicit.root(lambda x, a: A @ x - a, lambda init, a: np.linalg.solve(A, a), linear_solver=lambda A, b: 0 * b)
    with pytest.warns(errors.ResidualWarning, match=r"implicit.root: the linear solver did not solve the transposed system"):
        grad(lambda a: solve(None, a)[0])(B)


# ---- singular systems -------------------------------------------------------------------------------------------------


def test_a_singular_system_is_told_with_its_singular_values_and_answered_with_least_norm():
    """A valley of minima, x + y = a: of all its derivatives the shortest is (1/2, 1/2)."""
    valley = implicit.minimum(lambda x, a: (x[0] + x[1] - a) ** 2, lambda init, a: np.array([a - 1.0, 1.0]))
    message = (
        r"implicit.minimum: the system of 2 equations for the derivatives is singular to working precision: the singular values "
        r"of the Jacobian at the solution go from 4 down to [\de.-]+, condition number \S+ \(at .*test_warnings.py:\d+\)\. "
        r".* minimum norm \(pseudoinverse\)\. .* small ridge"
    )
    for derivative in (lambda a: jacobian(lambda a: valley(None, a))(a), lambda a: jvp(lambda a: valley(None, a), (a,), (1.0,))[1]):
        with pytest.warns(errors.SingularSystemWarning, match=message):
            np.testing.assert_allclose(derivative(3.0), [0.5, 0.5], rtol=1e-12)
    with pytest.warns(errors.SingularSystemWarning):  # what does not depend on the choice is exact
        np.testing.assert_allclose(grad(lambda a: np.sum(valley(None, a)) ** 2)(3.0), 6.0, rtol=1e-12)


def test_a_zero_pivot_an_infinite_one_and_one_instance_of_many():
    double_root = implicit.root(lambda x, a: x**2 - a, lambda init, a: np.sqrt(a))
    with pytest.warns(errors.SingularSystemWarning, match=r"1 equation .* from 0 down to 0, condition number inf"):
        assert grad(double_root, argnums=1)(None, 0.0) == 0.0
    with pytest.warns(errors.SingularSystemWarning, match=r"from 0 down to 0"):
        got = vmap(grad(double_root, argnums=1), in_axes=(None, 0))(None, np.array([4.0, 0.0, 1.0]))
    np.testing.assert_allclose(got, [0.25, 0.0, 0.5], rtol=1e-13)
    steep = implicit.root(lambda x, a: np.sqrt(x) + x[::-1] - a, lambda init, a: a**2)
    with pytest.warns(errors.SingularSystemWarning, match=r"the Jacobian at the solution is not finite \(2 of its 4 elements\)"):
        assert np.isnan(grad(lambda a: np.sum(steep(None, a)))(np.zeros(2))).all()


def test_a_merely_stiff_system_is_no_singular_one():
    scales = 10.0 ** np.arange(-6, 6)
    solve = implicit.root(lambda x, a: scales * x - a, lambda init, a: a / scales)
    np.testing.assert_allclose(grad(lambda a: np.sum(solve(None, a)))(np.ones(12)), 1 / scales, rtol=1e-13)


# ---- bad arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: implicit.root(3.0), errors.ArgumentError, "implicit.root: the first argument must be a function"),
        (lambda: implicit.fixed_point(None), errors.ArgumentError, "implicit.fixed_point: the first argument must be a function"),
        (lambda: implicit.minimum(None), errors.ArgumentError, "implicit.minimum: the first argument must be a function"),
        (lambda: implicit.root(np.sin, 1.0), errors.ArgumentError, r"the solver must be a function \(init, \*args\) -> x, not 1.0"),
        (lambda: implicit.root(np.sin, linear_solver="gmres"), errors.ArgumentError, r"linear_solver must be .* not 'gmres'"),
        (lambda: implicit.root(np.sin, tol=-1.0), errors.ArgumentError, "tol must not be negative, got -1.0"),
        (lambda: implicit.linear_solve(A, B, sla.cg), errors.ArgumentError, "implicit.linear_solve: the first argument must be"),
        (
            lambda: implicit.root(lambda x, a: x[:1] - a, lambda init, a: np.ones(2) * a)(None, 1.0),
            errors.StructureError,
            r"implicit.root: F\(x\) has 1 elements for 2 unknowns .* one equation for each unknown",
        ),
        (
            lambda: implicit.fixed_point(lambda x, a: (x, a), lambda init, a: a)(None, 1.0),
            errors.StructureError,
            r"implicit.fixed_point: at the root, T\(x\) is a tuple of 2 and x is a leaf",
        ),
        (
            lambda: implicit.root(lambda x, a: x - a, lambda init, a: 3)(None, 1.0),
            errors.OutputError,
            r"implicit.root: the solver <lambda> must return floating numbers .* returned 3 \(int\)",
        ),
        (
            lambda: implicit.root(lambda x, a: x - a, lambda init, a: a, has_aux=True)(None, 1.0),
            errors.OutputError,
            r"implicit.root: with has_aux=True <lambda> must return a pair \(value, aux\)",
        ),
        (
            lambda: implicit.linear_solve(lambda v: v[:1], B, sla.cg),
            errors.StructureError,
            r"implicit.linear_solve: matvec\(x\) has 1 elements and b has 2 .* square system",
        ),
        (
            lambda: implicit.linear_solve(lambda v: (v, v), B, sla.cg),
            errors.StructureError,
            r"implicit.linear_solve: at the root, matvec\(x\) is a tuple of 2 and b is a leaf",
        ),
        (
            lambda: implicit.linear_solve(lambda v: A @ v, B, lambda A, b: b[:1]),
            errors.StructureError,
            r"the linear solver must return a vector of 2 elements, but returned float64\[1\]",
        ),
        (
            lambda: vmap(lambda a: implicit.root(lambda x, a: x - a, lambda init, a: a)(None, a))(np.ones(0)),
            errors.ArgumentError,
            "a solver cannot be mapped over an axis of length 0",
        ),
    ],
)
def test_errors_say_what_was_got_and_what_to_do(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# ---- what a solve leaves behind ---------------------------------------------------------------------------------------


def records(solve: Any) -> int:
    """The length of a tape on which solve(a) was computed."""
    with Tape() as tape:
        solve(tape.watch(np.array([0.7, 0.9])))
    return len(tape.history)


def test_the_tape_does_not_grow_with_the_iterations_of_the_solver():
    def of_argument(count):
        def iterate(x, a):
            for _ in range(count):
                x = np.cos(a * x)
            return x

        return lambda a: implicit.fixed_point(lambda x, a: np.cos(a * x), iterate, tol=1.0)(np.ones(2), a)

    def of_closure(count):
        def solve(a):
            T = lambda x: np.cos(a * x)

            def iterate(x):
                for _ in range(count):
                    x = T(x)
                return x

            return implicit.fixed_point(T, iterate, tol=1.0)(np.ones(2))

        return solve

    def of_hidden(count):
        def solve(a):
            problem = {"object": type("Problem", (), {"a": a})}
            T = lambda x: np.cos(problem["object"].a * x)

            def iterate(x):
                for _ in range(count):
                    x = np.asarray(T(x))
                return x

            return implicit.fixed_point(T, iterate, tol=1.0)(np.ones(2))

        return solve

    for make in (of_argument, of_closure, of_hidden):
        assert records(make(100)) == records(make(1)) <= 25


def test_a_value_kept_from_inside_a_solver_raises_when_its_derivative_is_asked_for():
    kept = []

    def loss(a):
        equation = lambda x: x - a

        def solver(init):
            kept.append(equation(init))
            return float(a)

        x = implicit.root(equation, solver)(1.0)
        return x * kept[-1]

    with pytest.raises(errors.EscapedTraceError, match=r"a value made inside checkpoint\(f\) or a solver was used outside"):
        grad(loss)(2.0)


def test_an_exception_in_a_solver_leaves_no_box_open():
    def failing(init, a):
        raise RuntimeError("no convergence")

    def loss(a):
        with pytest.raises(RuntimeError):
            implicit.root(lambda x, a: x - a, failing)(1.0, a)
        with pytest.raises(errors.TracedConversionError):
            float(a)
        return a**2

    assert grad(loss)(3.0) == 6.0


def test_a_linear_solver_sees_the_callers_context_in_a_pullback_too():
    setting = contextvars.ContextVar("setting", default="unset")
    seen = []

    def solve(A, b):
        seen.append(setting.get())
        return b / 2

    setting.set("set")
    grad(lambda b: np.sum(implicit.linear_solve(lambda v: 2 * v, b, solve)))(np.ones(2))
    assert seen == ["set", "set"]


def test_a_solve_leaves_no_reference_cycles():
    root = implicit.root(lambda x, a: x**2 - a, lambda init, a: np.sqrt(a))
    linear = lambda a: implicit.linear_solve(lambda v: a * v, np.ones(2), sla.gmres)
    gradients = [grad(lambda a: np.sum(root(None, a))), grad(lambda a: np.sum(linear(a)))]
    for gradient in gradients:
        gradient(np.ones(2))
        gc.collect()
        gc.disable()
        try:
            gradient(np.ones(2))
            assert gc.collect() == 0
        finally:
            gc.enable()


def test_a_decorated_solver_keeps_its_name():
    @implicit.root(lambda x, a: x - a)
    def identity(init, a):
        """Says what it does."""
        return a

    assert identity.__name__ == "identity" and identity.__doc__ == "Says what it does."
