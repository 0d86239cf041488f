"""Derivatives through SciPy's initial value solvers, against variational equations at 1e-12, closed forms, and SciPy itself."""

import numpy as np
import pytest
import scipy.integrate

import dualgrad.scipy.integrate
from dualgrad import directional_derivatives, errors, grad, hessian, jacobian, jvp, vjp, vmap
from dualgrad.interpreters.tape import Tape
from dualgrad.scipy.integrate import odeint, replay, solve_ivp

METHODS = ("RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA")
TIGHT = {"rtol": 1e-7, "atol": 1e-9}


# ---- references: the variational equations, written by hand, without dualgrad --------------------------------------------


def variational(f, f_y, f_p, y0, t_span, atol):
    """y(t1) and its derivatives by (y0, p): Y' = f_y Y + [0, f_p], Y(t0) = [1, 0]."""
    n, m = len(y0), f_p(0.0, y0).shape[1]

    def fun(t, z):
        y, Y = z[:n], z[n:].reshape(n, n + m)
        slope = f_y(t, y) @ Y
        slope[:, n:] += f_p(t, y)
        return np.concatenate([f(t, y), slope.ravel()])

    start = np.concatenate([y0, np.eye(n, n + m).ravel()])
    found = scipy.integrate.solve_ivp(fun, t_span, start, "LSODA", rtol=1e-12, atol=atol).y[:, -1]
    return found[:n], found[n:].reshape(n, n + m)


PREY, LOTKA = np.array([10.0, 5.0]), np.array([1.5, 1.0, 3.0, 1.0])


def lotka_volterra(t, y, a, b, c, d):
    return [a * y[0] - b * y[0] * y[1], -c * y[1] + d * y[0] * y[1]]


def lotka_reference(t1):
    a, b, c, d = LOTKA
    return variational(
        lambda t, y: np.array(lotka_volterra(t, y, *LOTKA)),
        lambda t, y: np.array([[a - b * y[1], -b * y[0]], [d * y[1], -c + d * y[0]]]),
        lambda t, y: np.array([[y[0], -y[0] * y[1], 0, 0], [0, 0, -y[1], y[0] * y[1]]]),
        PREY, (0, t1), 1e-13,
    )  # fmt: skip


RATES = np.array([0.04, 1e4, 3e7])


def robertson(t, y, k):
    forward, back, fast = k[0] * y[0], k[1] * y[1] * y[2], k[2] * y[1] ** 2
    return [back - forward, forward - back - fast, fast]


def robertson_reference(t1):
    k = RATES

    def f_y(t, y):
        return np.array([
            [-k[0], k[1] * y[2], k[1] * y[1]],
            [k[0], -k[1] * y[2] - 2 * k[2] * y[1], -k[1] * y[1]],
            [0, 2 * k[2] * y[1], 0],
        ])  # fmt: skip

    def f_p(t, y):
        u, v, w = y[0], y[1] * y[2], y[1] ** 2
        return np.array([[-u, v, 0], [u, -v, -w], [0, 0, w]])

    return variational(lambda t, y: np.array(robertson(t, y, k)), f_y, f_p, np.array([1.0, 0, 0]), (0, t1), 1e-16)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_are_as_accurate_as_the_solution(method):
    """Lotka-Volterra: the relative error is below 10 rtol, or twice that of the solution where that is larger."""
    rtol = 1e-5 if method == "RK23" else 1e-7
    y, reference = lotka_reference(5.0)

    def end(v):
        return solve_ivp(lotka_volterra, (0, 5.0), v[:2], method, args=tuple(v[2:]), rtol=rtol, atol=rtol / 10).y[:, -1]

    v = np.concatenate([PREY, LOTKA])
    forward, reverse = jacobian(end, mode="forward")(v), jacobian(end, mode="reverse")(v)
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-11)
    error, own = np.abs(reverse - reference).max() / np.abs(reference).max(), np.abs(end(v) - y).max() / np.abs(y).max()
    assert error <= max(10 * rtol, 2 * own)


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_the_stiff_robertson_problem_agrees_with_the_variational_equations(method):
    rtol = 1e-7
    _, reference = robertson_reference(40.0)

    def end(y0, k):
        return solve_ivp(robertson, (0, 40.0), y0, method, args=(k,), rtol=rtol, atol=1e-11).y[:, -1]

    found = np.concatenate(jacobian(end, argnums=(0, 1), mode="reverse")(np.array([1.0, 0, 0]), RATES), axis=1)
    np.testing.assert_allclose(found, reference, rtol=10 * rtol)


