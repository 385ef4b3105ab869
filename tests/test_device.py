import random
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils import device

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def machine(monkeypatch):
    """Make the machine look as if it had these devices."""

    def pretend(*, cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "kinds"),
    [(0, False, ["cpu"]), (0, True, ["mps", "cpu"]), (1, False, ["cuda", "cpu"]), (2, True, ["cuda", "mps", "cpu"])],
)
def test_devices_are_listed_best_first_and_auto_takes_the_first(machine, cuda, mps, kinds):
    machine(cuda=cuda, mps=mps)
    assert device.available_devices() == kinds
    for anything in ("auto", None):
        assert device.pick_device(anything) == torch.device(kinds[0])


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1", torch.device("cuda", 1)])
def test_a_named_device_is_taken_at_its_word(machine, name):
    machine(cuda=2)
    assert device.pick_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", torch.device("cuda")])
def test_cuda_where_there_is_none_says_what_there_is(machine, name):
    machine()
    with pytest.raises(ValueError, match="'cuda.* was asked for, but this machine has only 'cpu'.*Colab"):
        device.pick_device(name)


def test_mps_where_there_is_none_gives_no_advice_about_gpus(machine):
    machine()
    with pytest.raises(ValueError, match=r"'mps' was asked for, but this machine has only 'cpu'\.$"):
        device.pick_device("mps")


def test_a_cuda_index_beyond_the_last_says_how_many_there_are(machine):
    machine(cuda=1)
    with pytest.raises(ValueError, match="'cuda:1' was asked for, but there are 1 CUDA devices"):
        device.pick_device("cuda:1")


def test_the_kind_of_a_device_that_is_not_there(machine):
    machine()
    assert [device.device_kind(name) for name in ("auto", None, "cuda:1", "mps", CUDA)] == [
        "cpu",
        "cpu",
        "cuda",
        "mps",
        "cuda",
    ]
    with pytest.raises(ValueError, match="device 'gpu' is not known; allowed here: 'auto', 'cpu'"):
        device.device_kind("gpu")


@pytest.mark.parametrize("name", ["gpu", "", "CPU", "cuda:x", "cuda:-1", [], 1.5])
def test_a_name_that_is_no_device_lists_the_allowed_ones(machine, name):
    machine()
    with pytest.raises(ValueError, match=r"is not known; allowed here: 'auto', 'cpu'"):
        device.pick_device(name)


def test_describing_the_cpu_counts_its_threads(machine, monkeypatch):
    machine()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert device.describe_device() == "cpu, 1 thread"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert device.describe_device("cpu") == "cpu, 4 threads"


def test_describing_cuda_names_the_card_and_its_memory(machine, monkeypatch):
    machine(cuda=1)
    card = SimpleNamespace(name="NVIDIA T4", total_memory=15.8e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    assert device.describe_device("cuda") == "cuda, NVIDIA T4, 15.8 GB"


def test_describing_mps_is_its_name(machine):
    machine(mps=True)
    assert device.describe_device() == "mps"


def draws() -> tuple[object, ...]:
    return random.random(), float(np.random.rand()), torch.rand(3).tolist()  # noqa: NPY002 - the global generator


def test_the_same_seed_gives_the_same_numbers_everywhere():
    first_generator = device.seed_everything(7)
    first = draws()
    second_generator = device.seed_everything(7)
    assert draws() == first
    assert torch.equal(torch.randperm(9, generator=first_generator), torch.randperm(9, generator=second_generator))
    device.seed_everything(8)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_the_returned_generator_does_not_depend_on_what_was_drawn_meanwhile():
    alone = torch.randperm(9, generator=device.seed_everything(3))
    generator = device.seed_everything(3)
    torch.rand(100)
    assert torch.equal(torch.randperm(9, generator=generator), alone)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, np.int64(5)])
def test_seeds_at_the_edges_are_taken(seed):
    assert device.seed_everything(seed).initial_seed() == int(seed)


@pytest.mark.parametrize("seed", [-1, 2**32, True, 1.0, "1", None, float("nan")])
def test_a_bad_seed_says_what_is_allowed(seed):
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"seed must be an integer from 0 to 2\*\*32 - 1, given"):
        device.seed_everything(seed)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_stopwatch_measures_seconds():
    with device.Stopwatch(CPU) as watch:
        assert watch.seconds == 0
        time.sleep(0.05)
    assert 0.05 <= watch.seconds < 5


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_the_stopwatch_waits_for_the_device_before_and_after(monkeypatch, kind):
    waits = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: waits.append("cuda"))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append("mps"))
    with device.Stopwatch(torch.device(kind)):
        assert waits == [kind]
    assert waits == [kind, kind]


def test_the_stopwatch_keeps_its_time_after_an_error():
    watch = device.Stopwatch(CPU)
    with pytest.raises(KeyError), watch:
        raise KeyError
    assert watch.seconds > 0


def product_type() -> torch.dtype:
    return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize(("name", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_holds_inside_its_block_only(name, expected):
    with device.precision(name, CPU):
        assert product_type() == expected
    assert product_type() == torch.float32


def test_a_weight_that_changes_inside_the_block_counts_with_its_new_value():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    with device.precision("bfloat16", CPU):
        before = torch.ones(2, 2) @ weight
        with torch.no_grad():
            weight.mul_(2)
        assert torch.equal(torch.ones(2, 2) @ weight, 2 * before)


def test_float32_is_float32_also_inside_autocast():
    with torch.autocast("cpu", torch.bfloat16), device.precision("float32", CPU):
        assert product_type() == torch.float32


def test_precision_is_put_back_after_an_error():
    with pytest.raises(KeyError), device.precision("bfloat16", CPU):
        raise KeyError
    assert product_type() == torch.float32


def tf32_flags() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("name", "inside"), [("float32", (False, False)), ("tf32", (True, True))])
def test_tf32_flags_are_set_inside_and_put_back_after_an_error(name, inside):
    before = tf32_flags()
    with pytest.raises(KeyError), device.precision(name, CUDA):
        assert tf32_flags() == inside
        raise KeyError
    assert tf32_flags() == before


@pytest.mark.parametrize("place", ["cpu", "mps"])
def test_tf32_exists_on_cuda_only(place):
    with (
        pytest.raises(ValueError, match=f"'tf32' exists on CUDA only, given device '{place}'"),
        device.precision("tf32", torch.device(place)),
    ):
        pass


@pytest.mark.parametrize("name", ["float16", "double", "", None])
def test_an_unknown_precision_lists_the_known_ones(name):
    with pytest.raises(ValueError, match="allowed: 'float32', 'tf32', 'bfloat16'"), device.precision(name, CPU):
        pass


def test_keeping_freed_memory_is_harmless_and_may_be_asked_for_twice():
    device.keep_freed_memory()
    device.keep_freed_memory()
    assert torch.ones(1 << 20).sum() == 1 << 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator exists on Linux only")
def test_keeping_freed_memory_is_accepted_by_the_c_library():
    code = """
import ctypes
library = ctypes.CDLL(None)
if hasattr(library, "gnu_get_libc_version"):
    assert [library.mallopt(option, 1 << 30) for option in (-3, -1)] == [1, 1]
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_keeping_freed_memory_does_nothing_elsewhere(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(device.ctypes, "CDLL", lambda _: pytest.fail("the C library was touched"))
    device.keep_freed_memory.__wrapped__()
