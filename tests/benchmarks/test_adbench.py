"""The problems of ADBench: derivatives against the complex step, by hand and not; what readers refuse; the suite."""

from __future__ import annotations

import os
from pathlib import Path

import adbench
import numpy as np
import peers
import pytest
from adbench import ba, data, gmm, hand, lstm
from adbench.data import DataError
from measure import Result, check_answers
from peers import Peers

import dualgrad

#: The original files: a folder named by the environment, or beside the checkout.  Tests that need them are skipped without.
ORIGINAL = Path(os.environ.get("ADBENCH_DATA", Path(__file__).parents[3] / "shared" / "adbench"))

STEP = 1e-30


def complex_step(function, x):
    """∂ function / ∂x, of shape output + x.shape."""
    slopes = []
    for k in range(x.size):
        shifted = x.astype(complex).ravel()
        shifted[k] += STEP * 1j
        slopes.append(np.imag(function(shifted.reshape(x.shape))) / STEP)
    return np.stack(slopes, -1).reshape(np.shape(slopes[0]) + x.shape)


def assert_close(got, expected, tolerance=1e-12):
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.max(np.abs(expected)))


def logistic(x):
    """σ of complex numbers, which scipy.special.expit does not take."""
    return 1 / (1 + np.exp(-x))


# ---- derivatives --------------------------------------------------------------------------------------------------

GMMS = [data.make_gmm(3, 4, 20), data.make_gmm(1, 2, 5, seed=1), data.make_gmm(2, 1, 7)._replace(gamma=1.3, m=2)]
BAS = [data.make_ba(3, 5, 11), data.make_ba(2, 3, 1)]
HANDS = [data.make_hand(6, vertices=30), data.make_hand(5, complicated=True, vertices=30, seed=1)]
LSTMS = [data.make_lstm(2, 6, 3), data.make_lstm(1, 3, 2), data.make_lstm(3, 5, 1)]


@pytest.mark.parametrize("problem", GMMS, ids=["d3 K4", "d1 K2", "d2 K1, another prior"])
def test_the_gradient_of_the_mixture_is_that_of_the_complex_step_and_of_the_hand(problem):
    known, at = gmm.given(problem), problem[:3]
    gradient, by_hand = dualgrad.grad(gmm.log_posterior, argnums=(0, 1, 2))(*at, known), gmm.gradient_by_hand(*at, known)
    for k in range(3):
        expected = complex_step(lambda x, k=k: gmm.log_posterior(*at[:k], x, *at[k + 1 :], known), at[k])
        assert_close(gradient[k], expected)
        assert_close(by_hand[k], expected)


def test_the_posterior_is_its_definition():
    problem = data.make_gmm(3, 2, 5)._replace(gamma=0.7, m=1)
    terms = []
    for x in problem.x:
        inner = []
        for alpha, mean, row in zip(*problem[:3]):
            q = np.diag(np.exp(row[:3]))
            q[1, 0], q[2, 0], q[2, 1] = row[3:]  # column by column
            inner.append(alpha + row[:3].sum() - 0.5 * np.sum((q @ (x - mean)) ** 2))
        terms.append(np.log(np.exp(inner).sum()))
    diagonal, lower = problem.icf[:, :3], problem.icf[:, 3:]
    value = np.sum(terms) - 5 * np.log(np.exp(problem.alphas).sum())
    value += 0.5 * 0.7**2 * (np.exp(2 * diagonal).sum() + (lower**2).sum()) - diagonal.sum()
    known = gmm.given(problem)
    assert gmm.log_posterior(*problem[:3], known) == pytest.approx(value + known.constant, rel=1e-13)


def dense_ba(problem):
    """The Jacobian of bundle adjustment by the complex step, one column after the other."""
    parts = problem[:3]

    def function(x):
        cut = np.split(x, np.cumsum([part.size for part in parts])[:-1])
        e, w = ba.residuals(data.Ba(*(c.reshape(part.shape) for c, part in zip(cut, parts)), problem.features))
        return np.concatenate([e.ravel(), w])

    return complex_step(function, np.concatenate([part.ravel() for part in parts]))


@pytest.mark.parametrize("jacobian", [ba.jacobian, ba.jacobian_mapped, ba.jacobian_by_hand])
@pytest.mark.parametrize("problem", BAS, ids=["11 observations", "1 observation"])
def test_the_jacobian_of_bundle_adjustment_is_that_of_the_complex_step(problem, jacobian):
    pattern = ba.Pattern(problem)
    found = jacobian(problem, pattern)
    assert found.has_canonical_format and found.nnz == 31 * len(problem.weights)
    assert_close(found.toarray(), dense_ba(problem))


