"""Draw the cover, ``python book/_tools/cover.py``: what a network that ships with the package makes of one image.

The image is the first of Fashion-MNIST's test images. Every feature map of the three stages is there, each stretched to
its own largest value, and the bars are the network's probabilities.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from course_utils import data, models
from course_utils.plotting import PALETTE

FILE = Path(__file__).resolve().parents[1] / "_static" / "cover.png"
NETWORK = "vgg-fashion"
STAGES = {"block1.activation2": (4, 4), "block2.activation2": (8, 4), "block3.activation2": (8, 8)}  # rows, columns
WIDTH, HEIGHT = 14.4, 3.6  # inches
NIGHT, PAPER = "#0b1f2f", "#f4f1e8"  # one background for light and for dark pages
COLORS = LinearSegmentedColormap.from_list("cover", [NIGHT, PALETTE["blue"], PALETTE["sky"], PAPER])
COLORS.set_bad("#27475c")  # the lines between the maps


def look(image: torch.Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The feature maps of each stage, (C, H, W), and the ten probabilities, for one image (1, 28, 28)."""
    network = models.pretrained(NETWORK)
    maps: dict[str, np.ndarray] = {}
    for name in STAGES:
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: maps.update({name: output[0].numpy()})
        )
    with torch.inference_mode():
        logits = network(image[None])
    return maps, logits.softmax(dim=1)[0].numpy()


def mosaic(maps: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Maps (C, H, W) side by side, each divided by its largest value, with a line between them."""
    maps = maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-6)
    gap = max(1, maps.shape[1] // 14)
    padded = np.pad(maps, ((0, 0), (0, gap), (0, gap)), constant_values=np.nan)
    _, height, width = padded.shape
    grid = padded.reshape(rows, columns, height, width).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
    return grid[:-gap, :-gap]


def cover() -> Figure:
    """The whole picture, 1440 x 360 pixels."""
    dataset = data.load("fashion-mnist", progress=False)
    image = dataset.test[:1].images.float().reshape(1, 28, 28) / 255
    maps, probabilities = look(image)
    figure = plt.figure(figsize=(WIDTH, HEIGHT), dpi=100, facecolor=NIGHT)
    panels = [image[0].numpy(), *(mosaic(maps[name], *shape) for name, shape in STAGES.items())]
    titles = ["28 x 28 pixels", *("{} maps, {} x {}".format(*maps[name].shape) for name in STAGES)]
    left = 0.015
    for panel, title in zip(panels, titles, strict=True):
        width = 0.8 * HEIGHT / WIDTH * panel.shape[1] / panel.shape[0]
        axes = figure.add_axes((left, 0.06, width, 0.8))
        axes.imshow(panel, cmap=COLORS, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        axes.set_title(title, color=PAPER, fontsize=11, loc="left", pad=7)
        left += width + 0.016
    axes = figure.add_axes((left + 0.075, 0.06, 0.985 - left - 0.075, 0.8), facecolor=NIGHT)
    best = int(probabilities.argmax())
    bars = [PALETTE["yellow"] if place == best else PALETTE["sky"] for place in range(len(probabilities))]
    axes.barh(range(len(probabilities)), probabilities, color=bars, height=0.7)
    axes.set_yticks(range(len(probabilities)), dataset.classes, color=PAPER, fontsize=11)
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("what it says", color=PAPER, fontsize=11, loc="left", pad=7)
    return figure


if __name__ == "__main__":
    cover().savefig(FILE, facecolor=NIGHT)
