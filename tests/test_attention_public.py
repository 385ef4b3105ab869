"""Six of the eight scores against pysaliency, the public implementation by the authors of the saliency benchmark.

It is installed alone, into a folder of its own, without the packages that it asks for: two of its modules are all that
is wanted, and neither needs them. It has no function for AUC-Borji, and information gain only for its model classes.
"""

import importlib
import subprocess
import sys
import types

import numpy as np
import pytest

from course_utils import attention

VERSION = "0.2.22"


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """pysaliency's modules `metrics` and `numba_utils`, the second one run as plain Python."""
    folder = tmp_path_factory.mktemp("pysaliency")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    result = subprocess.run([*command, f"pysaliency=={VERSION}"], capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"pysaliency {VERSION} could not be installed: {result.stderr.strip().splitlines()[-1]}")
    with pytest.MonkeyPatch.context() as patch:
        numba = types.ModuleType("numba")
        numba.jit = lambda **options: lambda function: function
        package = types.ModuleType("pysaliency")  # in place of its own __init__, which imports much more
        package.__path__ = [str(folder / "pysaliency")]
        patch.setitem(sys.modules, "numba", numba)
        patch.setitem(sys.modules, "pysaliency", package)
        patch.setattr(np, "trapz", np.trapezoid, raising=False)  # NumPy's name for it until 2.4
        modules = [importlib.import_module(f"pysaliency.{name}") for name in ("metrics", "numba_utils")]
        yield types.SimpleNamespace(metrics=modules[0], roc=modules[1].general_roc_numba)
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
    theirs, _, _ = public.roc(at(saliency, fixations), saliency[rest], judd=1)
    assert attention.auc_judd(saliency, fixations) == pytest.approx(theirs, abs=1e-9)


def test_auc_shuffled(public, scene) -> None:
    saliency, fixations, _ = scene
    rounded = saliency.round(1)  # with ties
    others = np.argwhere(saliency > 0)[::7]
    theirs, _, _ = public.roc(at(rounded, fixations), at(rounded, others))
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