def test_observations_by_hand_may_be_taken_in_any_portions():
    problem = BAS[0]
    pattern = ba.Pattern(problem)
    assert_close(ba.jacobian_by_hand(problem, pattern, together=4).data, ba.jacobian(problem, pattern).data)


def test_a_camera_that_is_not_turned_has_the_derivatives_of_the_limit():
    problem = data.make_ba(1, 1, 1)
    problem.cameras[:, :3] = 0
    pattern, rows = ba.Pattern(problem), []
    for k in range(3):
        pair = []
        for step in (1e-5, -1e-5):
            problem.cameras[0, k] = step
            pair.append(ba.residuals(problem)[0].ravel())
        problem.cameras[0, k] = 0
        rows.append((pair[0] - pair[1]) / 2e-5)
    for jacobian in (ba.jacobian, ba.jacobian_mapped, ba.jacobian_by_hand):
        assert_close(jacobian(problem, pattern).toarray()[:2, :3], np.transpose(rows), 1e-8)


@pytest.mark.parametrize("problem", HANDS, ids=["simple", "complicated"])
def test_the_jacobian_of_the_hand_is_that_of_the_complex_step_and_of_the_hand(problem):
    known, (theta, u) = hand.given(problem), hand.independents(problem)
    expected = complex_step(lambda x: hand.residuals(x, u, known), theta).reshape(-1, 26)
    if u is not None:  # the block of each correspondence, in two columns
        of_u = complex_step(lambda x: hand.residuals(theta, x, known), u)
        blocks = np.einsum("cnkn->cnk", of_u)
        assert np.count_nonzero(of_u) == np.count_nonzero(blocks)
        expected = np.concatenate([expected, blocks.reshape(-1, 2)], 1)
    assert_close(hand.jacobian(problem, known), expected)
    assert_close(hand.jacobian_by_hand(problem, known), expected)


def test_a_hand_that_is_not_turned_has_the_derivatives_of_the_limit():
    problem = HANDS[0]._replace(theta=np.r_[np.zeros(3), HANDS[0].theta[3:]])
    known = hand.given(problem)
    posed = hand.vertices(problem.theta, known)[:, known.corners[0]] - problem.theta[3:6, None]
    for found in (hand.jacobian(problem, known), hand.jacobian_by_hand(problem, known)):
        for k in range(3):
            assert_close(found[:, k], -np.cross(np.eye(3)[k], posed.T).T.ravel())


def test_the_posed_vertices_are_their_definition():
    problem = HANDS[0]
    model, theta = problem.model, problem.theta
    angles = np.zeros((len(model.parents), 2))
    for finger in range(5):
        bone, own = 2 + 4 * finger, theta[6 + 4 * finger : 10 + 4 * finger]
        angles[bone], angles[bone + 1, 0], angles[bone + 2, 0] = own[:2], own[2], own[3]
    absolute = []
    for (x, z), parent, base in zip(angles, model.parents, model.base_relative):
        about_x, about_z = np.eye(4), np.eye(4)
        about_x[1:3, 1:3] = [[np.cos(x), -np.sin(x)], [np.sin(x), np.cos(x)]]
        about_z[:2, :2] = [[np.cos(z), -np.sin(z)], [np.sin(z), np.cos(z)]]
        relative = base @ about_z @ about_x
        absolute.append(relative if parent < 0 else absolute[parent] @ relative)
    transforms = np.array(absolute) @ model.inverse_base_absolute
    homogeneous = np.c_[model.vertices, np.ones(len(model.vertices))]
    local = np.einsum("vb,bij,vj->vi", model.skinning, transforms, homogeneous)[:, :3]
    r, t = theta[:3], np.linalg.norm(theta[:3])
    turned = local * np.cos(t) + np.cross(r, local) * np.sin(t) / t + np.outer(local @ r, r) * (1 - np.cos(t)) / t**2
    assert_close(hand.vertices(theta, hand.given(problem)).T, turned + theta[3:6], 1e-13)


@pytest.mark.parametrize("problem", LSTMS, ids=["2 layers", "1 layer", "3 layers"])
def test_the_gradient_of_the_lstm_is_that_of_the_complex_step_and_of_the_hand(problem):
    gradient, by_hand = dualgrad.grad(lstm.loss, argnums=(0, 1))(*problem), lstm.gradient_by_hand(*problem)
    for k in range(2):
        function = lambda x, k=k: lstm.loss(*problem[:k], x, *problem[k + 1 :], sigmoid=logistic)
        expected = complex_step(function, problem[k])
        assert_close(gradient[k], expected)
        assert_close(by_hand[k], expected)


