import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.errors import FrugalsegError
from frugalseg.sampling import _raster_cpu, interpolation
from frugalseg.sampling.interpolation import _backend, interpolate, interpolate_argmax, snap
from reference.interpolation import slow_interpolate, slow_raster


def uniform(h, w, dtype=torch.float64):
    rows, columns = torch.linspace(0, 1, h, dtype=dtype), torch.linspace(0, 1, w, dtype=dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)[None]


def covering(phi):
    phi = phi.clamp(0, 1).clone()
    phi[:, 0, :, 0], phi[:, -1, :, 0] = 0, 1
    phi[:, :, 0, 1], phi[:, :, -1, 1] = 0, 1
    return phi


def warped(h, w, amount, seed, n=1, dtype=torch.float64):
    """Covering; amount in cells: below 0.25 nothing folds, from about 1 on much does."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand((n, h, w, 2), generator=generator, dtype=torch.float64) * 2 - 1
    step = torch.tensor([1 / (h - 1), 1 / (w - 1)], dtype=torch.float64)
    return covering(uniform(h, w) + amount * step * noise).to(dtype)


def smooth_warp(h, w):
    phi = uniform(h, w)
    bend = torch.sin(torch.pi * phi)
    return covering(phi + 0.12 * torch.stack([bend[..., 1], -bend[..., 0]], -1))


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


CASES = {
    "uniform": (uniform(4, 5), (9, 13)),
    "uniform, not in step": (uniform(5, 4), (11, 8)),
    "two by two": (uniform(2, 2), (5, 4)),
    "smooth": (smooth_warp(6, 7), (14, 17)),
    "unfolded": (warped(5, 6, 0.24, 1), (15, 12)),
    "folded": (warped(5, 6, 1.0, 2), (15, 12)),
    "strongly folded": (covering(noise(1, 6, 5, 2, seed=3).sigmoid()), (13, 16)),
    "whole numbers, folded": (
        covering((noise(1, 6, 6, 2, seed=4) * 3 + 4).round() / 8),
        (9, 9),
    ),
    "several": (warped(4, 4, 0.8, 5, n=3), (8, 9)),
    "single precision": (warped(4, 6, 0.6, 6, dtype=torch.float32), (10, 9)),
    "one row": (warped(3, 4, 0.2, 7), (1, 9)),
    "one column": (warped(3, 4, 0.2, 7), (9, 1)),
    "one pixel": (warped(3, 4, 0.2, 7), (1, 1)),
    "more samples than pixels": (warped(9, 9, 0.4, 8), (4, 3)),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def triangles(nodes, size, shift):
    """Number of the triangle at each pixel."""
    points = nodes.numpy()
    return torch.from_numpy(
        _raster_cpu._paint(points, *_raster_cpu._split_all(points), size, shift)
    )


def test_triangles_are_those_of_the_definition(case):
    phi, size = case
    nodes, shift = snap(phi, size)
    expected = np.stack([slow_raster(one, size)[0] for one in phi])
    assert expected.min() >= 0  # every pixel has an answer
    np.testing.assert_array_equal(triangles(nodes, size, shift), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_those_of_the_definition(case, dtype):
    phi, size = case
    scores = noise(len(phi), 4, *phi.shape[1:3], dtype=dtype)
    expected = slow_interpolate(scores, phi, size)
    result = interpolate(scores, phi, size)
    assert result.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)
    # argmax likewise, wherever the two best classes are apart
    first, second = np.sort(expected, 1)[:, [-1, -2]].swapaxes(0, 1)
    clear = first - second > 2 * tolerance
    assert clear.mean() > 0.9
    labels = interpolate_argmax(scores, phi, size).numpy()
    np.testing.assert_array_equal(labels[clear], expected.argmax(1)[clear])


def test_argmax_of_wide_spans_and_many_classes():
    """Rows on which one, two or more classes win, against the argmax of the values."""
    phi, size = warped(5, 4, 0.2, 9), (40, 160)
    for classes in (2, 3, 19):
        scores = noise(1, classes, 5, 4, seed=classes)
        values = interpolate(scores, phi, size)
        best = values.topk(2, 1).values
        clear = (best[:, 0] - best[:, 1]) > 1e-9
        labels = interpolate_argmax(scores, phi, size)
        assert torch.equal(labels[clear].long(), values.argmax(1)[clear])


@pytest.mark.parametrize("columns", [[0, 0.2, 0.4, 0.6, 0.8, 1], [0, 0.5, 0.3, 0.3, 0.9, 1]])
def test_argmax_of_upright_cells_of_one_class(columns):
    """Such cells are filled run by run; the second row of columns turns back and stands still."""
    rows, columns = torch.tensor([0, 0.25, 0.25, 0.7, 0.6, 1.0]), torch.tensor(columns)
    phi = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)[None].double()
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        coarse = torch.randint(0, 3, (3, 3), generator=generator)
        labels = coarse.repeat_interleave(2, 0).repeat_interleave(2, 1)
        scores = torch.nn.functional.one_hot(labels, 3).permute(2, 0, 1)[None].double()
        scores = scores + 0.1 * noise(1, 3, 6, 6, seed=seed)
        values = interpolate(scores, phi, (50, 70))
        best = values.topk(2, 1).values
        clear = (best[:, 0] - best[:, 1]) > 1e-9
        assert clear.double().mean() > 0.99
        result = interpolate_argmax(scores, phi, (50, 70))
        assert torch.equal(result[clear].long(), values.argmax(1)[clear])


def test_equal_classes_go_to_the_lowest():
    scores = noise(1, 3, 5, 5).repeat_interleave(2, 1)  # each class twice
    labels = interpolate_argmax(scores, warped(5, 5, 0.6, 1), (30, 31))
    assert (labels % 2 == 0).all()
    assert len(labels.unique()) == 3
    constant = torch.zeros(1, 4, 3, 3)
    assert (interpolate_argmax(constant, uniform(3, 3), (7, 7)) == 0).all()


@pytest.mark.parametrize("phi", [uniform(7, 9), smooth_warp(7, 9), warped(7, 9, 0.24, 3)])
def test_linear_functions_of_the_place_come_back(phi):
    size = (37, 53)
    coefficients = torch.tensor([[0.3, -2.0], [1.0, 0.7]], dtype=torch.float64)
    scores = torch.einsum("nhwk,ck->nchw", phi, coefficients) + 0.25
    expected = torch.einsum("nhwk,ck->nchw", uniform(*size), coefficients) + 0.25
    torch.testing.assert_close(interpolate(scores, phi, size), expected, rtol=0, atol=1e-8)


def test_agrees_with_bilinear_where_the_scores_are_bilinear_without_twist():
    scores = noise(2, 3, 1, 6) + noise(2, 3, 5, 1, seed=1)  # f(row) + g(column)
    expected = torch.nn.functional.interpolate(
        scores, (33, 41), mode="bilinear", align_corners=True
    )
    phi = uniform(5, 6).expand(2, -1, -1, -1)
    torch.testing.assert_close(interpolate(scores, phi, (33, 41)), expected, rtol=0, atol=1e-7)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(2, 7), st.integers(2, 7)),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.sampled_from([0.1, 0.5, 2.0]),
    st.booleans(),
)
def test_every_pixel_gets_a_mean_of_scores(seed, grid, size, amount, covered):
    phi = warped(*grid, amount, seed)
    if not covered:
        phi = 0.1 + 0.7 * phi
    scores = noise(1, 2, *grid, seed=seed)
    values = interpolate(scores, phi, size)
    lowest, highest = scores.amin((2, 3), keepdim=True), scores.amax((2, 3), keepdim=True)
    assert ((values >= lowest - 1e-9) & (values <= highest + 1e-9)).all()
    constant = interpolate(torch.full_like(scores, 1.5), phi, size)
    torch.testing.assert_close(constant, torch.full_like(constant, 1.5))
    if covered:
        nodes, shift = snap(phi, size)
        numbers = triangles(nodes, size, shift)[0].numpy()
        np.testing.assert_array_equal(numbers, slow_raster(phi[0], size)[0])


def test_a_grid_that_does_not_cover_is_continued_straight_to_the_sides():
    phi = 0.25 + 0.5 * uniform(3, 3)
    scores = noise(1, 2, 3, 3)
    values = interpolate(scores, phi, (9, 9))
    torch.testing.assert_close(values[..., 2:7, 2:7], interpolate(scores, uniform(3, 3), (5, 5)))
    torch.testing.assert_close(values[..., :2, 2:7], values[..., 2:3, 2:7].expand(-1, -1, 2, -1))
    torch.testing.assert_close(values[..., 2:7, 7:], values[..., 2:7, 6:7].expand(-1, -1, -1, 2))
    torch.testing.assert_close(values[..., 7:, 7:], scores[..., -1:, -1:].expand(-1, -1, 2, 2))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30, -7.0])
def test_values_out_of_range_do_no_harm(bad):
    scores, phi = noise(1, 3, 5, 6), warped(5, 6, 0.2, 1)
    phi[0, 2, 3] = bad
    assert interpolate(scores, phi, (12, 17)).isfinite().all()
    assert (interpolate_argmax(scores, phi, (12, 17)) < 3).all()
    phi[:] = bad
    assert interpolate(scores, phi, (12, 17)).isfinite().all()
    scores[0, 1, 2:4] = bad
    assert (interpolate_argmax(scores, warped(5, 6, 0.2, 1), (12, 17)) < 3).all()


def test_minus_infinity_never_wins_and_plus_infinity_always_does():
    scores = noise(1, 3, 4, 4)
    scores[:, 1, :, 1:3] = -float("inf")
    labels = interpolate_argmax(scores, uniform(4, 4), (31, 31))
    assert (labels[..., 1:-1] != 1).all()
    labels = interpolate_argmax(-scores, uniform(4, 4), (31, 31))
    assert (labels[..., 1:-1] == 1).all()


@pytest.mark.parametrize(("classes", "dtype"), [(255, torch.uint8), (256, torch.int16)])
def test_many_classes(classes, dtype):
    scores = noise(1, classes, 3, 3)
    scores[:, -1] += 9
    labels = interpolate_argmax(scores, uniform(3, 3), (5, 5))
    assert labels.dtype == dtype
    assert (labels == classes - 1).all()


@pytest.mark.parametrize("phi", [warped(4, 5, 0.8, 2, n=2), 0.2 + 0.5 * warped(4, 5, 0.8, 3, n=2)])
def test_gradient_in_the_scores(phi):
    scores = noise(2, 3, 4, 5).requires_grad_()
    phi = phi.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: interpolate(s, phi.detach(), (7, 6)), scores)
    interpolate(scores, phi, (7, 6)).sum().backward()
    assert scores.grad is not None
    assert phi.grad is None
    # all weights of a pixel sum to 1
    assert scores.grad.sum().item() == pytest.approx(2 * 3 * 42)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    scores, phi = noise(1, 3, 4, 4).to(dtype).requires_grad_(), uniform(4, 4, torch.float32)
    result = interpolate(scores, phi, (9, 9))
    torch.testing.assert_close(result, interpolate(scores.float(), phi, (9, 9)), rtol=0, atol=0)
    assert result.dtype == torch.float32
    result.sum().backward()
    assert scores.grad.dtype == dtype
    expected = interpolate_argmax(scores.float(), phi, (9, 9))
    assert torch.equal(interpolate_argmax(scores, phi, (9, 9)), expected)


def test_threads_do_not_change_the_answer():
    phi, size = warped(9, 9, 1.5, 4, n=2), (150, 90)
    scores = noise(2, 5, 9, 9).requires_grad_()
    threads = torch.get_num_threads()
    answers = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            values = interpolate(scores, phi, size)
            (gradient,) = torch.autograd.grad(values.square().sum(), scores)
            answers.append((values, gradient, interpolate_argmax(scores, phi, size)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*answers, strict=True))


@pytest.mark.parametrize(
    ("scores", "phi", "size", "error", "text"),
    [
        (torch.zeros(1, 2, 3, 3, dtype=torch.int64), uniform(3, 3), (4, 4), TypeError, "floating"),
        (torch.zeros(2, 3, 3), uniform(3, 3), (4, 4), ValueError, "N, C, h, w"),
        (torch.zeros(1, 0, 3, 3), uniform(3, 3), (4, 4), ValueError, "not empty"),
        (torch.zeros(1, 2, 3, 4), uniform(3, 3), (4, 4), ValueError, "phi must be"),
        (torch.zeros(1, 2, 1, 3), uniform(1, 3), (4, 4), ValueError, "2 x 2"),
        (torch.zeros(1, 2, 3, 3), uniform(3, 3), (0, 4), ValueError, "at least 1"),
        (torch.zeros(1, 2, 3, 3), uniform(3, 3), (4,), ValueError, "height, width"),
        (torch.zeros(1, 2, 3, 3, device="meta"), uniform(3, 3), (4, 4), ValueError, "meta"),
    ],
)
def test_what_does_not_fit_is_said(scores, phi, size, error, text):
    for function in (interpolate, interpolate_argmax):
        with pytest.raises(error, match=text):
            function(scores, phi, size)


def test_without_triton_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "frugalseg.sampling._raster_triton", raising=False)
    monkeypatch.delattr("frugalseg.sampling._raster_triton", raising=False)
    with pytest.raises(FrugalsegError, match=r"frugalseg\[gpu\]"):
        _backend(torch.zeros(1, device="meta"))


GPU_CODE_ON_THE_CPU = """
import sys
import torch
from frugalseg.sampling import _raster_triton

