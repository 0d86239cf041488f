"""The instances of the four problems: read from the original text files, or generated with a fixed seed at the same sizes.

    gmm    1k/gmm_d10_K25.txt (also 10k, 2.5M)      D K N · alphas · means · icf · X · gamma m
    ba     ba1_n49_m7776_p31843.txt                 n m p · camera · point · weight · feature, each copied n, m, p, p times
    hand   simple_small/hand7_t26_c3200.txt         N 26 · correspondence x y z · (complicated: u) · theta
           simple_small/model/                      bones.txt, vertices.txt, triangles.txt
    lstm   lstm_l2_c1024.txt                        L T b · main · extra · state · sequence

Numbers are separated by blanks or colons, lines count, empty ones do not.  What does not fit ends in one line that names the file,
the line and what was expected there.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from measure import BenchmarkError


class DataError(BenchmarkError):
    """A data file that is missing, cannot be read, or says something else than its format asks for."""


class Gmm(NamedTuple):
    """A Gaussian mixture: K alphas, K x D means, K x D(D+1)/2 inverse covariance factors; N x D points, the Wishart prior."""

    alphas: np.ndarray
    means: np.ndarray
    icf: np.ndarray
    x: np.ndarray
    gamma: float
    m: int


class Ba(NamedTuple):
    """Bundle adjustment: n cameras of 11, m points of 3, p weights and p features of 2."""

    cameras: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    features: np.ndarray


class HandModel(NamedTuple):
    """A skinned hand: B bones, V vertices with a weight for each bone, triangles of vertices."""

    parents: np.ndarray  # of each bone, -1 for the root
    base_relative: np.ndarray  # B x 4 x 4
    inverse_base_absolute: np.ndarray  # B x 4 x 4
    vertices: np.ndarray  # V x 3
    skinning: np.ndarray  # V x B
    triangles: np.ndarray  # F x 3


class Hand(NamedTuple):
    """Hand tracking: N observed points of 3, each with its vertex, or with its triangle and where in it (u, N x 2)."""

    model: HandModel
    correspondences: np.ndarray
    points: np.ndarray
    theta: np.ndarray
    u: np.ndarray | None


class Lstm(NamedTuple):
    """An LSTM of L layers of width b over T characters: main 2L x 4b, extra 3 x b; state 2L x b, sequence T x b."""

    main: np.ndarray
    extra: np.ndarray
    state: np.ndarray
    sequence: np.ndarray


# ---- lines of numbers ------------------------------------------------------------------------------------------------


class Lines:
    """The lines of a text file that are not empty, taken one after the other."""

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, 0  # of the line taken last, as an editor counts
        try:
            self.lines = path.read_text(encoding="ascii").split("\n")
        except OSError as problem:
            raise DataError(f"{path}: cannot be read ({problem.strerror})") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}: is not a text of numbers") from None

    def more(self) -> bool:
        """Is there another line?  Then it is the next to be taken."""
        while self.number < len(self.lines) and not self.lines[self.number].strip():
            self.number += 1
        return self.number < len(self.lines)

    def words(self, what: str) -> list[str]:
        """What the next line says, word by word."""
        if not self.more():
            raise DataError(f"{self.path}, line {len(self.lines)}: the file ends where {what} should follow")
        self.number += 1
        return self.lines[self.number - 1].replace(":", " ").split()

    def refuse(self, complaint: str) -> NoReturn:
        """End with what is wrong in the line taken last."""
        raise DataError(f"{self.path}, line {self.number}: {complaint}")

    def row(self, count: int, what: str) -> list[float]:
        """The next line, which must hold so many numbers."""
        words = self.words(what)
        if len(words) != count:
            self.refuse(f"{len(words)} numbers where {what} should have {count}")
        return [self.real(word, what) for word in words]

    def real(self, word: str, what: str) -> float:
        """One finite number."""
        try:
            value = float(word)
        except ValueError:
            self.refuse(f"{word!r} in {what} is not a number")
        if not np.isfinite(value):
            self.refuse(f"{word!r} in {what} is not finite")
        return value

    def integer(self, word: Any, what: str, least: int, below: float = np.inf) -> int:
        """One integer in a range."""
        value = self.real(word, what)
        if value != int(value) or not least <= value < below:
            limit = f"at least {least}" if below == np.inf else f"{least} to {below - 1:.0f}"
            self.refuse(f"{what} should be an integer, {limit}, not {word}")
        return int(value)

    def sizes(self, *names: str) -> list[int]:
        """The line of positive integers that the file begins with."""
        words = self.words(" ".join(names))
        if len(words) != len(names):
            self.refuse(f"{len(words)} numbers where the sizes {' '.join(names)} should stand")
        return [self.integer(word, name, 1) for word, name in zip(words, names)]

    def table(self, rows: int, columns: int, what: str) -> np.ndarray:
        """So many lines of so many numbers."""
        return np.array([self.row(columns, f"row {k + 1} of {rows} of {what}") for k in range(rows)]).reshape(rows, columns)

    def end(self) -> None:
        """Nothing may follow."""
        if self.more():
            self.number += 1
            self.refuse("the data should end before this line")


# ---- readers ---------------------------------------------------------------------------------------------------------


def read_gmm(path: Path) -> Gmm:
    """A Gaussian mixture.  A file of the folder 2.5M holds one point, which stands for all N."""
    lines = Lines(path)
    dimension, components, count = lines.sizes("D", "K", "N")
    alphas = lines.table(components, 1, "alphas")[:, 0]
    means = lines.table(components, dimension, "means")
    icf = lines.table(components, dimension * (dimension + 1) // 2, "icf")
    if path.parent.name == "2.5M":
        x = np.tile(lines.table(1, dimension, "x"), (count, 1))
    else:
        x = lines.table(count, dimension, "x")
    gamma, m = lines.row(2, "gamma and m")
    m = lines.integer(m, "m", 0)
    if gamma <= 0:
        lines.refuse(f"gamma should be positive, not {gamma}")
    lines.end()
    return Gmm(alphas, means, icf, x, gamma, m)


def read_ba(path: Path) -> Ba:
    """Bundle adjustment: the one camera, point, weight and feature of the file, copied."""
    lines = Lines(path)
    n, m, p = lines.sizes("n", "m", "p")
    camera, point, (weight,) = lines.row(11, "the camera"), lines.row(3, "the point"), lines.row(1, "the weight")
    feature = lines.row(2, "the feature")
    lines.end()
    return Ba(np.tile(camera, (n, 1)), np.tile(point, (m, 1)), np.full(p, weight), np.tile(feature, (p, 1)))


def perturbed(problem: Ba, size: float = 0.01, seed: int = 0) -> Ba:
    """Every copy changed by about so much, relatively: equal blocks would hide a wrong gather."""
    rng = np.random.default_rng(seed)
    return Ba(*(values * (1 + size * rng.standard_normal(values.shape)) for values in problem))


THETA, FINGERS = 26, 5


def read_hand(path: Path, complicated: bool = False) -> Hand:
    """Hand tracking, and the model from the folder `model` beside the file."""
    model = read_model(path.parent / "model", with_triangles=complicated)
    lines = Lines(path)
    count, parameters = lines.sizes("N", "26")
    if parameters != THETA:
        lines.refuse(f"{parameters} parameters where a hand has {THETA}")
    limit = len(model.triangles if complicated else model.vertices)
    rows, correspondences = [], []
    for k in range(count):
        row = lines.row(4, f"point {k + 1} of {count}")
        correspondences.append(lines.integer(row[0], "a correspondence", 0, limit))
        rows.append(row[1:])
    u = lines.table(count, 2, "u") if complicated else None
    theta = lines.table(THETA, 1, "theta")[:, 0]
    lines.end()
    return Hand(model, np.array(correspondences), np.array(rows), theta, u)


def read_model(folder: Path, with_triangles: bool = True) -> HandModel:
    """The hand itself, from bones.txt, vertices.txt and triangles.txt."""
    parents, matrices = [], []
    lines = Lines(folder / "bones.txt")
    while lines.more():
        name, *words = lines.words("a bone")
        if len(words) != 33:
            lines.refuse(f"{len(words)} numbers where bone {name} should have 33: its parent and two 4 x 4 matrices")
        parents.append(lines.integer(words[0], "a parent", -1, len(parents)))
        matrices.append([lines.real(word, f"bone {name}") for word in words[1:]])
    roots = parents.count(-1)
    if len(parents) < 2 + 4 * FINGERS or roots != 1 or parents[0] != -1:
        raise DataError(f"{lines.path}: {len(parents)} bones, {roots} of them roots; a hand has at least 22, the first its root")
    relative, inverse = np.moveaxis(np.array(matrices).reshape(-1, 2, 4, 4), 1, 0)

    positions, weights = [], []
    lines = Lines(folder / "vertices.txt")
    while lines.more():
        words = lines.words("a vertex")
        pairs = lines.integer(words[8], "the number of bones of a vertex", 0) if len(words) > 8 else 0
        if len(words) < 9 or len(words) != 9 + 2 * pairs:
            lines.refuse(f"{len(words)} fields where a vertex has 9 and two for each of its bones")
        positions.append([lines.real(word, "a vertex") for word in words[:3]])
        row = np.zeros(len(parents))
        for bone, weight in zip(words[9::2], words[10::2]):
            row[lines.integer(bone, "a bone", 0, len(parents))] += lines.real(weight, "a weight")
        weights.append(row)
    if not positions:
        raise DataError(f"{lines.path}: holds no vertices")

    triangles = []
    if with_triangles:
        lines = Lines(folder / "triangles.txt")
        while lines.more():
            words = lines.words("a triangle")
            if len(words) != 3:
                lines.refuse(f"{len(words)} numbers where a triangle has 3")
            triangles.append([lines.integer(word, "a corner", 0, len(positions)) for word in words])
    corners = np.array(triangles, int).reshape(-1, 3)
    return HandModel(np.array(parents), relative, inverse, np.array(positions), np.array(weights), corners)


def read_lstm(path: Path) -> Lstm:
    """An LSTM."""
    lines = Lines(path)
    layers, count, width = lines.sizes("L", "T", "b")
    main = lines.table(2 * layers, 4 * width, "main")
    extra = lines.table(3, width, "extra")
    state = lines.table(2 * layers, width, "state")
    sequence = lines.table(count, width, "the sequence")
    lines.end()
    return Lstm(main, extra, state, sequence)


# ---- generators ------------------------------------------------------------------------------------------------------


def make_gmm(dimension: int, components: int, count: int, seed: int = 0) -> Gmm:
    """A Gaussian mixture; values are distributed as in the original files."""
    rng = np.random.default_rng(seed)
    alphas, means = rng.standard_normal(components), rng.random((components, dimension))
    icf = rng.standard_normal((components, dimension * (dimension + 1) // 2))
    return Gmm(alphas, means, icf, rng.standard_normal((count, dimension)), 1.0, 0)


def make_ba(n: int, m: int, p: int, seed: int = 0) -> Ba:
    """Bundle adjustment: cameras that look at points some 50 units away, each a little different."""
    camera = [-0.8, -1.1, -0.8, 34.6, 39.7, 53.9, 419.2, 5.9, -8.5, 0.09, 0.003]
    problem = Ba(
        np.tile(camera, (n, 1)), np.tile([7.2, 0.1, 3.0], (m, 1)), np.full(p, 0.4), np.tile([270.0, 830.0], (p, 1))
    )
    return perturbed(problem, seed=seed)


def make_hand(count: int, complicated: bool = False, vertices: int = 544, seed: int = 0) -> Hand:
    """Hand tracking: a wrist, five fingers of four bones, a forearm; vertices scattered along them, each on up to four bones."""
    rng = np.random.default_rng(seed)
    parents = [-1] + [0 if joint == 0 else 4 * finger + joint for finger in range(FINGERS) for joint in range(4)] + [0]
    bones = len(parents)
    relative, absolute = np.empty((bones, 4, 4)), np.empty((bones, 4, 4))
    for bone, parent in enumerate(parents):
        orthogonal, triangular = np.linalg.qr(np.eye(3) + 0.5 * rng.standard_normal((3, 3)))
        orthogonal = orthogonal * np.sign(np.diag(triangular))  # near the identity
        orthogonal[:, 2] *= np.linalg.det(orthogonal)
        relative[bone] = np.eye(4)
        relative[bone, :3, :3], relative[bone, :3, 3] = orthogonal, 0.03 * rng.standard_normal(3)
        absolute[bone] = relative[bone] if parent < 0 else absolute[parent] @ relative[bone]
    skinning = np.zeros((vertices, bones))
    for row in skinning:
        chosen = rng.choice(bones, 4, replace=False)
        row[chosen] = rng.dirichlet(np.ones(4))
    positions = skinning @ absolute[:, :3, 3] + 0.01 * rng.standard_normal((vertices, 3))
    triangles = np.array([rng.choice(vertices, 3, replace=False) for _ in range(2 * vertices - 4)])
    model = HandModel(np.array(parents), relative, np.linalg.inv(absolute), positions, skinning, triangles)
    correspondences = rng.integers(len(triangles) if complicated else vertices, size=count)
    u = rng.random((count, 2)) / 2 if complicated else None
    return Hand(model, correspondences, rng.standard_normal((count, 3)), 0.5 * rng.standard_normal(THETA), u)


def make_lstm(layers: int, count: int, width: int = 14, seed: int = 0) -> Lstm:
    """An LSTM over characters of `width` bits; values are distributed as in the original files."""
    rng = np.random.default_rng(seed)
    main, extra = rng.random((2 * layers, 4 * width)), rng.random((3, width))
    return Lstm(main, extra, rng.random((2 * layers, width)), (rng.random((count, width)) < 0.5).astype(float))
