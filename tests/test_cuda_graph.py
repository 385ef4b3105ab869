"""Replayed steps train as the ordinary ones do."""

import pytest
import torch
from sample import load_sample
from torch import nn

from course_utils.cuda_graph import GraphedStep
from course_utils.device import seed_everything
from course_utils.models import MODELS, lenet, lenet5
from course_utils.train import fit

TRAIN, TEST = load_sample().train, load_sample().test
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def history_and_weights(build, **settings):
    seed_everything(0)
    model = build()
    settings = dict(epochs=2, lr=0.05, batch_size=64, device="cuda", progress=False) | settings
    return fit(model, TRAIN, TEST, **settings), model.state_dict()


def with_dropout() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10)
    )


@pytest.mark.cuda
@needs_gpu
@pytest.mark.parametrize(
    ("build", "settings"),
    [
        (lenet, {"lr": 0.9}),
        (with_dropout, {"optimizer": "momentum", "ema": 0.9}),
        (lenet5, {"loss": "rubbish_class", "schedule": "one_cycle"}),
        (MODELS["resnet_small"], {"precision": "bfloat16", "augment": "crop_flip", "lr": 0.01}),
    ],
    ids=["lenet", "dropout", "lenet5", "resnet"],
)
def test_replayed_as_step_by_step(build, settings):
    plain, weights = history_and_weights(build, **settings)
    graphed, other_weights = history_and_weights(build, cuda_graph=True, **settings)
    assert len(TRAIN) % 64  # the last batch is short: computed without the graph
    tolerance = 0.02 if settings.get("precision") else 2e-3
    assert graphed.train_loss == pytest.approx(plain.train_loss, rel=tolerance)
    assert weights.keys() == other_weights.keys()
    if not settings.get("precision"):
        for name, value in weights.items():
            torch.testing.assert_close(other_weights[name], value, rtol=0.01, atol=0.01, msg=name)


@pytest.mark.cuda
@needs_gpu
def test_a_step_that_waits_for_the_host_is_not_recorded_but_done():
    net = nn.Linear(2, 1).cuda()

    def step(x):
        net.zero_grad(set_to_none=True)
        loss = net(x).sum()
        loss.backward()
        assert loss.item() == loss.item()
        return loss.detach()

    graphed = GraphedStep(step, net)
    x = torch.ones(3, 2, device="cuda")
    with pytest.warns(UserWarning, match="cannot be recorded as a CUDA graph"):
        first = graphed(x)
    assert net.weight.grad.tolist() == [[3, 3]]
    assert graphed(2 * x).item() == pytest.approx(
        2 * (first.item() - 3 * net.bias.item()) + 3 * net.bias.item(), rel=1e-4
    )
    assert net.weight.grad.tolist() == [[6, 6]]


@pytest.mark.parametrize("compile", [False, True])
def test_graphs_exist_on_cuda_only(compile):
    with pytest.raises(ValueError, match="cuda_graph works on CUDA and without compile, given device 'cpu'"):
        fit(lenet(), TRAIN, cuda_graph=True, compile=compile, device="cpu")