# ---- published values ---------------------------------------------------------------------------------------------

GMM_TEXT = """2 3 1
-0.649014
1.181166
-0.758453
0.092339 0.186260
0.345561 0.396767
0.538817 0.419195
0.586443 -0.851887 0.800321
-1.509405 0.875874 -0.242790
0.166813 -1.965419 -1.270071
1.175171 2.029160
1.000000 0
"""
BA_TEXT = """2 10 10
1.797201 0.590697 -0.635786 90.859550 29.361415 28.777534 211.628116 -0.284531 -14.762924 0.058931 0.069976
4.173048 5.586898 1.403869
0.417022
-525.672849 161.811929
"""


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    return path


def test_the_mixture_of_the_original_test_has_its_published_gradient(tmp_path):
    problem = data.read_gmm(written(tmp_path / "test.txt", GMM_TEXT))
    known = gmm.given(problem)
    assert gmm.log_posterior(*problem[:3], known) == pytest.approx(8.07380408004975791e00, rel=1e-14)
    alphas, means, icf = dualgrad.grad(gmm.log_posterior, argnums=(0, 1, 2))(*problem[:3], known)
    assert_close(alphas, [1.08662855508652456e-01, -7.41270039523898472e-01, 6.32607184015246071e-01])
    assert_close(means[0], [1.11692576532787013e00, 1.63333013551455269e-01])
    assert_close(means[1], [-2.19989824071193142e-02, 2.27778292254236098e-01])
    assert_close(icf[2], [1.71892309775004937e00, 8.60091090790866875e-01, -9.94640930466322848e-01])


def test_the_bundle_adjustment_of_the_original_test_has_its_published_jacobian(tmp_path):
    problem = data.read_ba(written(tmp_path / "test.txt", BA_TEXT))
    errors, weights = ba.residuals(problem)
    assert_close(errors, np.tile([-2.69048849235189402e-01, 2.59944792677901881e-01], (10, 1)), 1e-10)
    assert_close(weights, np.full(10, 8.26092651515999976e-01))
    found = ba.jacobian(problem, ba.Pattern(problem))
    row = [
        2.28877202208246757e02, 6.34574811495545418e02, -7.82222866259340549e02, 2.42892615607159668e00, -1.17828079628011313e01,
        2.54169312487743460e00, -1.03657084958518086e00, 4.17022e-01, 0.0, -3.50739521096005205e02, -9.12107773668008576e02,
        -2.42892615607159668e00, 1.17828079628011313e01, -2.54169312487743460e00, -6.45167039712987389e-01,
    ]  # fmt: skip
    assert found.shape == (30, 62)
    assert_close(found.data[:15], row)
    assert_close(found.data[300:], np.full(10, -8.34044e-01))


original = pytest.mark.skipif(not ORIGINAL.is_dir(), reason="the original files are not there")


@original
@pytest.mark.parametrize("complicated", [False, True], ids=["simple", "complicated"])
def test_the_hand_of_the_original_test_has_its_published_residuals_and_slopes(complicated, tmp_path):
    kind = "complicated" if complicated else "simple"
    (tmp_path / "model").symlink_to(ORIGINAL / "hand" / f"{kind}_small" / "model")
    text = (ORIGINAL / "hand" / ("hand_complicated.txt" if complicated else "test.txt")).read_text(encoding="ascii")
    problem = data.read_hand(written(tmp_path / "test.txt", text), complicated)
    known = hand.given(problem)
    published = {
        "simple": [
            [1.65193147941611551e-01, -1.74542769272742593e-01, 1.54751161622253441e-01],
            [-1.25651749731793605e-01, -4.25102935355075040e-02, -1.30665781132340175e-01],
        ],
        "complicated": [
            [0.15618766169646370, -0.14930052600332222, 0.17223808982645483],
            [-0.098877045184959655, -0.016123803546210125, -0.19758676846557965],
        ],
    }
    assert_close(hand.residuals(*hand.independents(problem), known).T, published[kind])
    found = hand.jacobian(problem, known).reshape(3, 2, -1)
    if complicated:
        assert_close(found[0, 0, 26:], [3.199947056506058374e-03, 5.941210363247684256e-03])
        assert_close(found[0, 0, :3], [-3.167804141392804862e-02, 2.512738463135467254e-02, -3.437516924900453630e-02])
    else:
        last = [-2.215372991798553182e-02, 2.980232943547148072e-02, -8.897183847208387994e-03, -2.248878879166987636e-03]
        assert_close(found[0, 0, :3], [-1.955129593412827452e-02, 1.184213197364370439e-02, -1.081400434503667143e-02])
        assert_close(found[0, 0, 22:], last)