answers = []
for phi, size, scores, grad, nodes, shift in torch.load(sys.argv[1]):
    corners, weights = _raster_triton.raster(nodes, size, shift, scores.dtype)
    answers.append((
        _raster_triton._paint(nodes, _raster_triton._split(nodes), size, shift),
        corners,
        weights,
        _raster_triton.gather(scores, corners, weights),
        _raster_triton.scatter(grad, corners, weights, nodes, shift),
        _raster_triton.argmax(scores, nodes, size, shift, torch.uint8),
    ))
torch.save(answers, sys.argv[2])
"""


def test_the_gpu_code_gives_the_answers_of_the_cpu(tmp_path):
    """Through Triton's interpreter, which must be chosen before triton is first imported."""
    pytest.importorskip("triton")
    cases = []
    for phi, size in (
        (covering(noise(1, 4, 4, 2, seed=3).sigmoid()), (6, 7)),  # folded
        (warped(2, 3, 0.24, 1), (11, 35)),  # several tiles a quad
        (warped(3, 3, 0.8, 5, n=2, dtype=torch.float32), (5, 6)),
        CASES["one column"],
    ):
        n, h, w, _ = phi.shape
        dtype = phi.dtype
        scores, grad = noise(n, 9, h, w, dtype=dtype), noise(n, 9, *size, dtype=dtype)
        cases.append((phi, size, scores, grad, *snap(phi, size)))
    phi, size, scores, grad = cases[1][:4]  # a strip of rows
    _, nodes, strip, shift = interpolation._prepare(scores, phi, size, (3, 7))
    cases.append((phi, strip, scores, grad[..., 3:7, :], nodes, shift))
    torch.save(cases, tmp_path / "cases")
    subprocess.run(
        [sys.executable, "-c", GPU_CODE_ON_THE_CPU, tmp_path / "cases", tmp_path / "answers"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        check=True,
    )
    for case, answer in zip(cases, torch.load(tmp_path / "answers"), strict=True):
        _, size, scores, grad, nodes, shift = case
        numbers, corners, weights, values, gradient, labels = answer
        assert torch.equal(numbers, triangles(nodes, size, shift))
        expected = _raster_cpu.raster(nodes, size, shift, scores.dtype)
        assert torch.equal(corners, expected[0])
        torch.testing.assert_close(weights, expected[1])
        torch.testing.assert_close(values, _raster_cpu.gather(scores, *expected))
        torch.testing.assert_close(gradient, _raster_cpu.scatter(grad, *expected, nodes, shift))
        plain = _raster_cpu.argmax(scores, nodes, size, shift, torch.uint8)
        assert torch.equal(labels, plain)


def compiled_kernels(kind):
    """Every kernel, compiled for a real GPU; needs none."""
    from triton import compiler
    from triton.backends.compiler import GPUTarget

    from frugalseg.sampling import _raster_triton as kernels

    pointers = {
        "nodes": "*i64", "splits": "*u8", "numbers": "*i32", "corners": "*i32", "weights": kind,
        "scores": kind, "rows": kind, "grad": kind, "parts": kind, "out": kind,
    }  # fmt: skip
    for kernel, settings_, types in [
        (kernels._split_kernel, {"BLOCK": 256}, {}),
        (kernels._paint_kernel, {"ROWS": 8, "COLUMNS": 16}, {}),
        (kernels._weigh_kernel, {"BLOCK": 256}, {}),
        (kernels._argmax_kernel, {"BLOCK": 256}, {"out": "*u8"}),
        (kernels._gather_kernel, {"BLOCK": 256}, {"nodes": "i32"}),
        (kernels._scatter_kernel, {"ROWS": 8, "COLUMNS": 16, "BLOCK": 8}, {}),
    ]:
        names = kernel.arg_names
        types = {**dict.fromkeys(names, "i32"), **pointers, **types}
        signature = {n: "constexpr" if n in settings_ else types[n] for n in names}
        constants = {(names.index(n),): value for n, value in settings_.items()}
        source = compiler.ASTSource(fn=kernel, signature=signature, constexprs=constants)
        yield compiler.compile(source, target=GPUTarget("cuda", 90, 32))


@pytest.mark.parametrize("kind", ["*fp32", "*fp64"])
def test_the_gpu_code_compiles(kind):
    pytest.importorskip("triton")
    assert all(compiled.asm["cubin"] for compiled in compiled_kernels(kind))


@pytest.mark.parametrize(("length", "shift"), [(2047, 19), (2048, 18), (64, 23)])
def test_samples_lie_at_fractions_of_a_pixel_as_documented(length, shift):
    nodes, found = snap(torch.full((1, 2, 2, 2), 1.0), (length, 2))
    assert found == shift
    assert nodes[0, 0, 0, 0] == (length - 1) * 2**shift
    if length == 2048:
        assert f"(2**-{shift} at 2048 pixels)" in interpolation.__doc__
