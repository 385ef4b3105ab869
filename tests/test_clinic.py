"""Each check on a training that is well and on one that has the fault it is for, on real pixels."""

import math

import pandas as pd
import pytest
import torch
from sample import load_sample
from torch import nn
from torch.nn import functional as F

from course_utils import clinic, data
from course_utils.models import lenet
from course_utils.plotting import clinic as drawing
from course_utils.plotting import plt

pytestmark = pytest.mark.usefixtures("one_thread")

MEAN, STD = 0.286, 0.353


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def sample():
    return load_sample()


def relu_lenet(**arguments) -> nn.Sequential:
    return lenet(conv_activation="relu", dense_activation="relu", **arguments)


def pixels(split, mean=MEAN, std=STD) -> torch.Tensor:
    return (split.images / 255 - mean) / std


def sorted_by_class(split):
    return split[split.labels.argsort(stable=True)]


# Modes


def with_dropout() -> nn.Sequential:
    model = relu_lenet()
    return nn.Sequential(*model[:-1], nn.Dropout(0.5), model[-1])


@pytest.mark.parametrize("build", [with_dropout, lambda: relu_lenet(batch_norm=True), relu_lenet])
def test_in_evaluation_mode_an_image_gets_the_same_logits_in_any_company(build, sample):
    found = clinic.check_modes(build().eval(), pixels(sample.test))
    assert found.healthy
    assert found.measured < 1e-5


@pytest.mark.parametrize(
    ("build", "why", "blamed"),
    [
        (with_dropout, "from one call to the next", "11"),
        (lambda: relu_lenet(batch_norm=True), "with the other images of the batch", "C1_norm, C3_norm, F5_norm"),
    ],
)
def test_training_mode_is_found_where_it_matters(build, why, blamed, sample):
    model = build().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = clinic.check_modes(model, pixels(sample.test))
    assert not found.healthy
    assert found.measured > 0.05
    assert why in found.sentence
    assert f"In training mode: {blamed}" in found.sentence
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_training_mode_is_harmless_without_such_layers(sample):
    assert clinic.check_modes(relu_lenet().train(), pixels(sample.test)).healthy


# Logits


def test_logits_pass(sample):
    assert clinic.check_logits(relu_lenet(), pixels(sample.test)).healthy
    # log-probabilities are logits too: softmax gives the probabilities back
    assert clinic.check_logits(nn.Sequential(relu_lenet(), nn.LogSoftmax(1)), pixels(sample.test)).healthy


@pytest.mark.parametrize(
    ("last", "said"), [(nn.Softmax(1), "each row sums to 1"), (nn.Sigmoid(), "lie between 0 and 1")]
)
def test_probabilities_are_found(last, said, sample):
    found = clinic.check_logits(nn.Sequential(relu_lenet(), last), pixels(sample.test))
    assert not found.healthy
    assert said in found.sentence
    assert "1.461" in found.sentence


def test_no_probabilities_have_a_smaller_loss_than_the_floor():
    perfect = torch.eye(10)
    assert F.cross_entropy(perfect, torch.arange(10)).item() == pytest.approx(clinic.loss_floor(1.0), abs=1e-6)
    assert clinic.loss_floor(1.0) == pytest.approx(math.log(math.e + 9) - 1)
    sharp = torch.softmax(20 * torch.randn(10_000, 10), 1)
    losses = F.cross_entropy(sharp, sharp.argmax(1), reduction="none")
    assert losses.min() >= clinic.loss_floor(1.0) - 1e-6


# Order


def test_a_shuffled_epoch_is_in_random_order(sample):
    assert clinic.check_order(data.Batches(sample.train, 32, shuffle=True)).healthy


def test_sorted_labels_are_found(sample):
    found = clinic.check_order(data.Batches(sorted_by_class(sample.train), 32))
    assert not found.healthy
    assert found.measured == pytest.approx(590 / 599)
    assert "98.5%" in found.sentence
    assert "9.8%" in found.sentence  # 59 others of its class among 599