@original
def test_the_lstm_of_the_original_test_has_its_published_loss_and_gradient():
    problem = data.read_lstm(ORIGINAL / "lstm" / "lstm_l2_c1024.txt")
    assert lstm.loss(*problem) == pytest.approx(0.66666518, abs=5e-9)
    main, extra = lstm.gradient_by_hand(*problem)
    assert_close(main[0, 7:10], [-3.67840807336070475e-05, -1.54848612683180522e-04, 5.48717267869773910e-06])
    assert_close(extra[2, 12:], [-7.73167106472800580e-03, -2.00225690895980656e-02])


@original
@pytest.mark.parametrize(
    "file", ["gmm/1k/gmm_d2_K5.txt", "gmm/1k/gmm_d10_K25.txt", "ba/ba1_n49_m7776_p31843.txt",
             "hand/simple_small/hand7_t26_c3200.txt", "hand/complicated_small/hand1_t26_c100.txt", "lstm/lstm_l2_c1024.txt"],
)  # fmt: skip
def test_on_the_original_data_all_tools_give_the_derivative_by_hand(file):
    path = ORIGINAL / file
    if file.startswith("gmm"):
        problem = data.read_gmm(path)
        known = gmm.given(problem)
        found = dualgrad.grad(gmm.log_posterior, argnums=(0, 1, 2))(*problem[:3], known)
        expected = gmm.gradient_by_hand(*problem[:3], known)
    elif file.startswith("ba"):
        problem = data.perturbed(data.read_ba(path))
        pattern = ba.Pattern(problem)
        found, expected = [ba.jacobian(problem, pattern).data], [ba.jacobian_by_hand(problem, pattern).data]
    elif file.startswith("hand"):
        problem = data.read_hand(path, "complicated" in file)
        known = hand.given(problem)
        found, expected = [hand.jacobian(problem, known)], [hand.jacobian_by_hand(problem, known)]
    else:
        problem = data.read_lstm(path)
        found, expected = dualgrad.grad(lstm.loss, argnums=(0, 1))(*problem), lstm.gradient_by_hand(*problem)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


# ---- files --------------------------------------------------------------------------------------------------------


def rows(*tables):
    """Tables as text, a line for each row."""
    return "".join(" ".join(map(repr, np.ravel(row).tolist())) + "\n" for table in tables for row in table)


def write_hand(folder, problem):
    """A hand in the original format."""
    model = problem.model
    bones = [
        ":".join(map(str, [f"bone{k}", parent, *map(float, np.r_[a.ravel(), b.ravel()])]))
        for k, (parent, a, b) in enumerate(zip(model.parents, model.base_relative, model.inverse_base_absolute))
    ]
    vertices = [
        ":".join(map(str, [*map(float, x), 0.0, 0.0, 1.0, 0.0, 0.0, np.count_nonzero(w)]
                     + [v for b in np.flatnonzero(w) for v in (b, float(w[b]))]))
        for x, w in zip(model.vertices, model.skinning)
    ]  # fmt: skip
    written(folder / "model" / "bones.txt", "\n".join(bones) + "\n")
    written(folder / "model" / "vertices.txt", "\n".join(vertices) + "\n")
    written(folder / "model" / "triangles.txt", "".join(":".join(map(str, t)) + "\n" for t in model.triangles))
    lines = [f"{c} {x!r} {y!r} {z!r}" for c, (x, y, z) in zip(problem.correspondences, problem.points.tolist())]
    text = f"{len(lines)} 26\n" + "\n".join(lines) + "\n"
    text += rows(problem.theta[:, None]) if problem.u is None else rows(problem.u, problem.theta[:, None])
    return written(folder / "hand.txt", text)


def assert_same(read, expected):
    for one, other in zip(read, expected, strict=True):
        if isinstance(other, tuple):
            assert_same(one, other)
        elif other is None:
            assert one is None
        else:
            np.testing.assert_array_equal(one, other)


