"""LeNet, step by step: the page's data are those of the shipped network, and its arithmetic is PyTorch's."""

import html as entities
import json
import shutil
import subprocess

import chromium
import pytest
import stepper
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils import runs, train
from course_utils.models import pretrained
from course_utils.models.pretrained import cards

pytestmark = pytest.mark.usefixtures("one_thread")

CASES = [(0, 9), (2, 3), (10, 0), (10, 13)]  # epoch, place among the page's images
PLACES = [  # layer, map or unit, row, column: the rim, where the padding counts, and the middle
    ("C1", 0, 0, 0),
    ("C1", 5, 27, 13),
    ("C1", 3, 12, 10),
    ("S2", 2, 6, 9),
    ("C3", 7, 4, 5),
    ("C3", 15, 9, 0),
    ("S4", 11, 2, 3),
    ("F5", 119, 0, 0),
    ("F6", 40, 0, 0),
    ("output", 9, 0, 0),
]
ASK = """
const found = CASES.map(([epoch, place]) => {
  const layers = lenet.decodeWeights(lenetStepper.epochs[epoch].weights);
  const outputs = lenet.forward(layers, lenet.decodePixels(lenetStepper.images.images[place].pixels));
  const parts = PLACES.map(([layer, ...where]) => lenet.explain(layers, outputs, layer, ...where));
  const values = Object.entries(outputs).map(([name, layer]) => [name, Array.from(layer.side ? layer.values : layer)]);
  return { values: Object.fromEntries(values), parts };
});
"""


def scripts() -> str:
    """What the page loads, less what draws, and the questions of this test."""
    static = stepper.DATA.parent
    files = [stepper.DATA / "images.js", *(stepper.DATA / f"epoch-{epoch}.js" for epoch in {case[0] for case in CASES})]
    text = "\n".join(path.read_text(encoding="utf-8") for path in [static / "lenet.js", *files])
    return f"{text}\nconst CASES = {json.dumps(CASES)}, PLACES = {json.dumps(PLACES)};{ASK}"


@pytest.fixture(scope="module")
def browser_found(tmp_path_factory) -> list[dict]:
    """For each case the outputs of all layers, and how the values at `PLACES` come about, by the page's own code."""
    folder = tmp_path_factory.mktemp("stepper")
    if node := shutil.which("node"):
        # in node the file is a module of its own, unless it is told that there are no modules
        program = folder / "ask.js"
        program.write_text(
            f"(function (module) {{{scripts()}console.log(JSON.stringify(found));}})();", encoding="utf-8"
        )
        return json.loads(subprocess.run([node, program], check=True, capture_output=True, text=True).stdout)
    if not (browser := chromium.find()):
        pytest.skip("needs node or Chromium")
    page = folder / "ask.html"
    page.write_text(f"<body><script>{scripts()}document.body.textContent = JSON.stringify(found);</script></body>")
    command = [browser, *chromium.ARGUMENTS, "--headless", "--dump-dom", page.as_uri()]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(entities.unescape(dump.partition("<body>")[2].partition("</body>")[0]))


def outputs(model: nn.Sequential, image: Tensor) -> dict[str, Tensor]:
    """PyTorch's output of each step of the page."""
    found, x = {"image": image}, image[None]
    with torch.no_grad():
        for name, layer in model.named_children():
            x = layer(x)
            found[name.removesuffix("_activation")] = x[0]
        found["probabilities"] = x[0].softmax(0)
    return found


def test_the_page_is_up_to_date() -> None:
    assert stepper.PAGE.read_text(encoding="utf-8") == stepper.text(), "run 'python book/_tools/stepper.py'"


def test_all_data_together_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in stepper.DATA.iterdir()}
    assert set(sizes) == {"images.js", *(f"epoch-{epoch}.js" for epoch in stepper.EPOCHS)}
    assert sum(sizes.values()) < 1_000_000


def test_the_last_weights_are_those_of_the_shipped_network() -> None:
    shipped, ours = pretrained("lenet-fashion").state_dict(), stepper.weights_of(stepper.EPOCHS[-1])
    assert shipped.keys() == ours.keys()
    assert all(torch.equal(shipped[name].half(), ours[name].half()) for name in shipped)


