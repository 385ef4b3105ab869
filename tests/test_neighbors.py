"""Nearest neighbors against brute force, ties and duplicates included."""

import re

import pytest
import torch
from sample import load_sample

from course_utils.neighbors import nearest

pytestmark = pytest.mark.usefixtures("one_thread")
GENERATOR = torch.Generator().manual_seed(0)
SAMPLE = load_sample()
TEST, TRAIN = SAMPLE.test.images, SAMPLE.train.images


def brute_force(queries, references, k):
    differences = references.flatten(1).double() - queries.flatten(1).double().unsqueeze(1)
    distances = differences.pow(2).sum(2).sqrt()
    order = distances.argsort(dim=1, stable=True)[:, :k]
    return distances.gather(1, order), order


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("block", [1, 64, 1000])
def test_images_have_the_neighbors_that_brute_force_finds(k, block):
    distances, indices = nearest(TEST, TRAIN, k, block=block)
    expected, order = brute_force(TEST, TRAIN, k)
    assert distances.dtype == torch.float64
    assert torch.equal(indices, order)
    assert torch.allclose(distances, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_floating_values(dtype):
    queries, references = (torch.randn(n, 2, 5, generator=GENERATOR).to(dtype) for n in (30, 200))
    distances, indices = nearest(queries, references, 4)
    expected, order = brute_force(queries, references, 4)
    assert torch.equal(indices, order)
    assert torch.allclose(distances, expected)


def test_an_equal_image_has_distance_zero_and_the_smaller_index_comes_first():
    references = torch.cat([TRAIN[:50], TRAIN[:50]])
    distances, indices = nearest(TRAIN[:50], references, 2)
    assert distances.eq(0).all()
    assert torch.equal(indices, torch.stack([torch.arange(50), torch.arange(50, 100)], 1))


def test_every_reference_may_be_asked_for():
    distances, indices = nearest(TEST[:3], TRAIN[:7], 7)
    assert distances.shape == (3, 7)
    assert indices.sort(1).values.tolist() == [list(range(7))] * 3
    assert (distances.diff(dim=1) >= 0).all()


def test_one_huge_value_does_not_hide_a_neighbor():
    references = torch.tensor([[1e4, 0.0], [1e4, 0.003], [1e4, 0.001], [0.0, 0.0]])
    distances, indices = nearest(torch.tensor([[1e4, 0.0012]]), references, 2)
    assert indices.tolist() == [[2, 0]]
    assert distances.tolist()[0] == pytest.approx([0.0002, 0.0012], rel=1e-4)


@pytest.mark.parametrize(
    ("queries", "references", "k", "message"),
    [
        (TEST, TRAIN, 0, "k must be a positive integer, given 0"),
        (TEST, TRAIN, True, "k must be a positive integer, given True"),
        (TEST, TRAIN[:5], 6, "k must be at most the number of references, 5, given 6"),
        (TEST[0, 0, 0], TRAIN[0, 0, 0], 1, "must have the same shape after the first dimension, given (28,) and (28,)"),
        (TEST[:, :, :27], TRAIN, 1, "given (200, 1, 27, 28) and (600, 1, 28, 28)"),
        (TEST[:0], TRAIN, 1, "there must be queries and references, given shapes (0, 1, 28, 28)"),
        (TEST, TRAIN[:0], 1, "there must be queries and references"),
        (torch.tensor([[float("nan")]]), torch.ones(2, 1), 1, "must be finite, given a NaN or an infinity"),
        (torch.ones(2, 1), torch.tensor([[float("inf")]]), 1, "must be finite"),
    ],
)
def test_what_cannot_be_compared_is_said(queries, references, k, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        nearest(queries, references, k)


def test_a_block_must_be_positive():
    with pytest.raises(ValueError, match="block must be a positive integer, given -1"):
        nearest(TEST, TRAIN, 1, block=-1)


@pytest.mark.parametrize(
    ("queries", "references", "message"),
    [
        (TEST, TRAIN.float(), "must have one dtype, given torch.uint8 and torch.float32"),
        (TEST.long(), TRAIN.long(), "must be uint8 or floating, given torch.int64"),
    ],
)
def test_other_types_are_refused(queries, references, message):
    with pytest.raises(TypeError, match=message):
        nearest(queries, references, 1)
