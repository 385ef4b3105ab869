"""Make the page that steps through LeNet, and its data: ``python book/_tools/stepper.py``; ``--train`` for the data.

The data are weights of the default arm after some epochs, trained here as the shipped `lenet-fashion` was, and a few
test images. They are scripts and not JSON, because a page that is opened from a disk may load scripts and nothing else.
The page is committed, and a test compares it with what this writes.
"""

import argparse
import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import runs, train
from course_utils.data import CLASSES, Split
from course_utils.device import seed_everything
from course_utils.layers import layer_table
from course_utils.models import lenet
from course_utils.shipped import SEED, SHIPPED

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "stepper.md"
DATA = ROOT / "book" / "_static" / "stepper"
EPOCHS = (0, 1, 2, 5, 10)
MISTAKES = 4
WINDOWS = {"C1": "5 x 5 of the image", "S2": "2 x 2", "C3": "5 x 5 in each of 6 maps", "S4": "2 x 2"}
STEPS = {  # layer: what one of its values is
    "C1": "sum of 25 products plus bias, then sigmoid",
    "S2": "mean of four values",
    "C3": "sum of 150 products plus bias, then sigmoid",
    "S4": "mean of four values",
    "F5": "sum of 400 products plus bias, then sigmoid",
    "F6": "sum of 120 products plus bias, then sigmoid",
    "output": "sum of 84 products plus bias: a logit",
}
Weights = dict[str, Tensor]


