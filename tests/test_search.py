"""The search: the same proposals each time, nothing measured twice, judged on the validation images."""

import pytest

from course_utils import runs, search, study

pytest.importorskip("optuna", reason="extra 'search' is not installed")
pytestmark = pytest.mark.usefixtures("one_thread")

BASE = {"split": "validation", "train_size": 200, "test_size": 100, "epochs": 1}


def find(folder, trials):
    return search.search(
        trials=trials, base=BASE, to=folder / "out", device="cpu", folder=folder, engine="serial", progress=False
    )


def test_it_is_resumed_reproducible_and_published(tmp_path, monkeypatch):
    done = []
    real = runs.run_one

    def interrupted(config, seed, device):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(runs.key(config, seed))
        return real(config, seed, device)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "run_one", interrupted)
        with pytest.raises(KeyboardInterrupt):
            find(tmp_path, 6)
    first = find(tmp_path, 6)
    keys = set(study.Store(tmp_path).records)
    assert set(done) <= keys
    assert find(tmp_path, 6) == first
    assert set(study.Store(tmp_path).records) == keys, "nothing new is measured the third time"

    trials, finals = (study.load_results(name, tmp_path / "out") for name in ("search", "search_finals"))
    assert trials["arm"].nunique() == 6
    assert finals.groupby("arm")["seed"].nunique().tolist() == [3] * 4
    assert finals.attrs["provenance"]["accuracy_on"] == "validation images"
    best = finals.groupby("arm", sort=False)["test_accuracy"].mean().idxmax()
    assert runs.canonical({**first, "split": "validation"}) == finals.attrs["provenance"]["arms"][best]
