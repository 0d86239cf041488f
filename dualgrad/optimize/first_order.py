"""First-order optimizers: pairs (init, update) of pure functions, composed by `chain`.

    state = optimizer.init(params)
    updates, state = optimizer.update(gradient, state, params)
    params = apply_updates(params, updates)                       # params + updates

An update transforms a tree of gradients into a tree of steps, and carries its memory as a value.  The
textbook optimizers are chains of a few such transformations, and the last one turns the step downhill:

    sgd      momentum                               -> scale_by_learning_rate
    adagrad  scale_by_sum                           -> scale_by_learning_rate
    rmsprop  scale_by_rms -> momentum               -> scale_by_learning_rate
    adam     scale_by_adam                          -> scale_by_learning_rate
    adamw    scale_by_adam -> weight_decay          -> scale_by_learning_rate

The numbers are those of torch.optim, to rounding.  A learning rate is a float or a schedule, a function of
the step 0, 1, 2, ...  Leaves whose gradient is None (integers, strings) stay as they are; float32 parameters
stay float32.  Everything is plain NumPy, so a derivative can go through a whole training loop, for instance
with respect to the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad import tree
from dualgrad.errors import ArgumentError
from dualgrad.optimize.schedules import Schedule


class Optimizer(NamedTuple):
    """The pair (init, update): init(params) -> state, update(gradient, state, params) -> (updates, state).

    >>> descent = sgd(0.5)
    >>> params = {"w": np.array([3.0, -2.0])}
    >>> updates, state = descent.update({"w": np.array([1.0, 4.0])}, descent.init(params), params)
    >>> apply_updates(params, updates)
    {'w': array([ 2.5, -4. ])}
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


class AdamState(NamedTuple):
    """What Adam remembers: the number of steps, and running means of the gradient and of its square."""

    step: int
    mean: Any
    square: Any


def apply_updates(params: Any, updates: Any) -> Any:
    """params + updates, leaf by leaf, in the dtype of the parameters; an update of None is no step.

    >>> apply_updates({"w": np.float32(1.0), "layers": 2}, {"w": 0.5, "layers": None})
    {'w': np.float32(1.5), 'layers': 2}
    """

    def step(leaf: Any, update: Any) -> Any:
        return leaf if update is None else _in_dtype_of(leaf, leaf + update)

    return tree.map(step, params, updates)


def chain(*transforms: Optimizer) -> Optimizer:
    """Transformations applied in order: the updates of one are the gradients of the next.

    >>> careful = chain(clip_by_global_norm(1.0), sgd(0.5))
    >>> gradient = np.array([30.0, 40.0])
    >>> careful.update(gradient, careful.init(gradient))[0]
    array([-0.3, -0.4])
    """

    def init(params: Any) -> tuple[Any, ...]:
        return tuple(transform.init(params) for transform in transforms)

    def update(gradient: Any, state: tuple[Any, ...], params: Any = None) -> tuple[Any, tuple[Any, ...]]:
        states = []
        for transform, transform_state in zip(transforms, state, strict=True):
            gradient, transform_state = transform.update(gradient, transform_state, params)
            states.append(transform_state)
        return gradient, tuple(states)

    return Optimizer(init, update)


# The optimizers


def sgd(learning_rate: float | Schedule, momentum: float = 0.0, nesterov: bool = False) -> Optimizer:
    """Stochastic gradient descent, with heavy-ball or Nesterov momentum (Polyak 1964; Sutskever et al. 2013).

        b <- momentum b + g,    step = -learning_rate b     (Nesterov: -learning_rate (g + momentum b))

    >>> descent = sgd(0.5, momentum=0.5)
    >>> first, state = descent.update(np.array([2.0]), descent.init(np.array([0.0])))
    >>> second, state = descent.update(np.array([2.0]), state)
    >>> first, second
    (array([-1.]), array([-1.5]))
    """
    _check_decay("sgd", "momentum", momentum)
    if momentum == 0 and nesterov:
        raise ArgumentError("sgd: nesterov=True needs a positive momentum, got momentum=0.")
    descent = scale_by_learning_rate(learning_rate)
    return chain(accumulate(momentum, nesterov), descent) if momentum else descent