def train_and_watch() -> tuple[dict[int, Weights], train.History]:
    """Train the default arm and keep its weights after each epoch; 0 is before the first."""
    config = SHIPPED["lenet-fashion"]
    fitting, test = runs.splits(config)
    with runs.alone():
        seed_everything(SEED)
        model = runs.build(config)
        steps, per_epoch = 0, -(-len(fitting) // runs.DEFAULTS["batch_size"])

        def weights() -> Weights:
            return {name: value.detach().clone() for name, value in model.state_dict().items()}

        seen = {0: weights()}

        def watched_sgd(parameters: Any, lr: float) -> torch.optim.SGD:
            optimizer = torch.optim.SGD(parameters, lr=lr)

            def after_step(*_: object) -> None:
                nonlocal steps
                steps += 1
                if steps % per_epoch == 0:
                    seen[steps // per_epoch] = weights()

            optimizer.register_step_post_hook(after_step)
            return optimizer

        history = train.fit(
            model, fitting, test, optimizer=watched_sgd, seed=SEED, device="cpu", progress=False
        )  # all else by default: these are the defaults of the studies
    return seen, history


def network(weights: Weights) -> nn.Sequential:
    """LeNet with these weights, in evaluation mode."""
    model = lenet()
    model.load_state_dict(weights)
    return model.eval()


def choose_images(model: nn.Module, test: Split) -> list[int]:
    """Places in the test set: of each class the first named correctly, then the surest mistakes, one a class."""
    probability, said = train.predict(model, test).softmax(1).max(1)
    right = said == test.labels
    first = [int((right & (test.labels == label)).nonzero()[0]) for label in range(test.classes)]
    surest = probability.masked_fill(right, 0).argsort(descending=True).tolist()
    mistakes: dict[int, int] = {}
    for place in surest:
        mistakes.setdefault(int(test.labels[place]), place)
        if len(mistakes) == MISTAKES:
            break
    return [*first, *mistakes.values()]


def encode(values: np.ndarray) -> str:
    """Bytes of an array in base64."""
    return base64.b64encode(values.tobytes()).decode()


def write(name: str, target: str, value: object) -> None:
    """A script that puts a value where the page looks for it."""
    start = "globalThis.lenetStepper = globalThis.lenetStepper || { epochs: {} };\n"
    text = f"{start}globalThis.lenetStepper.{target} = {json.dumps(value)};\n"
    (DATA / f"{name}.js").write_text(text, encoding="utf-8")


def read(name: str) -> Any:
    """What `write` wrote."""
    text = (DATA / f"{name}.js").read_text(encoding="utf-8")
    return json.loads(re.sub(r".*?lenetStepper\.[\w\[\]]+ = (.*);\n", r"\1", text, count=1, flags=re.DOTALL))


def write_data(seen: dict[int, Weights], history: train.History, test: Split) -> None:
    """All data files of the page."""
    DATA.mkdir(exist_ok=True)
    places = choose_images(network(seen[EPOCHS[-1]]), test)
    images = [
        {"index": place, "label": int(test.labels[place]), "pixels": encode(test.images[place].numpy())}
        for place in places
    ]
    write("images", "images", {"classes": CLASSES["fashion-mnist"], "epochs": EPOCHS, "images": images})
    for epoch in EPOCHS:
        flat = np.concatenate([value.numpy().ravel() for value in seen[epoch].values()]).astype("<f2")
        accuracy = train.evaluate(network(seen[epoch]), test).accuracy
        loss = round(history.train_loss[epoch - 1], 4) if epoch else None
        content = {"test_accuracy": round(accuracy, 4), "train_loss": loss, "weights": encode(flat)}
        write(f"epoch-{epoch}", f"epochs[{epoch}]", content)


def weights_of(epoch: int) -> Weights:
    """The weights that the page has, in single precision."""
    flat = torch.from_numpy(np.frombuffer(base64.b64decode(read(f"epoch-{epoch}")["weights"]), "<f2").astype("f4"))
    shapes = {name: value.shape for name, value in lenet().state_dict().items()}
    parts = flat.split([shape.numel() for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def images() -> tuple[Tensor, list[int]]:
    """The images that the page has, (N, 1, 28, 28) from 0 to 1, and their labels."""
    rows = read("images")["images"]
    pixels = [np.frombuffer(base64.b64decode(row["pixels"]), np.uint8).reshape(1, 28, 28) for row in rows]
    return torch.from_numpy(np.stack(pixels)) / 255, [row["label"] for row in rows]


def table() -> str:
    """The layers in a Markdown table."""
    rows = layer_table(lenet(), (1, 28, 28)).set_index("layer")
    lines = ["| layer | puts out | one value is | parameters |", "|---|---|---|---|"]
    for layer, what in STEPS.items():
        shape = " x ".join(map(str, rows.output_shape[layer]))
        what = f"{what}; reads {WINDOWS[layer]}" if layer in WINDOWS else what
        lines.append(f"| {layer} | {shape} | {what} | {rows.parameters[layer]:,} |")
    return "\n".join(lines)


def story() -> str:
    """What the network says about each image after each epoch, in a Markdown table."""
    classes, (pixels, labels) = CLASSES["fashion-mnist"], images()
    said = {}
    with torch.no_grad():
        for epoch in EPOCHS:
            probability, answer = network(weights_of(epoch))(pixels).softmax(1).max(1)
            said[epoch] = [
                f"{classes[name]} {share:.2f}"
                for name, share in zip(answer.tolist(), probability.tolist(), strict=True)
            ]
    lines = ["| image | " + " | ".join(f"epoch {epoch}" for epoch in EPOCHS) + " |", "|---" * (len(EPOCHS) + 1) + "|"]
    for row, label in enumerate(labels):
        lines.append(f"| {classes[label]} | " + " | ".join(said[epoch][row] for epoch in EPOCHS) + " |")
    return "\n".join(lines)


def difference_in_f6(epoch: int) -> float:
    """By how much a unit of F6 differs between the images of the page, at most."""
    with torch.no_grad():
        units = network(weights_of(epoch))[:-1](images()[0])
    return float((units.max(0).values - units.min(0).values).max())


def worked_example(row: int = 12, column: int = 14, kernel: int = 3) -> str:
    """One value of C1 for the ankle boot, taken apart as the figure does it."""
    pixels, labels = images()
    boot = pixels[labels.index(9)]
    layer = network(weights_of(EPOCHS[-1])).C1
    with torch.no_grad():
        patch = nn.functional.pad(boot, [2] * 4)[0, row : row + 5, column : column + 5]
        products = (patch * layer.weight[kernel, 0]).sum()
        bias = layer.bias[kernel]
        value = torch.sigmoid(products + bias)
        assert torch.allclose(value, torch.sigmoid(layer(boot[None]))[0, kernel, row, column], atol=1e-5)
    rows = ["patch" + " " * 33 + "kernel"]
    for left, right in zip(patch.tolist(), layer.weight[kernel, 0].tolist(), strict=True):
        cells = ["".join(f"{number:6.2f}" for number in line) for line in (left, right)]
        rows.append("   times ".join(cells))
    lines = ["```text", *rows, "```"]
    return "\n".join(lines) + (
        f"\n\nThe 25 products add up to {products:.3f}. With the bias {bias:.3f} that is {products + bias:.3f}, and\n"
        f"its sigmoid is {value:.3f}: the value of map {kernel} of C1 in row {row} and column {column}, counted from 0."
    )


OPENING = """# LeNet, step by step

A network of {parameters} numbers looks at a picture and says 'ankle boot'. At which step did it know? Here you can
stop it at each one. Pick an image, go from layer to layer, and take any value apart: what it reads, what it multiplies,
what it adds. Then turn the training back and see what the same network made of the same boot when it had seen less.

This is the network of [LeNet in PyTorch](../notebooks/07_lenet_in_pytorch.ipynb): four sigmoids, average pooling,
learning rate 0.9, batches of 256, ten epochs. All numbers are computed in your browser, from the weights.

<div id="lenet-stepper">
<p>The figure needs JavaScript. Without it, the tables below tell the same story in fewer numbers.</p>
</div>

## Things to try

- Take epoch 0, tick 'one gray scale for all maps', and go to F6. Then change the image. Can you see F6 change? Among
  the images of this page no unit of it moves by more than {still}. After epoch {last} the largest move is {moved}.
- Compare epoch 1 with epoch 2, first in C1, then in F6, on one gray scale. In which of them can you see that the
  network has woken up?
- In C1, put the marker on the black ground far from the garment. All 25 products are zero. What is left, and why is it
  the same at all such places?
- Put the marker into row 0, column 0. Which part of the patch lies outside the image, and what stands there?
- Pick one of the last {mistakes} images, which are named wrongly. In the layer 'output', compare the largest products
  of the answer with those of the label.

## One value, taken apart

The ankle boot after epoch {last}, and one of the six kernels of C1:

"""


def text() -> str:
    """The whole page."""
    parameters = sum(parameter.numel() for parameter in lenet().parameters())
    still, moved = (f"{difference_in_f6(epoch):.3f}" for epoch in (EPOCHS[0], EPOCHS[-1]))
    accuracy = ", ".join(f"{100 * read(f'epoch-{epoch}')['test_accuracy']:.1f} %" for epoch in EPOCHS)
    epochs = ", ".join(map(str, EPOCHS))
    return f"""{
        OPENING.format(parameters=f"{parameters:,}", still=still, moved=moved, last=EPOCHS[-1], mistakes=MISTAKES)
    }{worked_example()}

## The layers

{table()}

## What it says, epoch by epoch

The first ten images are, for each class, the first test image that the trained network names correctly. The last {
        MISTAKES
    }
are mistakes of which it is very sure, each of another class. Beside the answer stands its probability.

{story()}

Over all 10,000 test images the accuracy after epochs {epochs} is {accuracy}.

## How it was made

The weights are those of the package's `lenet-fashion`, caught on the way: the program `book/_tools/stepper.py` trains
it with the same seed and keeps the weights after some epochs, rounded to half precision. The arithmetic is written out
in `book/_static/lenet.js`, and a test of the course compares it with PyTorch's.
"""


def main() -> None:
    """Train if asked to, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true", help="make the data again: a minute or two")
    if parser.parse_args().train:
        seen, history = train_and_watch()
        write_data(seen, history, runs.splits({})[1])
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
