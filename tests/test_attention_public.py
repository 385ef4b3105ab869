"""The eight scores against pysaliency, the public implementation by the authors of the saliency benchmark.

It is installed into a folder of its own, with the two small packages that the modules used here need and that are not
here anyway. It has no function for AUC-Borji, so that is rebuilt from its ROC curves, with the same random pixels.
"""

import importlib
import subprocess
import sys
import types

import numpy as np
import pytest

from course_utils import attention

VERSION, NEEDED = "0.2.22", ("boltons", "deprecation")


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """Modules of pysaliency; what numba would compile is run as plain Python."""
    folder = tmp_path_factory.mktemp("pysaliency")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    result = subprocess.run([*command, f"pysaliency=={VERSION}", *NEEDED], capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"pysaliency {VERSION} could not be installed: {result.stderr.strip().splitlines()[-1]}")
    with pytest.MonkeyPatch.context() as patch:
        numba = types.ModuleType("numba")
        numba.jit = lambda **options: lambda function: function
        package = types.ModuleType("pysaliency")  # in place of its own __init__, which imports much more
        package.__path__ = [str(folder / "pysaliency")]
        patch.setitem(sys.modules, "numba", numba)
        patch.setitem(sys.modules, "pysaliency", package)
        patch.syspath_prepend(str(folder))
        patch.setattr(np, "trapz", np.trapezoid, raising=False)  # NumPy's name for it until 2.4
        names = ("datasets", "metrics", "models", "numba_utils")
        yield types.SimpleNamespace(**{name: importlib.import_module(f"pysaliency.{name}") for name in names})
        for name in [name for name in sys.modules if name.startswith("pysaliency.")]:
            del sys.modules[name]


@pytest.fixture(params=range(4))
def scene(request):
    """A map (H, W) of positive numbers, fixations without repetition, and the density that they make."""
    rng = np.random.default_rng(request.param)
    shape = (int(rng.integers(12, 30)), int(rng.integers(12, 30)))
    places = rng.choice(shape[0] * shape[1], 20, replace=False)
    fixations = np.stack(np.unravel_index(places, shape), axis=1)
    return rng.random(shape) + 0.01, fixations, attention.fixation_density(fixations, shape, 2.0)


def at(values, places):
    return values[tuple(places.T)]


def test_auc_judd(public, scene) -> None:
    saliency, fixations, _ = scene
    rest = np.ones(saliency.shape, bool)
    rest[tuple(fixations.T)] = False
    theirs, _, _ = public.numba_utils.general_roc_numba(at(saliency, fixations), saliency[rest], judd=1)
    assert attention.auc_judd(saliency, fixations) == pytest.approx(theirs, abs=1e-9)


def test_auc_borji(public, scene) -> None:
    saliency, fixations, _ = scene
    levels = (10 * (saliency - saliency.min()) / np.ptp(saliency)).round() / 10  # a step of 0.01 misses none of them
    draws = np.random.default_rng(3).choice(levels.ravel(), (20, len(fixations)))
    theirs = [public.numba_utils.general_roc_numba(at(levels, fixations), draw)[0] for draw in draws]
    ours = attention.auc_borji(levels, fixations, splits=20, step=0.01, seed=3)
    assert ours == pytest.approx(np.mean(theirs), abs=1e-9)


def test_auc_shuffled(public, scene) -> None:
    saliency, fixations, _ = scene
    rounded = saliency.round(1)  # with ties
    others = np.argwhere(saliency > 0)[::7]
    theirs, _, _ = public.numba_utils.general_roc_numba(at(rounded, fixations), at(rounded, others))
    assert attention.auc_shuffled(rounded, fixations, others) == pytest.approx(theirs, abs=1e-9)


def test_nss(public, scene) -> None:
    saliency, fixations, _ = scene
    theirs = public.metrics.NSS(saliency, ys=fixations[:, 0], xs=fixations[:, 1]).mean()
    assert attention.nss(saliency, fixations) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("ours", "theirs"), [("cc", "CC"), ("sim", "SIM")])
def test_cc_and_sim(ours, theirs, public, scene) -> None:
    saliency, _, density = scene
    saliency, density = saliency - saliency.min(), density - density.min()  # SIM wants maps that reach 0
    wanted = getattr(public.metrics, theirs)(saliency, density)
    assert getattr(attention, ours)(saliency, density) == pytest.approx(wanted, abs=1e-9)


def test_kl(public, scene) -> None:
    saliency, _, density = scene
    logarithms = [np.log(np.maximum(one / one.sum(), 1e-300)) for one in (saliency, density)]
    epsilon = np.finfo(float).eps
    theirs = public.metrics.probabilistic_image_based_kl_divergence(
        *logarithms, log_regularization=epsilon, quotient_regularization=epsilon
    )
    assert attention.kl(saliency, density) == pytest.approx(theirs, abs=1e-9)


def test_information_gain(public, scene) -> None:
    saliency, fixations, density = scene
    baseline = density + density.mean()

    class Given(public.models.Model):
        def __init__(self, values):
            super().__init__()
            self.values = values

        def _log_density(self, stimulus):
            return np.log(self.values / self.values.sum())

    pictures = public.datasets.Stimuli([np.zeros((*saliency.shape, 3), np.uint8)])
    rows, columns = fixations.T
    looks = public.datasets.Fixations.create_without_history(columns, rows, np.zeros(len(rows), int))
    theirs = Given(saliency).information_gain(pictures, looks, Given(baseline))
    assert attention.information_gain(saliency, fixations, baseline) == pytest.approx(theirs, abs=1e-9)