def test_what_is_written_in_the_original_formats_is_read_back(tmp_path):
    mixture = data.make_gmm(2, 3, 4)
    text = "2 3 4\n" + rows(mixture.alphas[:, None], *mixture[1:4]) + "1.0 0\n"
    assert_same(data.read_gmm(written(tmp_path / "gmm.txt", text)), mixture)
    chain = data.make_lstm(1, 3, 2)
    text = "1 3 2\n\n" + rows(chain.main) + "\n" + rows(chain.extra, chain.state, chain.sequence)
    assert_same(data.read_lstm(written(tmp_path / "lstm.txt", text)), chain)
    for problem in HANDS:
        complicated = problem.u is not None
        read = data.read_hand(write_hand(tmp_path / str(complicated), problem), complicated)
        model = problem.model if complicated else problem.model._replace(triangles=np.empty((0, 3), int))
        assert_same(read, problem._replace(model=model))


def test_a_replicated_file_holds_one_point_for_all(tmp_path):
    text = GMM_TEXT.replace("2 3 1\n", "2 3 5\n")
    problem = data.read_gmm(written(tmp_path / "2.5M" / "gmm.txt", text))
    assert problem.x.shape == (5, 2) and np.ptp(problem.x, axis=0).max() == 0


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("2 3 1\n", "2 3\n", "line 1: 2 numbers where the sizes D K N should stand"),
        ("2 3 1\n", "2 3 0\n", "line 1: N should be an integer, at least 1, not 0"),
        ("2 3 1\n", "2.5 3 1\n", "line 1: D should be an integer, at least 1, not 2.5"),
        ("1.181166\n", "one\n", "line 3: 'one' in row 2 of 3 of alphas is not a number"),
        ("1.181166\n", "nan\n", "line 3: 'nan' in row 2 of 3 of alphas is not finite"),
        ("0.345561 0.396767\n", "0.345561\n", "line 6: 1 numbers where row 2 of 3 of means should have 2"),
        ("1.000000 0\n", "", "line 12: the file ends where gamma and m should follow"),
        ("1.000000 0\n", "1.000000 0.5\n", "line 12: m should be an integer, at least 0, not 0.5"),
        ("1.000000 0\n", "-1.0 0\n", "line 12: gamma should be positive, not -1.0"),
        ("1.000000 0\n", "1.0 0\n\n7\n", "line 14: the data should end before this line"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path, old, new, complaint):
    path = written(tmp_path / "gmm.txt", GMM_TEXT.replace(old, new))
    with pytest.raises(DataError) as caught:
        data.read_gmm(path)
    assert str(caught.value) == f"{path}, {complaint}"


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("hand.txt", "5 26\n", "5 25\n", "hand.txt, line 1: 25 parameters where a hand has 26"),
        ("hand.txt", None, "1 26\n56 0 0 0\n", "hand.txt, line 2: a correspondence should be an integer, 0 to 55, not 56.0"),
        ("model/bones.txt", "bone3:2:", "bone3:2:1:", "model/bones.txt, line 4: 34 numbers where bone bone3 should have 33: "
         "its parent and two 4 x 4 matrices"),
        ("model/bones.txt", "bone3:2:", "bone3:9:", "model/bones.txt, line 4: a parent should be an integer, -1 to 2, not 9"),
        ("model/bones.txt", None, "", "model/bones.txt: 0 bones, 0 of them roots; a hand has at least 22, the first its root"),
        ("model/vertices.txt", None, "0:0:0:0:0:0:0:0:2:1:0.5\n", "model/vertices.txt, line 1: 11 fields where a vertex has 9 and "
         "two for each of its bones"),
        ("model/vertices.txt", None, "0:0:0\n", "model/vertices.txt, line 1: 3 fields where a vertex has 9 and two for each of its "
         "bones"),
        ("model/vertices.txt", None, "0:0:0:0:0:0:0:0:1:22:0.5\n", "model/vertices.txt, line 1: a bone should be an integer, "
         "0 to 21, not 22"),
        ("model/vertices.txt", None, "\n", "model/vertices.txt: holds no vertices"),
        ("model/triangles.txt", None, "1:2\n", "model/triangles.txt, line 1: 2 numbers where a triangle has 3"),
        ("model/triangles.txt", None, "1:2:30\n", "model/triangles.txt, line 1: a corner should be an integer, 0 to 29, not 30"),
    ],
)  # fmt: skip
def test_a_malformed_hand_is_refused_with_its_file_and_line(tmp_path, file, old, new, complaint):
    path = write_hand(tmp_path, HANDS[1])
    text = (tmp_path / file).read_text(encoding="ascii")
    written(tmp_path / file, new if old is None else text.replace(old, new))
    with pytest.raises(DataError) as caught:
        data.read_hand(path, complicated=True)
    assert str(caught.value) == f"{tmp_path}/{complaint}"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.txt: cannot be read \(No such file or directory\)"):
        data.read_lstm(tmp_path / "absent.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe1 2")
    with pytest.raises(DataError, match=r"binary\.txt: is not a text of numbers"):
        data.read_ba(tmp_path / "binary.txt")


