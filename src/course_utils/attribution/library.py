"""What is taken from the grad-cam library: four kinds of map, and the ROAD check.

The library's classes see a `Tapped` model, so what they do to a model (its mode, its gradients, replaced layers) does
not reach ours. Where the library falls short, the class is mended here and the doc string says how.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.attribution.borrow import Evidence, Run, Tapped
from course_utils.checks import checked_seed


def _library() -> ModuleType:
    """The grad-cam package, which takes a second to import and is optional.

    Raises
    ------
    RuntimeError
        If it is not installed.
    """
    try:
        import pytorch_grad_cam
    except ImportError as error:
        raise RuntimeError('this needs the grad-cam library: pip install "grad-cam>=1.5.4"') from error
    return pytorch_grad_cam


def library_map(name: str, tapped: Tapped, images: Tensor, evidence: Evidence, batch_size: int) -> Tensor:
    """Signed maps (N, h, w) of ``"grad_cam_plus_plus"``, ``"score_cam"``, ``"eigen_cam"`` or ``"ablation_cam"``.

    Grad-CAM++ (Chattopadhay et al. 2018) is the library's. Score-CAM (Wang et al. 2020): the library masks all channels
    of all images at once; here `batch_size` masked images exist at a time. Eigen-CAM (Muhammad and Yeasin 2020): the
    sign of a principal component is arbitrary; here it is that of the mean activation. Ablation-CAM (Desai and
    Ramaswamy 2020): the library sets a channel to zero only where the smallest activation is zero, and to -10,000,000
    otherwise, and divides by the score, so that a negative score turns the map around; here an ablated channel is zero
    and the divisor the score's absolute value.
    """
    library = _library()
    targets = [library.utils.model_targets.ClassifierOutputTarget(target) for target in evidence.targets.tolist()]
    activations, gradients = (tensor.float().cpu().numpy() for tensor in (evidence.activations, evidence.gradients))
    make = {
        "grad_cam_plus_plus": lambda: library.GradCAMPlusPlus(tapped, [tapped.tap]),
        "score_cam": lambda: _score_cam(library, tapped, batch_size),
        "eigen_cam": lambda: library.EigenCAM(tapped, [tapped.tap]),
        "ablation_cam": lambda: library.AblationCAM(
            tapped, [tapped.tap], ablation_layer=_zero_channels(library), batch_size=batch_size
        ),
    }[name]
    method = make()
    try:
        with _without_progress_bar(library.ablation_cam):
            maps = torch.from_numpy(method.get_cam_image(images, tapped.tap, targets, activations, gradients, False))
    finally:
        method.activations_and_grads.release()
    maps = maps.to(evidence.activations)
    if name == "eigen_cam":
        mean = evidence.activations.mean(1)
        agreement = ((maps - maps.mean((1, 2), keepdim=True)) * mean).sum((1, 2))
        maps = maps * torch.where(agreement < 0, -1.0, 1.0)[:, None, None]
    elif name == "ablation_cam":
        scores = evidence.logits.gather(1, evidence.targets[:, None])[:, 0]
        maps = maps * torch.where(scores < 0, -1.0, 1.0)[:, None, None]
    return maps


def _score_cam(library: ModuleType, tapped: Tapped, batch_size: int) -> Any:
    """The library's Score-CAM with weights that need the memory of `batch_size` images only."""

    class ScoreCAM(library.ScoreCAM):  # type: ignore[name-defined]
        def get_cam_weights(
            self, images: Tensor, layer: Any, targets: list[Callable], activations: np.ndarray, gradients: Any
        ) -> np.ndarray:
            scores = torch.empty(activations.shape[:2])
            for i, k in np.ndindex(len(images), -(-activations.shape[1] // batch_size)):
                channels = slice(k * batch_size, (k + 1) * batch_size)
                maps = torch.from_numpy(activations[i, channels]).to(images)[:, None]
                masks = F.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=True)
                low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
                with torch.no_grad():
                    logits = self.model(images[i] * ((masks - low) / (high - low + 1e-8)))
                scores[i, channels] = targets[i](logits).float().cpu()
            return scores.softmax(1).numpy()

    return ScoreCAM(tapped, [tapped.tap])


def _zero_channels(library: ModuleType) -> Any:
    class ZeroChannels(library.AblationLayer):  # type: ignore[name-defined]
        """Puts zero, and nothing else, in the place of one channel of each copy."""

        def __call__(self, x: Tensor) -> Tensor:
            copies = torch.arange(len(self.activations))
            self.activations[copies, torch.as_tensor(self.indices[: len(copies)]).long()] = 0
            return self.activations

    return ZeroChannels()


@contextlib.contextmanager
def _without_progress_bar(module: Any) -> Iterator[None]:
    before = module.tqdm
    module.tqdm = SimpleNamespace(tqdm=iter)
    try:
        yield
    finally:
        module.tqdm = before


def road(run: Run, images: Tensor, ranks: Tensor, targets: Tensor, percentiles: Sequence[int], seed: int) -> np.ndarray:
    """The library's combined ROAD score of each image (Rong et al. 2022), higher is better.

    Pixels are removed, most relevant first and least relevant first, and filled in from their neighbors. The score is
    half the difference of what is left of the target's probability, averaged over the shares of removed pixels.

    Parameters
    ----------
    run
        From images to logits.
    ranks
        Maps (N, H, W) without ties, between 0 and 1.
    percentiles
        Shares of pixels that are kept, in percent.
    seed
        For the noise in the filled pixels. The global generator is left as it was.
    """
    library = _library()
    target = library.utils.model_targets.ClassifierOutputSoftmaxTarget
    metric = library.metrics.road.ROADCombined(percentiles=list(percentiles))
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), torch.no_grad():
        torch.manual_seed(checked_seed(seed))
        warnings.simplefilter("ignore")
        return np.asarray(metric(images, ranks.cpu().numpy(), [target(t) for t in targets.tolist()], run))
