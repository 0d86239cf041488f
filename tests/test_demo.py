"""The demo from the command line: what it reaches, what it writes, and what it refuses before it trains."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import numpy as np
import pytest
from finite_differences import central_gradient

from dualgrad.__main__ import main
from dualgrad.demo import digits
from dualgrad.demo.figure import duration
from dualgrad.optimize import Optimizer, adam, kfac


@pytest.fixture
def untrained(monkeypatch):
    """A training that must not begin."""

    def refuse(*_):
        raise AssertionError("the demo began to train")

    monkeypatch.setattr("dualgrad.demo.fit", refuse)


def test_the_demo_does_its_work(tmp_path, capsys):
    out = tmp_path / "digits.png"
    start = time.perf_counter()
    assert main(["demo", "--out", str(out), "--seed", "1"]) == 0
    assert time.perf_counter() - start < 60
    report = capsys.readouterr().out
    assert float(re.search(r"accuracy +([\d.]+)%", report)[1]) >= 96.0
    assert float(re.search(r"gradient .* off by (\S+)", report)[1]) < 1e-8
    assert "jvp: one directional derivative" in report
    assert "grad: all 17226 partial derivatives" in report
    assert "880/880" in report  # the progress bar, at its end
    assert str(out) in report
    assert out.read_bytes().startswith(b"\x89PNG") and out.stat().st_size > 50_000


@pytest.mark.parametrize(("optimizer", "name"), [("gauss-newton", "Hessian-free"), ("newton-cg", "Newton-CG"), ("kfac", "K-FAC")])
def test_second_order_learns_to_read_too(optimizer, name, tmp_path, capsys):
    out = tmp_path / "digits.png"
    start = time.perf_counter()
    assert main(["demo", "--optimizer", optimizer, "--out", str(out)]) == 0
    assert time.perf_counter() - start < 60
    report = capsys.readouterr().out
    assert float(re.search(r"accuracy +([\d.]+)%", report)[1]) >= 96.0
    assert re.search(rf"training +.*{name}: \d+ steps, [\d.]+ s, \d+ gradients of all examples", report)
    assert out.read_bytes().startswith(b"\x89PNG") and out.stat().st_size > 50_000


class Bar:
    """A progress bar that is not shown."""

    def __init__(self, total, **_):
        self.total, self.count = total, 0

    __enter__ = lambda self: self
    __exit__ = lambda self, *_: None
    set_postfix = lambda self, **_: None

    def update(self):
        self.count += 1


@pytest.mark.parametrize("method", [adam(4e-3), kfac(digits.predict, "categorical", damping=0.01)])
def test_the_history_tells_what_was_paid_for_the_loss(method, monkeypatch):
    rng = np.random.default_rng(0)
    few = digits.Digits(rng.random((digits.EXAMPLES, 64)), rng.integers(0, 10, digits.EXAMPLES))
    recipe = digits.Recipe("some", method, batch=479, epochs=2)
    monkeypatch.setitem(digits.RECIPES, "some", recipe)
    bars = []
    _, history = digits.fit("some", digits.initialize(rng), few, rng, lambda **options: bars.append(Bar(**options)) or bars[0])
    assert bars[0].count == bars[0].total == recipe.steps == len(history.loss) == 6
    arrays = [history.loss, history.seconds, history.gradients, *history.norms.values()]
    assert all(array.shape == (6,) and np.all(np.isfinite(array)) and np.all(array > 0) for array in arrays)
    assert np.all(np.diff(history.seconds) > 0) and np.all(np.diff(history.gradients) > 0)
    if isinstance(method, Optimizer):
        np.testing.assert_allclose(history.gradients[[2, 5]], [1, 2])
        assert list(history.norms) == list(digits.LAYERS)


def test_every_epoch_shows_every_digit_once():
    train = digits.Digits(np.zeros((100, 64)), np.arange(100))
    seen = list(digits.batches(train, np.random.default_rng(0), digits.Recipe("", None, batch=30, epochs=2)))
    assert [len(labels) for _, labels in seen] == [34, 33, 33] * 2
    for epoch in (seen[:3], seen[3:]):
        np.testing.assert_array_equal(np.sort(np.concatenate([labels for _, labels in epoch])), np.arange(100))
    assert abs(np.concatenate([images for images, _ in seen]).std() - digits.NOISE) < 0.01


def test_the_pixels_shown_are_the_gradient_of_the_winning_logit():
    params = digits.initialize(np.random.default_rng(0))
    images = np.random.default_rng(1).random((2, 64))
    slopes = digits.evidence(params, images)
    for image, slope in zip(images, slopes):
        reference = central_gradient(lambda image: np.max(digits.predict(params, image)), image)
        np.testing.assert_allclose(slope, reference, rtol=1e-7, atol=1e-9)


def test_a_fifth_of_the_digits_is_held_out_and_none_is_lost():
    data = pytest.importorskip("sklearn.datasets").load_digits()
    train, held_out = digits.split(data, np.random.default_rng(0))
    assert len(held_out.labels) == 359 and len(train.labels) == 1438
    together = np.concatenate([train.images, held_out.images])
    np.testing.assert_array_equal(np.sort(together.sum(axis=1)), np.sort(data.data.sum(axis=1) / 16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--seed", "-1"], "argument --seed: must be a non-negative integer, got '-1'"),
        (["demo", "--seed", "one"], "argument --seed: must be a non-negative integer, got 'one'"),
        (["demo", "--optimizer", "sgd"], "invalid choice: 'sgd'"),
        (["demo", "--epochs", "3"], "unrecognized arguments: --epochs 3"),
        (["train"], "invalid choice: 'train'"),
        ([], "required: COMMAND"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, capsys, untrained):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere/digits.png", "cannot be written (No such file or directory)"),
        ("folder.png", "cannot be written (Is a directory)"),
        ("digits.txt", "the ending must be one of "),
        ("digits", "the ending must be one of "),
    ],
)
def test_a_figure_that_cannot_be_written_is_refused_before_training(path, message, tmp_path, capsys, untrained):
    (tmp_path / "folder.png").mkdir()
    assert main(["demo", "--out", str(tmp_path / path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("python -m dualgrad demo: --out ") and message in printed.err
    assert printed.err.count("\n") == 1 and not printed.out


def test_asking_whether_a_file_can_be_written_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("dualgrad.demo.split", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    old, new = tmp_path / "old.png", tmp_path / "new.png"
    old.write_bytes(b"kept")
    for path in (old, new):
        with pytest.raises(KeyboardInterrupt):
            main(["demo", "--out", str(path)])
    assert old.read_bytes() == b"kept" and not new.exists()


@pytest.mark.parametrize("extra", ["sklearn.datasets", "tqdm", "matplotlib.figure"])
def test_a_missing_extra_is_named_with_the_command_that_brings_it(extra, tmp_path, monkeypatch, capsys, untrained):
    monkeypatch.setitem(sys.modules, extra, None)
    assert main(["demo", "--out", str(tmp_path / "digits.png")]) == 1
    message = capsys.readouterr().err
    assert extra.split(".")[0] in message and 'pip install "dualgrad[demo]"' in message
    assert message.count("\n") == 1


def test_help_lists_the_commands_and_their_options():
    general, demo = (
        subprocess.run([sys.executable, "-m", "dualgrad", *words], capture_output=True, text=True, check=True).stdout
        for words in (["--help"], ["demo", "--help"])
    )
    assert "demo" in general and "handwritten digits" in general
    assert "--out PATH" in demo and "--seed N" in demo and "adam,gauss-newton,newton-cg,kfac" in demo


@pytest.mark.parametrize(("seconds", "text"), [(4.2e-5, "42 µs"), (0.0123, "12.3 ms"), (7.25, "7.2 s")])
def test_durations_have_a_unit_that_suits_them(seconds, text):
    assert duration(seconds) == text