def test_weights_of_the_start_are_those_of_the_seed() -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(stepper.SEED)
        start = runs.build(stepper.SHIPPED["lenet-fashion"]).state_dict()
    ours = stepper.weights_of(0)
    assert all(torch.equal(start[name].half(), ours[name].half()) for name in start)


@pytest.mark.parametrize("epoch", stepper.EPOCHS)
def test_accuracy_is_what_the_page_says(epoch) -> None:
    """Half precision may move an image across a boundary, and so may another processor."""
    test = runs.splits({})[1]
    found = train.evaluate(stepper.network(stepper.weights_of(epoch)), test).accuracy
    assert found == pytest.approx(stepper.read(f"epoch-{epoch}")["test_accuracy"], abs=2e-3)
    if epoch == stepper.EPOCHS[-1]:
        assert found == pytest.approx(cards()["lenet-fashion"]["test_accuracy"], abs=2e-3)


def test_images_are_test_images_of_all_classes_and_some_are_named_wrongly() -> None:
    test = runs.splits({})[1]
    pixels, labels = stepper.images()
    places = [row["index"] for row in stepper.read("images")["images"]]
    assert torch.equal(pixels, test.images[places] / 255)
    assert labels == test.labels[places].tolist()
    assert set(labels) == set(range(10))
    model = stepper.network(stepper.weights_of(stepper.EPOCHS[-1]))
    assert places == stepper.choose_images(model, test)
    with torch.no_grad():
        right = (model(pixels).argmax(1) == torch.tensor(labels)).tolist()
    assert right == [True] * 10 + [False] * stepper.MISTAKES


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"epoch {CASES[number][0]}")
def test_every_layer_is_pytorchs(browser_found, number) -> None:
    epoch, place = CASES[number]
    theirs = outputs(stepper.network(stepper.weights_of(epoch)), stepper.images()[0][place])
    ours = browser_found[number]["values"]
    assert ours.keys() == theirs.keys() - {"flatten"}
    for name, values in ours.items():
        torch.testing.assert_close(torch.tensor(values), theirs[name].flatten(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"epoch {CASES[number][0]}")
def test_the_arithmetic_of_a_value_leads_to_the_value(browser_found, number) -> None:
    epoch, place = CASES[number]
    model = stepper.network(stepper.weights_of(epoch))
    theirs = outputs(model, stepper.images()[0][place])
    reads = {"C1": "image", "S2": "C1", "C3": "S2", "S4": "C3", "F5": "S4", "F6": "F5", "output": "F6"}
    for (layer, unit, row, column), found in zip(PLACES, browser_found[number]["parts"], strict=True):
        target = theirs[layer][unit] if theirs[layer].ndim == 1 else theirs[layer][unit, row, column]
        value = found["sum"] if layer in ("S2", "S4", "output") else torch.sigmoid(torch.tensor(found["sum"]))
        assert float(value) == pytest.approx(float(target), abs=1e-3), layer
        if found["kind"] == "convolution":
            padded = F.pad(theirs[reads[layer]], [model.get_submodule(layer).padding[0]] * 4)
            patch = padded[:, row : row + 5, column : column + 5].flatten(1)
            kernel = model.get_submodule(layer).weight[unit].flatten(1)
            for n, part in enumerate(found["parts"]):
                assert list(part["patch"].values()) == pytest.approx(patch[n].tolist(), abs=1e-3)
                assert list(part["kernel"].values()) == pytest.approx(kernel[n].tolist(), abs=1e-3)
                assert part["partial"] == pytest.approx((patch[n] @ kernel[n]).item(), abs=1e-3)
        if found["kind"] == "dense":
            sizes = [abs(term["product"]) for term in found["terms"]]
            assert sizes == sorted(sizes, reverse=True)
            assert sum(term["product"] for term in found["terms"]) == pytest.approx(found["products"])
            assert len(sizes) == theirs[reads[layer]].numel()


def test_data_can_be_read_by_a_page_without_a_server() -> None:
    """A page from a disk may load scripts, and not fetch."""
    code = (stepper.DATA.parent / "stepper.js").read_text(encoding="utf-8")
    assert "fetch(" not in code
    assert "XMLHttpRequest" not in code