def adagrad(learning_rate: float | Schedule, eps: float = 1e-10) -> Optimizer:
    """Steps divided by the root of the sum of all squared gradients so far (Duchi, Hazan, Singer 2011).

        s <- s + g^2,    step = -learning_rate g / (sqrt s + eps)

    >>> optimizer = adagrad(0.1, eps=0.0)
    >>> first, state = optimizer.update(np.array([3.0]), optimizer.init(np.array([0.0])))
    >>> first, optimizer.update(np.array([4.0]), state)[0].round(12)
    (array([-0.1]), array([-0.08]))
    """
    return chain(scale_by_sum(eps), scale_by_learning_rate(learning_rate))


def rmsprop(
    learning_rate: float | Schedule, decay: float = 0.99, eps: float = 1e-8, momentum: float = 0.0
) -> Optimizer:
    """Steps divided by a running root mean square of the gradient (Tieleman, Hinton 2012, lecture 6.5).

        s <- decay s + (1 - decay) g^2,    b <- momentum b + g / (sqrt s + eps),    step = -learning_rate b

    >>> optimizer = rmsprop(0.1, decay=0.75, eps=0.0)
    >>> optimizer.update(np.array([4.0]), optimizer.init(np.array([0.0])))[0]
    array([-0.2])
    """
    _check_decay("rmsprop", "momentum", momentum)
    parts = [scale_by_rms(decay, eps)]
    if momentum:
        parts.append(accumulate(momentum))
    return chain(*parts, scale_by_learning_rate(learning_rate))


def adam(
    learning_rate: float | Schedule, mean_decay: float = 0.9, square_decay: float = 0.999, eps: float = 1e-8
) -> Optimizer:
    """Adam (Kingma, Ba 2015, algorithm 1): see `scale_by_adam`; the step is -learning_rate times that.

    >>> optimizer = adam(0.1, eps=0.0)
    >>> optimizer.update(np.array([5.0, -1e-6]), optimizer.init(np.zeros(2)))[0].round(12)
    array([-0.1,  0.1])
    """
    return chain(scale_by_adam(mean_decay, square_decay, eps), scale_by_learning_rate(learning_rate))


def adamw(
    learning_rate: float | Schedule,
    mean_decay: float = 0.9,
    square_decay: float = 0.999,
    eps: float = 1e-8,
    decay: float = 0.01,
) -> Optimizer:
    """Adam with decoupled weight decay, -learning_rate (adam direction + decay w) (Loshchilov, Hutter 2019).

    >>> optimizer = adamw(0.1, decay=0.5)
    >>> w = np.array([2.0])
    >>> optimizer.update(np.array([0.0]), optimizer.init(w), w)[0]
    array([-0.1])
    """
    direction = scale_by_adam(mean_decay, square_decay, eps)
    return chain(direction, weight_decay(decay), scale_by_learning_rate(learning_rate))


# The transformations they are made of


def scale_by_learning_rate(learning_rate: float | Schedule) -> Optimizer:
    """step = -learning_rate g, or -learning_rate(k) g at the k-th update, k = 0, 1, ...

    >>> descent = scale_by_learning_rate(lambda step: 1.0 / (step + 1))
    >>> first, state = descent.update(np.array([6.0]), descent.init(np.array([0.0])))
    >>> second, state = descent.update(np.array([6.0]), state)
    >>> first, second, state
    (array([-6.]), array([-3.]), 2)
    """

    def init(params: Any) -> int:
        return 0

    def update(gradient: Any, step: int, params: Any = None) -> tuple[Any, int]:
        rate = learning_rate(step) if callable(learning_rate) else learning_rate
        return tree.map(lambda g: _in_dtype_of(g, -rate * g), gradient), step + 1

    return Optimizer(init, update)