def test_mean_and_variance_of_random_orders_are_those_of_a_simulation():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    shares = []
    for _ in range(4000):
        order = labels[torch.randperm(100)]
        shares.append(float((order[1:] == order[:-1]).double().mean()))
    counts = torch.tensor([50.0, 30.0, 20.0])
    squares, cubes, n = float((counts**2).sum()), float((counts**3).sum()), 100
    expected = (squares - n) / (n * (n - 1))
    sd = math.sqrt((squares * (squares + n * (n + 1)) - 2 * n * cubes - n**3) / (n**2 * (n - 1))) / (n - 1)
    simulated = torch.tensor(shares)
    assert float(simulated.mean()) == pytest.approx(expected, abs=4 * sd / math.sqrt(4000))
    assert float(simulated.std()) == pytest.approx(sd, rel=0.05)


def test_an_order_of_one_class_is_refused(sample):
    alike = sample.train[sample.train.labels == 3]
    with pytest.raises(ValueError, match="all are the same"):
        clinic.check_order(data.Batches(alike, 32))


# Normalization


def test_training_and_test_pixels_agree(sample):
    assert clinic.check_normalization(pixels(sample.train), pixels(sample.test)).healthy


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0.0, 1.0, 0.353, 0.286), (0.0, 1 / 255, 0.353 * 255, 0.286 * 255), (MEAN, 0.5, 0.706, 0.0)],
)
def test_forgotten_arithmetic_is_found_and_named(mean, std, a, b, sample):
    found = clinic.check_normalization(pixels(sample.train), pixels(sample.test, mean, std))
    assert not found.healthy
    assert found.measured == pytest.approx(a, rel=0.05)
    offset = float(found.sentence.split()[-1].rstrip("."))
    assert offset == pytest.approx(b, abs=0.05 * a)


def test_inverted_test_images_are_found(sample):
    inverted = data.Split(255 - sample.test.images, sample.test.labels)
    assert not clinic.check_normalization(pixels(sample.train), pixels(inverted)).healthy


def test_images_of_two_shapes_are_refused(sample):
    with pytest.raises(ValueError, match=r"one shape, given \(1, 28, 28\) and \(1, 14, 14\)"):
        clinic.check_normalization(pixels(sample.train), pixels(sample.test)[:, :, ::2, ::2])


def test_copies_of_one_image_are_refused(sample):
    with pytest.raises(ValueError, match="copies of one"):
        clinic.check_normalization(pixels(sample.train)[:1].repeat(20, 1, 1, 1), pixels(sample.test))


# Labels


def test_labels_that_fit_pass(sample):
    found = clinic.check_labels(pixels(sample.train), sample.train.labels)
    assert found.healthy
    assert found.measured > 0.5


def test_the_order_of_the_images_does_not_matter_to_the_labels(sample):
    alike = sorted_by_class(sample.train)
    assert clinic.check_labels(pixels(alike), alike.labels).measured > 0.5


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_are_found(seed, sample):
    order = torch.randperm(len(sample.train), generator=torch.Generator().manual_seed(seed))
    found = clinic.check_labels(pixels(sample.train), sample.train.labels[order])
    assert not found.healthy
    assert found.measured < 0.18


def test_there_must_be_a_label_for_each_image(sample):
    with pytest.raises(ValueError, match=r"600 images and labels \(599,\)"):
        clinic.check_labels(pixels(sample.train), sample.train.labels[1:])


# Learning rate


def batches(sample) -> data.Batches:
    return data.Batches(sample.train, 50, shuffle=True, mean=MEAN, std=STD)


def test_a_learning_rate_that_trains_passes(sample):
    found = clinic.check_learning_rate(relu_lenet(), batches(sample), 0.02, optimizer="momentum")
    assert found.healthy
    assert found.measured < 1.6


@pytest.mark.parametrize("lr", [1.0, 1e6])
def test_a_learning_rate_that_is_too_high_is_found(lr, sample):
    model = relu_lenet()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = clinic.check_learning_rate(model, batches(sample), lr, optimizer="momentum")
    assert not found.healthy
    assert f"at lr {lr:g} and" in found.sentence
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_early_losses_are_those_of_a_training(sample):
    model = relu_lenet()
    x, y = next(iter(batches(sample)))
    losses = clinic.early_losses(model, [(x, y)], 0.1, steps=3)
    assert losses[0] == pytest.approx(F.cross_entropy(model(x), y).item())
    assert losses[2] < losses[1] < losses[0]  # one batch, begun again


