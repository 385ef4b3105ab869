import pytest
import torch

from course_utils import plotting
from course_utils.plotting import inside


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plotting.plt.close("all")


def test_rows_have_names_and_titles_and_signed_maps_have_white_at_zero() -> None:
    pictures = {"picture": torch.rand(3, 1, 5, 5), "map": torch.randn(3, 5, 5)}
    axes = inside.rows(pictures, ["a", "b", "c"], signed=["map"]).axes
    assert len(axes) == 6
    assert [axis.get_ylabel() for axis in axes] == ["picture", "", "", "map", "", ""]
    assert [axis.get_title() for axis in axes[:3]] == ["a", "b", "c"]
    for axis, one in zip(axes[3:], pictures["map"], strict=True):
        low, high = axis.images[0].get_clim()
        assert high == -low == pytest.approx(float(one.abs().max()))


def test_a_map_of_zeros_can_be_drawn() -> None:
    inside.rows({"map": torch.zeros(1, 4, 4)}, signed=["map"]).canvas.draw()


@pytest.mark.parametrize("pictures", [{}, {"a": []}, {"a": torch.rand(2, 4, 4), "b": torch.rand(3, 4, 4)}])
def test_rows_refuse_what_does_not_fit(pictures: dict) -> None:
    with pytest.raises(ValueError, match="equally many"):
        inside.rows(pictures)


def test_clouds_put_the_number_of_a_class_on_its_median() -> None:
    places, labels = torch.tensor([[0.0, 0.0], [2.0, 4.0], [1.0, 1.0], [9.0, 9.0]]), torch.tensor([0, 0, 0, 1])
    axis = inside.clouds({"plane": places}, labels, ["shirt", "boot"]).axes[0]
    assert [(text.get_text(), text.xy) for text in axis.texts] == [("0", (1.0, 1.0)), ("1", (9.0, 9.0))]
    assert axis.get_title() == "plane"