def accumulate(momentum: float, nesterov: bool = False) -> Optimizer:
    """b <- momentum b + g from b = 0; the result is b, or g + momentum b for Nesterov.

    >>> ball = accumulate(0.5, nesterov=True)
    >>> ball.update(np.array([2.0]), ball.init(np.array([0.0])))
    (array([3.]), array([2.]))
    """

    def update(gradient: Any, buffer: Any, params: Any = None) -> tuple[Any, Any]:
        buffer = _remember(lambda b, g: momentum * b + g, buffer, gradient)
        if nesterov:
            return tree.map(lambda g, b: g + momentum * b, gradient, buffer), buffer
        return tree.map(lambda g, b: b, gradient, buffer), buffer

    return Optimizer(_zeros, update)


def scale_by_sum(eps: float = 1e-10) -> Optimizer:
    """g / (sqrt s + eps), with s <- s + |g|^2 from s = 0.

    >>> root_of_sum = scale_by_sum(eps=0.0)
    >>> root_of_sum.update(np.array([4.0]), root_of_sum.init(np.array([0.0])))
    (array([1.]), array([16.]))
    """

    def update(gradient: Any, square: Any, params: Any = None) -> tuple[Any, Any]:
        square = _remember(lambda s, q: s + q, square, _squared(gradient))
        return tree.map(lambda g, s: g / (np.sqrt(s) + eps), gradient, square), square

    return Optimizer(_zeros, update)


def scale_by_rms(decay: float = 0.99, eps: float = 1e-8) -> Optimizer:
    """g / (sqrt s + eps), with s <- decay s + (1 - decay) |g|^2 from s = 0.

    >>> root_mean_square = scale_by_rms(decay=0.75, eps=0.0)
    >>> root_mean_square.update(np.array([4.0]), root_mean_square.init(np.array([0.0])))
    (array([2.]), array([4.]))
    """
    _check_decay("scale_by_rms", "decay", decay)

    def update(gradient: Any, square: Any, params: Any = None) -> tuple[Any, Any]:
        square = _running_mean(decay, square, _squared(gradient))
        return tree.map(lambda g, s: g / (np.sqrt(s) + eps), gradient, square), square

    return Optimizer(_zeros, update)