def test_early_losses_need_a_batch_and_a_known_optimizer():
    with pytest.raises(ValueError, match="one batch at least"):
        clinic.early_losses(relu_lenet(), [], 0.1)
    with pytest.raises(ValueError, match="optimizer 'lion' is not known"):
        clinic.early_losses(relu_lenet(), [], 0.1, optimizer="lion")


# Leakage


def test_separate_sets_share_no_image(sample):
    found = clinic.check_leakage(sample.train.images, sample.test.images)
    assert found.healthy
    assert found.measured == 0


def test_test_images_in_the_training_set_are_found(sample):
    leaked = torch.cat([sample.train.images, sample.test.images[:50]])
    found = clinic.check_leakage(leaked, sample.test.images)
    assert not found.healthy
    assert found.measured == 0.25
    assert "50 of 200" in found.sentence


def test_images_of_two_kinds_are_refused(sample):
    with pytest.raises(ValueError, match="one dtype and shape"):
        clinic.check_leakage(sample.train.images, pixels(sample.test))


# All of them


@pytest.mark.parametrize("check", [clinic.check_modes, clinic.check_logits])
def test_too_few_images_are_refused(check, sample):
    with pytest.raises(ValueError, match="x must hold at least 4, given 3"):
        check(relu_lenet(), pixels(sample.test)[:3])


@pytest.mark.parametrize("check", [clinic.check_modes, clinic.check_logits])
def test_a_network_of_nan_is_refused(check, sample):
    model = relu_lenet()
    torch.nn.init.constant_(model[-1].bias, math.nan)
    with pytest.raises(ValueError, match="not finite"):
        check(model, pixels(sample.test))


def test_a_finding_says_who_found_what():
    assert str(clinic.Finding("order", False, "Sorted.", 1.0)) == "order: SICK. Sorted."
    assert str(clinic.Finding("order", True, "Random.", 0.1)) == "order: healthy. Random."


# Figures


@pytest.fixture
def _closed_figures():
    yield
    plt.close("all")


@pytest.mark.usefixtures("_closed_figures")
def test_a_case_file_shows_both_curves_and_eight_pictures(sample):
    seen = (pixels(sample.train)[:4], sample.train.labels[:4])
    figure = drawing.case_file(
        [2.3, 37.2, *[1.0] * 30], [0.5, 0.8], [(0.4, 0.5), (0.7, 0.7)], seen, seen, sample.classes, title="A"
    )
    axes = [axis for part in figure.subfigs for axis in part.axes]
    assert len(axes) == 2 + 8
    assert "largest: 37.2" in [text.get_text() for text in axes[0].texts]
    assert all(axis.get_title() for axis in axes[2:])


@pytest.mark.usefixtures("_closed_figures")
def test_a_case_file_needs_four_images_and_matching_epochs(sample):
    seen = (pixels(sample.train)[:4], sample.train.labels[:4])
    few = (seen[0][:3], seen[1][:3])
    with pytest.raises(ValueError, match="given fewer"):
        drawing.case_file([2.3], [0.5], [(0.4,)], few, seen, sample.classes)
    with pytest.raises(ValueError, match="1 epochs of training and 2 of test"):
        drawing.case_file([2.3], [0.5], [(0.4,), (0.5,)], seen, seen, sample.classes)


@pytest.mark.usefixtures("_closed_figures")
def test_findings_are_said_in_words():
    figure = drawing.findings_table(pd.DataFrame({"order": [True, False]}, index=["A", "B"]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["SICK", "healthy"]


@pytest.mark.usefixtures("_closed_figures")
def test_overfitting_is_drawn_on_a_log_scale():
    figure = drawing.steps_to_overfit({"sound": [2.3, 0.1, 0.01]}, {"floor": 1.461})
    assert figure.axes[0].get_yscale() == "log"
    assert [text.get_text() for text in figure.axes[0].texts] == ["floor"]
