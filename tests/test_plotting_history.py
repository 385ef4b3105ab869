"""The history page's figures show what the tables say."""

import matplotlib.pyplot as plt
import pytest

from course_utils import facts
from course_utils.plotting import history

TIMELINE, CHALLENGE, MODELS = (facts.load(name) for name in ("timeline", "ilsvrc", "imagenet_models"))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_timeline_names_every_step_from_top_to_bottom():
    figure = history.timeline(TIMELINE)
    names = [text.partition(":")[0] for text in texts(figure)]
    assert names == TIMELINE.sort_values("year", kind="stable")["name"].tolist()
    assert figure.axes[0].yaxis_inverted()
    assert sum(len(dots.get_offsets()) for dots in figure.axes[0].collections) == len(TIMELINE)


def test_the_challenge_shows_every_entry_with_its_error():
    figure = history.challenge(CHALLENGE, person=5.1)
    assert sum(len(dots.get_offsets()) for dots in figure.axes[0].collections) == len(CHALLENGE)
    assert {"AlexNet 16.4", "AlexNet 15.3", "ResNet 3.57", "one trained person, 5.1"} <= set(texts(figure))
    assert len(texts(figure)) == len(CHALLENGE) + 1


def test_accuracy_against_cost_names_what_is_asked_and_draws_the_front():
    table = MODELS.assign(front=MODELS["name"].isin(["AlexNet", "ConvNeXt-L"]))
    figure = history.accuracy_against_cost(table, "gmacs", "cost", {"AlexNet": (8, 0), "ConvNeXt-L": (-8, 0)})
    assert texts(figure) == ["AlexNet", "ConvNeXt-L"]
    assert figure.axes[0].get_xscale() == "log"
    assert sum(len(dots.get_offsets()) for dots in figure.axes[0].collections) == len(MODELS)
    assert len(figure.axes[0].lines[0].get_xdata()) == 2