def scale_by_adam(mean_decay: float = 0.9, square_decay: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """m^ / (sqrt s^ + eps), running means of g and |g|^2 corrected for their start at zero (Kingma, Ba 2015).

        m <- a m + (1 - a) g,      m^ = m / (1 - a^k)
        s <- c s + (1 - c) |g|^2,  s^ = s / (1 - c^k)      at the k-th update, k = 1, 2, ...

    >>> direction = scale_by_adam(eps=0.0)
    >>> direction.update(np.array([4.0]), direction.init(np.array([0.0])))[0].round(12)
    array([1.])
    """
    _check_decay("scale_by_adam", "mean_decay", mean_decay)
    _check_decay("scale_by_adam", "square_decay", square_decay)

    def init(params: Any) -> AdamState:
        return AdamState(0, _zeros(params), _zeros(params))

    def update(gradient: Any, state: AdamState, params: Any = None) -> tuple[Any, AdamState]:
        step = state.step + 1
        mean = _running_mean(mean_decay, state.mean, gradient)
        square = _running_mean(square_decay, state.square, _squared(gradient))
        mean_weight, root_weight = 1 - mean_decay**step, (1 - square_decay**step) ** 0.5

        def direction(g: Any, m: Any, s: Any) -> Any:
            return (m / mean_weight) / (np.sqrt(s) / root_weight + eps)

        return tree.map(direction, gradient, mean, square), AdamState(step, mean, square)

    return Optimizer(init, update)


def weight_decay(rate: float) -> Optimizer:
    """g + rate w: first in a chain it is an L2 penalty, after the others decoupled decay, as in `adamw`.

    >>> weight_decay(0.5).update(np.array([1.0]), (), np.array([4.0]))
    (array([3.]), ())
    """

    def update(gradient: Any, state: tuple[()], params: Any = None) -> tuple[Any, tuple[()]]:
        if params is None:
            raise ArgumentError("weight_decay: update needs params; call update(gradient, state, params).")
        return tree.map(lambda g, w: g + rate * w, gradient, params), state

    return Optimizer(_nothing, update)


def clip_by_global_norm(max_norm: float) -> Optimizer:
    """g max_norm / |g| where |g|, over all leaves together, exceeds max_norm (Pascanu et al. 2013, alg. 1).

    (torch's clip_grad_norm_ divides by |g| + 1e-6, and so ends a little below max_norm.)

    >>> clip_by_global_norm(10.0).update([np.array([30.0]), np.array([40.0])], ())[0]
    [array([6.]), array([8.])]
    """
    _check_positive("clip_by_global_norm", "max_norm", max_norm)

    def update(gradient: Any, state: tuple[()], params: Any = None) -> tuple[Any, tuple[()]]:
        norm = global_norm(gradient)
        factor = np.minimum(max_norm / np.where(np.equal(norm, 0), 1.0, norm), 1.0)
        return tree.map(lambda g: _in_dtype_of(g, factor * g), gradient), state

    return Optimizer(_nothing, update)


def clip_by_value(limit: float) -> Optimizer:
    """Each element of the gradient clipped to [-limit, limit].

    >>> clip_by_value(1.0).update([np.array([0.5, -3.0])], ())[0]
    [array([ 0.5, -1. ])]
    """
    _check_positive("clip_by_value", "limit", limit)

    def update(gradient: Any, state: tuple[()], params: Any = None) -> tuple[Any, tuple[()]]:
        return tree.map(lambda g: np.clip(g, -limit, limit), gradient), state

    return Optimizer(_nothing, update)


def global_norm(values: Any) -> Any:
    """The Euclidean norm of all leaves of a tree together; leaves that are None do not count.

    >>> global_norm({"w": np.array([[3.0]]), "b": np.array([4.0]), "name": None})
    np.float64(5.0)
    """
    norms = [np.linalg.norm(np.ravel(leaf)) for leaf in tree.leaves(values) if leaf is not None]
    return np.linalg.norm(np.stack(norms)) if norms else np.float64(0.0)


# Trees whose leaves may be None: tree.map lets a None of its first tree through


def _remember(function: Callable[[Any, Any], Any], memory: Any, gradient: Any) -> Any:
    """The next memory; a leaf without a gradient keeps the old one."""
    return tree.map(lambda m, g: m if g is None else function(m, g), memory, gradient)


def _running_mean(decay: float, mean: Any, values: Any) -> Any:
    """decay mean + (1 - decay) value."""
    return _remember(lambda m, value: decay * m + (1 - decay) * value, mean, values)


def _squared(gradient: Any) -> Any:
    """|g|^2, real for a complex g too."""
    return tree.map(lambda g: np.abs(g) ** 2, gradient)


def _zeros(params: Any) -> Any:
    """Zeros like the parameters; None for leaves that have no derivative."""
    return tree.map(lambda leaf: np.zeros_like(leaf) if tree.is_differentiable(leaf) else None, params)


def _nothing(params: Any) -> tuple[()]:
    return ()


def _in_dtype_of(leaf: Any, value: Any) -> Any:
    """The value in the dtype of an array leaf, so that a float64 scalar does not raise float32 to float64."""
    dtype = getattr(leaf, "dtype", None)
    return value if dtype is None or value.dtype == dtype else value.astype(dtype)


def _check_decay(name: str, argument: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ArgumentError(f"{name}: {argument} must be in [0, 1), got {value}.")


def _check_positive(name: str, argument: str, value: float) -> None:
    if not value > 0:
        raise ArgumentError(f"{name}: {argument} must be positive, got {value}.")