def test_generated_problems_are_the_same_every_time_and_of_their_sizes():
    assert_same(data.make_hand(4, True, 12), data.make_hand(4, True, 12))
    assert data.make_gmm(2, 3, 4).icf.shape == (3, 3)
    problem = data.make_ba(2, 3, 7)
    assert [len(part) for part in problem] == [2, 3, 7, 7] and len(np.unique(problem.cameras[:, 0])) == 2
    np.testing.assert_allclose(np.linalg.norm(HANDS[0].model.base_relative[:, :3, :3], axis=1), 1)


# ---- the suite ----------------------------------------------------------------------------------------------------


SMALL = [
    adbench._gmm(2, 3, "1k", 10), adbench._ba(1, 2, 3, 8), adbench._hand("simple", 1, 4), adbench._hand("complicated", 1, 4),
    adbench._lstm(1, 4),
]  # fmt: skip


def small(monkeypatch):
    monkeypatch.setattr(adbench, "SIZES", SMALL)


def test_a_case_for_every_size_in_which_dualgrad_comes_first_and_all_agree(monkeypatch):
    small(monkeypatch)
    cases = adbench.adbench(Peers())
    assert [case.name for case in cases] == [
        "GMM 1k d2 K3", "BA 1, 8 observations", "HAND simple c4", "HAND complicated c4", "LSTM l1 c4",
    ]  # fmt: skip
    for case in cases:
        names = [tool.name for tool in case.tools]
        assert names[0] == "dualgrad" and {"NumPy, by hand", "NumPy, objective"} <= set(names)
        assert case.targets and case.note
        check_answers(case)
    quick = [case.name for case in adbench.adbench(Peers(), quick=True)]
    assert quick == [case.name for case in cases if "complicated" not in case.name]


@pytest.mark.parametrize("peer", list(peers.PACKAGES))
def test_every_peer_gives_the_same_answers(monkeypatch, peer):
    pytest.importorskip(peers.PACKAGES[peer])
    small(monkeypatch)
    for case in adbench.adbench(peers.load(peer)):
        assert any(tool.name.startswith(peer) for tool in case.tools)
        check_answers(case)
        for tool in case.tools:
            tool.sample()


def test_a_folder_gives_the_cases_found_in_it(monkeypatch, tmp_path):
    small(monkeypatch)
    written(tmp_path / "gmm" / "1k" / "gmm_d2_K3.txt", GMM_TEXT)
    (case,) = adbench.adbench(Peers(), data=tmp_path)
    assert case.name == "GMM 1k d2 K3"
    with pytest.raises(DataError, match=r"holds no file of this benchmark, such as gmm/1k/gmm_d2_K3\.txt"):
        adbench.adbench(Peers(), data=tmp_path / "gmm")
    with pytest.raises(DataError, match="nowhere: is no folder"):
        adbench.adbench(Peers(), data=tmp_path / "nowhere")


def test_the_table_divides_a_derivative_by_the_objective_of_its_own_tool(monkeypatch):
    small(monkeypatch)
    case = adbench.adbench(Peers())[0]
    samples = {"dualgrad": [6.0], "PyTorch": [8.0], "PyTorch, objective": [4.0], "NumPy, objective": [2.0]}
    result = Result(case, {name: np.array(values) for name, values in samples.items()})
    assert list(adbench.ratios([result])) == [(case.name, "dualgrad", 3.0), (case.name, "PyTorch", 2.0)]
    assert adbench.table([result]).splitlines()[2].split() == ["GMM", "1k", "d2", "K3", "PyTorch", "2.00"]


def test_a_tool_that_would_take_minutes_is_left_out_with_its_target(monkeypatch):
    monkeypatch.setattr(adbench, "SIZES", [SMALL[-1]._replace(slow=("NumPy, by hand", "PyTorch"))])
    (case,) = adbench.adbench(Peers())
    assert "NumPy, by hand" not in [tool.name for tool in case.tools] and list(case.targets) == ["HIPS autograd"]