# ---- closed forms --------------------------------------------------------------------------------------------------------


def decayed(v):
    """exp decay: y(t1) = y0 exp(-k (t1 - t0)) of v = (y0, k, t0, t1)."""
    return v[0] * np.exp(-v[1] * (v[3] - v[2]))


def decay(v, method="DOP853", **options):
    return solve_ivp(lambda t, y: -v[1] * y, (v[2], v[3]), [v[0]], method, **{**TIGHT, **options})


V = np.array([2.0, 0.7, 0.3, 1.9])


@pytest.mark.parametrize("method", METHODS)
def test_all_methods_in_all_modes_up_to_second_order(method):
    """With respect to the initial value, a parameter that fun closes over, and both ends of the interval."""
    end = lambda v: decay(v, method).y[0, -1]
    tangent = np.array([0.3, -1.0, 0.2, 0.5])
    gradient, curvature = grad(decayed)(V), hessian(decayed)(V)
    value, slope = jvp(end, (V,), (tangent,))
    assert value == scipy.integrate.solve_ivp(lambda t, y: -0.7 * y, (0.3, 1.9), [2.0], method, **TIGHT).y[0, -1]
    np.testing.assert_allclose(slope, gradient @ tangent, rtol=2e-6)
    np.testing.assert_allclose(grad(end)(V), gradient, rtol=2e-6)
    by_mode = [hessian(end, mode=m)(V) for m in ("forward-reverse", "reverse-reverse", "forward-forward")]
    for found in by_mode:
        np.testing.assert_allclose(found, by_mode[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found, curvature, rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize("method", ["RK45", "BDF"])
def test_the_third_and_fourth_derivative_of_a_decay(method):
    end = lambda k: decay((2.0, k, 0.3, 1.9), method).y[0, -1]
    np.testing.assert_allclose(grad(grad(grad(end)))(0.7), -(1.6**3) * 2 * np.exp(-0.7 * 1.6), rtol=2e-6)
    series = directional_derivatives(end, 0.7, 1.0, order=4)
    np.testing.assert_allclose(series, 2 * np.exp(-0.7 * 1.6) * (-1.6) ** np.arange(5), rtol=2e-6)


@pytest.mark.parametrize("method", ["RK45", "DOP853", "Radau", "BDF", "LSODA"])
def test_times_of_evaluation_are_differentiated(method):
    def between(v):  # v[3] inside of the interval, and its end elsewhere
        at = solve_ivp(lambda t, y: -v[1] * y, (v[2], 2.5), [v[0]], method, t_eval=np.stack([v[2], 1.0, v[3]]), **TIGHT)
        dense = solve_ivp(lambda t, y: -v[1] * y, (v[2], 2.5), [v[0]], method, dense_output=True, **TIGHT).sol
        return np.stack([at.y[0, 2], dense(v[3])[0], dense(np.stack([0.5, v[3]]))[0, 1], at.t[2], at.y[0, 0]])

    expected = lambda v: np.stack([decayed(v), decayed(v), decayed(v), v[3], v[0]])
    np.testing.assert_allclose(jacobian(between)(V), jacobian(expected)(V), rtol=2e-6, atol=2e-7)
    np.testing.assert_allclose(hessian(lambda v: between(v)[0])(V), hessian(decayed)(V), rtol=2e-5, atol=2e-6)


def test_the_end_of_the_interval_does_not_move_inner_points():
    inner = lambda t1: solve_ivp(lambda t, y: np.cos(t) * y, (0, t1), [1.0], t_eval=[0.5, 1.0]).y
    np.testing.assert_array_equal(jvp(inner, (2.0,), (1.0,))[1], np.zeros((1, 2)))


@pytest.mark.parametrize("method", ["RK45", "Radau", "LSODA"])
def test_backwards_in_time(method):
    v = np.array([2.0, 0.7, 1.9, 0.3])
    back = lambda v: decay(v, method, t_eval=[1.0, 0.5], dense_output=True)
    at = lambda v, t: decayed((v[0], v[1], v[2], t))
    found = jacobian(lambda v: np.concatenate([back(v).y[0], back(v).sol(0.7)]))(v)
    np.testing.assert_allclose(found, [grad(at)(v, t) for t in (1.0, 0.5, 0.7)], rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("method", ["RK45", "Radau"])
def test_an_interval_of_length_zero(method):
    end = lambda v: decay(v, method).y[0, -1]
    v = np.array([2.0, 0.7, 1.0, 1.0])
    np.testing.assert_allclose(grad(end)(v), [1.0, 0.0, 1.4, -1.4], atol=1e-15)


@pytest.mark.parametrize("method", ["DOP853", "Radau"])
def test_an_oscillator_that_depends_on_time_through_a_tree_of_parameters(method):
    """y'' = -w^2 y + cos(t): y = cos(w t) + (cos t - cos(w t)) / (w^2 - 1)."""

    def fun(t, y, parameters, scale):
        return np.stack([y[1], -parameters["w"][0] ** 2 * y[0] + scale * np.cos(t)])

    def end(parameters):
        return solve_ivp(fun, (0, 3.0), [1.0, 0.0], method, args=(parameters, 1.0), **TIGHT).y[0, -1]

    closed = lambda w: np.cos(3 * w) + (np.cos(3.0) - np.cos(3 * w)) / (w * w - 1)
    tree = {"w": [np.float64(2.0)], "name": "forced", "count": 3}
    found = grad(end)(tree)
    np.testing.assert_allclose(found["w"][0], grad(closed)(2.0), rtol=1e-6)
    assert found["name"] is None and found["count"] is None


@pytest.mark.parametrize("method", METHODS)
def test_the_time_of_an_event(method):
    """A ball dropped from h hits the ground at sqrt(2 h / g) with speed sqrt(2 h g), where the run ends."""

    def hit(t, y):
        return y[0]

    hit.terminal, hit.direction = True, -1

    def fall(v):
        found = solve_ivp(lambda t, y: [y[1], -v[1]], (0, 10.0), [v[0], 0.0], method, events=hit, **TIGHT)
        assert found.status == 1 and found.success
        return np.stack([found.t_events[0][0], found.t[-1], found.y_events[0][0, 1], found.y[1, -1], found.y[0, -1]])

    closed = lambda v: np.stack([np.sqrt(2 * v[0] / v[1])] * 2 + [-np.sqrt(2 * v[0] * v[1])] * 2 + [0 * v[0]])
    v = np.array([3.0, 9.81])
    np.testing.assert_allclose(jacobian(fall, mode="forward")(v), jacobian(closed)(v), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(jacobian(fall, mode="reverse")(v), jacobian(closed)(v), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(hessian(lambda v: fall(v)[0])(v), hessian(lambda v: closed(v)[0])(v), rtol=1e-6)


def test_events_that_do_not_end_the_run_and_see_args_and_closures():
    """cos(w t) = c at w t = arccos c, 2 pi - arccos c, ...; the third derivative, and y and t_eval untouched."""

    def moments(w, c):
        reaches = lambda t, y, w: y[0] - c
        never = lambda t, y, w: y[0] - 7.0
        found = solve_ivp(
            lambda t, y, w: [y[1], -w * w * y[0]], (0, 4.0), [1.0, 0.0], "DOP853", events=[never, reaches], args=(w,), **TIGHT
        )
        assert found.t_events[0].size == 0 and found.y_events[0].size == 0
        return found.t_events[1]

    arc = np.arccos(0.2)
    expected = np.array([arc, 2 * np.pi - arc, 2 * np.pi + arc])[: len(moments(2.0, 0.2))]
    assert len(expected) == 3
    np.testing.assert_allclose(jacobian(moments, argnums=0)(2.0, 0.2), -expected / 4, rtol=1e-6)
    by_c = np.array([-1, 1, -1]) / np.sqrt(1 - 0.04) / 2
    np.testing.assert_allclose(jacobian(moments, argnums=1)(2.0, 0.2), by_c, rtol=1e-6)
    third = grad(grad(grad(lambda w: moments(w, 0.2)[1])))(2.0)
    np.testing.assert_allclose(third, -6 * expected[1] / 16, rtol=1e-5)


# ---- laws ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_plain_and_traced_runs_are_scipys(method):
    """All fields; the traced arrays hold SciPy's numbers to the last bit."""
    crossing = lambda t, y, *args: y[0] - 6.0
    ask = {"method": method, "t_eval": np.linspace(0, 2, 7), "events": crossing, "args": tuple(LOTKA), "rtol": 1e-5}
    ask["dense_output"] = True
    scipys = scipy.integrate.solve_ivp(lotka_volterra, (0, 2.0), PREY, **ask)
    plain = solve_ivp(lotka_volterra, (0, 2.0), PREY, **ask)
    traced = {}

    def run(y0):
        traced.update(solve_ivp(lotka_volterra, (0, 2.0), y0, **ask))
        parts = traced["y"], traced["t_events"][0], traced["y_events"][0], traced["sol"](np.array([0.1, 1.9]))
        return parts

    values, _ = jvp(run, (PREY,), (np.ones(2),))
    assert type(plain) is type(scipys) and set(traced) == set(scipys)
    for name in ("nfev", "njev", "nlu", "status", "message", "success"):
        assert traced[name] == scipys[name] == plain[name]
    expected = scipys.y, scipys.t_events[0], scipys.y_events[0], scipys.sol(np.array([0.1, 1.9]))
    for found, right in zip(values, expected, strict=True):
        np.testing.assert_array_equal(found, right)
    np.testing.assert_array_equal(plain.y, scipys.y)
    np.testing.assert_array_equal(traced["t"], scipys.t)
    np.testing.assert_array_equal(traced["sol"].ts, scipys.sol.ts)


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853"])
def test_steps_one_by_one_are_the_reference_of_all_at_once(method, monkeypatch):
    loss = lambda v: np.sum(solve_ivp(lotka_volterra, (0, v[6]), v[:2], method, args=tuple(v[2:6])).y[:, 5:] ** 2)
    v = np.concatenate([PREY, LOTKA, [1.0]])
    fast = grad(loss)(v), hessian(loss)(v)
    monkeypatch.setattr(replay, "WIDTH", 0)
    clear = grad(loss)(v), hessian(loss)(v)
    np.testing.assert_allclose(fast[0], clear[0], rtol=1e-11)
    np.testing.assert_allclose(fast[1], clear[1], rtol=1e-9, atol=1e-9 * np.abs(clear[1]).max())


@pytest.mark.parametrize("method", ["RK45", "LSODA"])
def test_fun_may_branch_on_time_and_state(method):
    """A drive that is on until t = 1: y(2) = y0 + k, whatever the sign of y."""

    def fun(t, y, k):
        return [k if t < 1 else 0.0 * k] if y[0] > -1e9 else y

    end = lambda y0, k: sum(solve_ivp(fun, span, [y0], method, args=(k,), max_step=0.1).y[0, -1] for span in [(0, 0.9), (1.1, 2)])
    np.testing.assert_allclose(grad(end, argnums=(0, 1))(0.5, 2.0), (2.0, 0.9), rtol=1e-10)


def test_a_large_state():
    """The heat equation on 60 points: a mode sin(j x) decays with its eigenvalue."""
    n, j = 60, 2
    x = np.pi * np.arange(1, n + 1) / (n + 1)

    def fun(t, y, k):
        padded = np.concatenate([np.zeros(1), y, np.zeros(1)])
        return k * (padded[2:] - 2 * y + padded[:-2]) * ((n + 1) / np.pi) ** 2

    eigenvalue = (2 * np.cos(j * np.pi / (n + 1)) - 2) * ((n + 1) / np.pi) ** 2
    end = lambda k: np.sum(solve_ivp(fun, (0, 0.2), np.sin(j * x), args=(k,), rtol=1e-6, atol=1e-8).y[:, -1] * np.sin(j * x))
    weight = np.sum(np.sin(j * x) ** 2)
    np.testing.assert_allclose(grad(end)(1.0), weight * 0.2 * eigenvalue * np.exp(0.2 * eigenvalue), rtol=1e-4)


def held(tape):
    """Bytes of the arrays that a tape keeps alive."""
    arrays = {}

    def walk(part):
        if isinstance(part, np.ndarray):
            arrays[id(part)] = part.nbytes
        elif isinstance(part, tuple):
            for inner in part:
                walk(inner)

    for record in tape.history:
        walk(record)
    return sum(arrays.values())


@pytest.mark.parametrize("method", ["RK45", "Radau"])
def test_the_tape_of_a_long_run_holds_one_segment_at_a_time(method, monkeypatch):
    """Checkpoints: the same derivatives, while the residuals of 100 steps are not on the tape."""
    loss = lambda k: np.sum(solve_ivp(lambda t, y: [y[1], -k * y[0]], (0, 5.0), [1.0, 0.0], method, max_step=0.05).y[0])

    def memory():
        with Tape() as tape:
            loss(tape.watch(2.0))
        return held(tape)

    whole, curvature, everything = grad(loss)(2.0), grad(grad(loss))(2.0), memory()
    monkeypatch.setattr(replay, "SEGMENT", 16)
    assert memory() < everything / 5
    np.testing.assert_allclose(grad(loss)(2.0), whole, rtol=1e-11)
    np.testing.assert_allclose(grad(grad(loss))(2.0), curvature, rtol=1e-9)
    _, pullback = vjp(loss, 2.0)
    np.testing.assert_allclose(pullback(1.0)[0], whole, rtol=1e-11)


def test_what_fun_closes_over_leaves_nothing_on_the_tape():
    calls = []

    def loss(k):
        def fun(t, y):
            calls.append(t)
            return -np.sin(k) * np.exp(k) * y

        return solve_ivp(fun, (0, 10.0), [1.0], max_step=0.05).y[0, -1]

    with Tape() as tape:
        loss(tape.watch(0.5))
    assert len(calls) > 1000
    assert len(tape.history) < len(calls) / 4


def test_a_pullback_works_after_the_run_and_twice():
    _, pullback = vjp(lambda k: decay((2.0, k, 0.3, 1.9)).y[0, -1], 0.7)
    assert pullback(1.0)[0] == pullback(2.0)[0] / 2


def test_inner_and_outer_transforms_do_not_mix():
    """d/da of a times the derivative by b of exp(-(a + b)): products of outer and inner closures."""
    end = lambda k: solve_ivp(lambda t, y: -k * y, (0, 1.0), [1.0], **TIGHT).y[0, -1]
    outer = grad(lambda a: a * grad(lambda b: end(a + b))(0.3))(0.5)
    np.testing.assert_allclose(outer, -np.exp(-0.8) + 0.5 * np.exp(-0.8), rtol=1e-5)
    mixed = grad(lambda a: jvp(lambda b: end(a * b), (0.3,), (1.0,))[1])(0.5)
    np.testing.assert_allclose(mixed, (-1 + 0.15) * np.exp(-0.15), rtol=1e-5)


@pytest.mark.parametrize("method", ["RK45", "Radau", "LSODA"])
def test_vmap_integrates_all_instances_as_one_system(method):
    x = np.array([[1.0, 0.5], [2.0, 0.7], [3.0, 1.0]])
    one = lambda x: solve_ivp(lambda t, y: -x[1] * y, (0, 1.0), np.stack([x[0]]), method, t_eval=[0.5, 1.0], **TIGHT).y[0, 1]
    exact = lambda x: x[0] * np.exp(-x[1])
    np.testing.assert_allclose(vmap(one)(x), vmap(exact)(x), rtol=1e-6)
    np.testing.assert_allclose(vmap(grad(one))(x), vmap(grad(exact))(x), rtol=1e-6)
    np.testing.assert_allclose(grad(lambda x: np.sum(vmap(one)(x)))(x), vmap(grad(exact))(x), rtol=1e-6)
    np.testing.assert_allclose(vmap(hessian(one))(x), vmap(hessian(exact))(x), rtol=1e-5, atol=1e-7)
    both = vmap(vmap(grad(lambda y, k: one(np.stack([y, k])), argnums=1), (0, None)), (None, 0))(x[:, 0], x[:, 1])
    np.testing.assert_allclose(both, -x[:, 0] * np.exp(-x[:, 1:]), rtol=1e-6)


def test_vmap_with_a_tolerance_for_every_component_and_dense_output():
    y = lambda k: solve_ivp(
        lambda t, y: np.stack([-k, -2 * k]) * y, (0, 1.0), [1.0, 1.0], rtol=1e-7, atol=[1e-9, 1e-8], dense_output=True
    ).sol(0.5)
    k = np.array([0.5, 1.5])
    np.testing.assert_allclose(vmap(y)(k), np.exp(np.outer(k, [-0.5, -1.0])), rtol=1e-6)


@pytest.mark.parametrize("method", ["RK45", "BDF"])
def test_augmented_sensitivities_are_the_variational_equations(method):
    """One solve of (y, dy), all directions of a Jacobian at once; the end of the interval too."""
    end = lambda v: decay(v, method, sensitivity="augmented", atol=[1e-9]).y[0, -1]
    np.testing.assert_allclose(jacobian(end, mode="forward")(V), grad(decayed)(V), rtol=3e-6)
    np.testing.assert_allclose(hessian(end, mode="forward-forward")(V), hessian(decayed)(V), rtol=1e-5, atol=1e-6)
    at = lambda k: solve_ivp(
        lambda t, y: -k * y, (0, 2.0), [1.0], method, t_eval=[1.0], dense_output=True, sensitivity="augmented", **TIGHT
    )
    np.testing.assert_allclose(jvp(lambda k: at(k).y[0, 0] + at(k).sol(0.5)[0], (0.7,), (1.0,))[1],
                               -np.exp(-0.7) - 0.5 * np.exp(-0.35), rtol=1e-5)  # fmt: skip


def test_the_augmented_solve_controls_the_error_of_derivatives():
    """y'' = k sin(20 t) at k = 0: the solution is zero and has steps of any length, its derivative by k has not."""

    def error(sensitivity):
        run = lambda k: solve_ivp(lambda t, y: [y[1], k * np.sin(20 * t)], (0, 3.0), [0.0, 0.0], sensitivity=sensitivity)
        return abs(jvp(lambda k: run(k).y[0, -1], (0.0,), (1.0,))[1] - (3.0 / 20 - np.sin(60.0) / 400))

    assert error("augmented") < 1e-3 < error("discrete")


def test_complex_solutions_by_explicit_methods():
    end = lambda w: solve_ivp(lambda t, y: 1j * w * y, (0, 2.0), [1 + 0j], "DOP853", **TIGHT).y[0, -1]
    np.testing.assert_allclose(jvp(end, (0.7,), (1.0,))[1], 2j * np.exp(1.4j), rtol=1e-6)
    np.testing.assert_allclose(grad(lambda w: np.imag(end(w)))(0.7), 2 * np.cos(1.4), rtol=1e-6)
    with pytest.raises(errors.UnsupportedError, match=r"complex solution by BDF .* Use RK23, RK45 or DOP853"):
        jvp(lambda w: solve_ivp(lambda t, y: 1j * w * y, (0, 2.0), [1 + 0j], "BDF").y, (0.7,), (1.0,))


@pytest.mark.parametrize("method", ["RK45", "Radau"])
def test_vectorized_fun_and_a_jacobian(method):
    v = np.concatenate([PREY, LOTKA])
    fun = lambda t, y, *k: np.stack(lotka_volterra(t, y, *k))
    extra = {"jac": lambda t, y, a, b, c, d: [[a - b * y[1], -b * y[0]], [d * y[1], -c + d * y[0]]]} if method == "Radau" else {}
    first = lambda v: solve_ivp(lotka_volterra, (0, 1), v[:2], method, args=tuple(v[2:]), **TIGHT).y[0, -1]
    second = lambda v: solve_ivp(fun, (0, 1), v[:2], method, vectorized=True, args=tuple(v[2:]), **extra, **TIGHT).y[0, -1]
    np.testing.assert_allclose(grad(second)(v), grad(first)(v), rtol=1e-6, atol=1e-8)


def test_a_solver_class_of_the_users_own():
    class Mine(scipy.integrate.RK23):
        pass

    end = lambda k, method: decay((2.0, k, 0.3, 1.9), method).y[0, -1]
    assert grad(end)(0.7, Mine) == grad(end)(0.7, "RK23")


def test_results_have_the_type_of_scipys_and_other_names_are_scipys():
    assert dualgrad.scipy.integrate.quad is scipy.integrate.quad and "quad" in dir(dualgrad.scipy.integrate)
    kinds = set()
    grad(lambda k: (kinds.add(type(decay((2.0, k, 0.3, 1.9)))), k)[1])(0.7)
    assert kinds == {type(scipy.integrate.solve_ivp(lambda t, y: y, (0, 1), [1.0]))}


# ---- odeint --------------------------------------------------------------------------------------------------------------


def test_odeint_is_scipys_on_plain_values_and_under_a_trace():
    t = np.linspace(0, 2, 5)
    func = lambda y, t, *k: lotka_volterra(t, y, *k)
    scipys = scipy.integrate.odeint(func, PREY, t, tuple(LOTKA))
    np.testing.assert_array_equal(odeint(func, PREY, t, tuple(LOTKA)), scipys)
    value, _ = vjp(lambda k: odeint(func, PREY, t, tuple(k)), LOTKA)
    np.testing.assert_array_equal(value, scipys)
    _, information = scipy.integrate.odeint(func, PREY, t, tuple(LOTKA), full_output=True)
    traced = {}
    grad(lambda k: (traced.update(odeint(func, PREY, t, tuple(k), full_output=True)[1]), k[0])[1])(LOTKA)
    assert set(traced) == set(information)


def test_odeint_agrees_with_solve_ivp_and_with_closed_forms():
    v = np.concatenate([PREY, LOTKA])
    by_odeint = lambda v: odeint(lotka_volterra, v[:2], [0.0, 1.0, 2.0], tuple(v[2:]), tfirst=True)[-1]
    by_solve = lambda v: solve_ivp(lotka_volterra, (0, 2.0), v[:2], "DOP853", args=tuple(v[2:]), rtol=1e-9, atol=1e-9).y[:, -1]
    np.testing.assert_allclose(jacobian(by_odeint)(v), jacobian(by_solve)(v), rtol=1e-5, atol=1e-6)
    slopes = lambda y, t, k: -k * y
    Dfun = lambda y, t, k: [[-k]]
    end = lambda v: odeint(slopes, v[0], np.stack([v[2], 1.0, v[3], v[3]]), (v[1],), Dfun=Dfun, rtol=1e-9, atol=1e-11)[-1, 0]
    np.testing.assert_allclose(grad(end)(V), grad(decayed)(V), rtol=1e-6)
    np.testing.assert_allclose(hessian(end)(V), hessian(decayed)(V), rtol=1e-5, atol=1e-6)
    closure = lambda k: odeint(lambda y, t: -k * y, [2.0], [0.3, 1.9])[-1, 0]
    np.testing.assert_allclose(grad(closure)(0.7), grad(decayed)(V)[1], rtol=1e-6)
    np.testing.assert_allclose(vmap(grad(closure))(np.array([0.7, 1.0])), -3.2 * np.exp(-1.6 * np.array([0.7, 1.0])), rtol=1e-6)


def test_the_times_of_odeint_are_independent_and_may_decrease():
    t = np.array([2.0, 1.2, 0.5])
    found = jacobian(lambda t: odeint(lambda y, t: -t * y, [3.0], t)[:, 0])(t)
    y = 3 * np.exp((4 - t**2) / 2)
    expected = np.diag(-t * y)
    expected[:, 0] += 2 * y  # where y is 3
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-15)


# ---- what cannot be done says so -----------------------------------------------------------------------------------------


def test_what_is_not_supported_raises_and_says_what_to_do():
    def run(**ask):
        given = {"t_span": (0, 1.0), "y0": [1.0], **ask}
        at = lambda k: {name: v(k) if callable(v) and name != "events" else v for name, v in given.items()}
        return lambda k: solve_ivp(lambda t, y, *args: -k * y, **{"args": (k,), **at(k)})

    def messages(match, f, transform=None, error=errors.UnsupportedError):
        with pytest.raises(error, match=match):
            (transform or (lambda f: jvp(lambda k: f(k).y, (0.7,), (1.0,))))(f)

    mapped = lambda f: vmap(lambda k: f(k).y[0, -1])(np.ones(2))
    reverse = lambda f: grad(lambda k: f(k).y[0, -1])(0.7)
    messages(r"solve_ivp: RK45 does not know the option 'rtool' \(at .*Leave it out", run(rtool=1e-3))
    messages(r"solve_ivp: RK45 does not know the option 'jac'", run(jac=None))
    messages(r"the option 'rtol' holds a traced value .* Pass stop_gradient of it", run(rtol=lambda k: k * 1e-3))
    messages(r"t_span is mapped by vmap .* Substitute t = t0 \+ s \(t1 - t0\)", run(t_span=lambda k: (0, k)), mapped)
    messages(r"events is not supported inside vmap", run(events=lambda t, y: y[0]), mapped)
    messages(r"must be 'discrete' or 'augmented', not 'adjoint'", run(sensitivity="adjoint"), error=errors.ArgumentError)
    messages(r"'augmented' is forward mode by dual numbers, not for grad", run(sensitivity="augmented"), reverse)
    messages(r"events is not supported with sensitivity='augmented'", run(sensitivity="augmented", events=lambda t, y: y[0]))
    messages(r"`method` must be one of", run(method="Euler"), error=ValueError)
    messages(r"`y0` must be 1-dimensional", run(y0=1.0), error=ValueError)
    messages(r"Values in `t_eval` are not within `t_span`", run(t_eval=[2.0]), error=ValueError)
    messages(r"Supplied 'args' cannot be unpacked", run(args=lambda k: k), error=TypeError)
    with pytest.raises(errors.UnsupportedError, match=r"odeint: tcrit is not supported .* from one critical point to the next"):
        grad(lambda k: odeint(lambda y, t: -k * y, 1.0, [0, 1.0], tcrit=[0.5])[-1, 0])(0.7)
    with pytest.raises(errors.UnsupportedError, match="odeint: the option 'rtol' holds a traced value"):
        grad(lambda k: odeint(lambda y, t: -k * y, 1.0, [0, 1.0], rtol=k)[-1, 0])(0.7)
    with pytest.raises(errors.InputTypeError, match="floating"):
        grad(lambda y0: solve_ivp(lambda t, y: -y, (0, 1), y0).y[0, -1])(np.array([1]))


def test_integers_are_cast_as_scipy_does():
    np.testing.assert_allclose(grad(lambda k: solve_ivp(lambda t, y: -k * y, (0, 1), [2], **TIGHT).y[0, -1])(0.5),
                               -2 * np.exp(-0.5), rtol=1e-6)  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:lsoda")
def test_a_failed_integration_says_where_and_keeps_what_there_is():
    """y' = y^2 from 1 / a is infinite at t = a."""
    found = {}

    def run(a):
        found.update(solve_ivp(lambda t, y: y * y, (0, 2.0), np.stack([1 / a]), t_eval=[0.5, 1.5], **TIGHT))
        return found["y"][0, 0]

    with pytest.warns(RuntimeWarning, match=r"solve_ivp: the integration failed at t = 1 \(at .*Required step size is less"):
        slope = grad(run)(1.0)
    np.testing.assert_allclose(slope, -4.0, rtol=1e-5)
    assert not found["success"] and found["status"] == -1 and found["message"].startswith("Required step size")


def test_a_first_step_that_fails_leaves_the_initial_state():
    nan = lambda t, y, k: y * (k if t == 0 else k * np.nan)
    with pytest.warns(RuntimeWarning, match="the integration failed at t = 0"), np.errstate(all="ignore"):
        value, slope = jvp(lambda k: solve_ivp(nan, (0, 1.0), [1.0], args=(k,)).y, (1.0,), (1.0,))
    np.testing.assert_array_equal(value, [[1.0]])
    np.testing.assert_array_equal(slope, [[0.0]])
