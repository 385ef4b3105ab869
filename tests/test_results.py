"""Published results: written whole, protected against edits, and still what the code gives."""

import json
import os
import random

import pytest

from course_utils import published, runs, stats, study
from course_utils.__main__ import main
from course_utils.lenet_studies import BEYOND, CHOSEN_BEST, CHOSEN_LR, OPTIMIZER_LRS
from course_utils.network_studies import LADDER_LR
from course_utils.studies import STUDIES
from course_utils.study import Study

pytestmark = pytest.mark.usefixtures("one_thread")

BASE = {"train_size": 256, "test_size": 100, "epochs": 2, "batch_size": 64, "conv_activation": "relu"}
TINY = Study("tiny", "A question?", {"0.1": {"lr": 0.1}, "fails, at once": {"lr": 1e30}}, BASE, (0, 1))
PUBLISHED = published.available()
NAMED = [name for name in PUBLISHED if name in STUDIES]
SECONDS, CELLS = 20, int(os.environ.get("COURSE_TEST_CELLS", "3"))  # recorded time, and number, of cells to re-run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    study.run(TINY, engine="serial", device="cpu", folder=folder, progress=False)
    return folder


@pytest.fixture
def exported(finished, tmp_path):
    return published.export(TINY, device="cpu", store=finished, to=tmp_path)


def test_what_is_exported_is_loaded_back(exported, finished):
    results = study.load_results("tiny", exported.parent)
    measured = study.run(TINY, engine="serial", device="cpu", folder=finished, progress=False)
    assert list(results.columns) == study.COLUMNS
    assert results["arm"].tolist() == measured["arm"].tolist()
    assert results["diverged"].tolist() == [False] * 4 + [True] * 2
    for column in ("train_loss", "train_accuracy", "test_accuracy"):
        assert results[column].tolist() == pytest.approx(measured[column].tolist(), rel=1e-5, nan_ok=True)
    assert stats.summarize(results)["failed"].tolist()[1] == 2


def test_the_json_says_how_it_came_about(exported):
    details = json.loads(exported.with_suffix(".json").read_text())
    assert details["seeds"] == [0, 1]
    assert details["partial"] is False
    assert details["runs"] == 4
    assert details["diverged"] == 2
    assert details["device"] == ["cpu"]
    assert details["threads"] == [1]
    assert details["method"] == ["single"]
    assert details["arms"]["0.1"] == {**BASE, "lr": 0.1}
    assert details["command"].startswith("python -m course_utils study run tiny")
    assert set(details["versions"][0]) == {"course_utils", "python", "torch", "numpy"}


def test_exporting_twice_gives_the_same_bytes(exported, finished, tmp_path):
    again = published.export(TINY, device="cpu", store=finished, to=tmp_path / "again")
    assert again.read_bytes() == exported.read_bytes()
    assert again.with_suffix(".json").read_bytes() == exported.with_suffix(".json").read_bytes()


def test_an_edited_file_is_refused(exported):
    text = exported.read_text()
    exported.write_text(text.replace("False", "True", 1))
    with pytest.raises(ValueError, match=r"tiny\.csv has been changed since it was published"):
        study.load_results("tiny", exported.parent)


def test_line_ends_of_another_system_are_no_edit(exported):
    exported.write_bytes(exported.read_bytes().replace(b"\n", b"\r\n"))
    assert len(study.load_results("tiny", exported.parent)) == 6


@pytest.mark.parametrize("content", [None, "{", "{}", "[]"])
def test_a_missing_or_damaged_json_is_said(exported, content):
    path = exported.with_suffix(".json")
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"tiny\.json is missing or damaged"):
        study.load_results("tiny", exported.parent)


def test_an_unknown_study_lists_what_there_is(exported):
    with pytest.raises(ValueError, match=r"no results of a study 'lrs' are published; there are: 'tiny'\. To measure"):
        study.load_results("lrs", exported.parent)


def test_an_incomplete_study_is_published_only_on_request(finished, tmp_path):
    longer = Study("longer", "?", TINY.arms, BASE, (0, 1, 2))
    with pytest.raises(ValueError, match=r"lacks 2 of 6 runs \(seeds 2\).*--partial"):
        published.export(longer, device="cpu", store=finished, to=tmp_path)
    csv = published.export(longer, device="cpu", store=finished, to=tmp_path, partial=True)
    details = json.loads(csv.with_suffix(".json").read_text())
    assert details["partial"] is True
    assert details["seeds"] == [0, 1]
    with pytest.raises(ValueError, match="not one seed that is finished in all arms"):
        published.export(STUDIES["lr"], device="cpu", store=finished, to=tmp_path, partial=True)


def test_the_command(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STUDY_DIR", str(finished))
    monkeypatch.setitem(STUDIES, "tiny", TINY)
    assert main(["study", "export", "tiny", "--device", "cpu", "--to", str(tmp_path)]) == 0
    assert "tiny.csv" in capsys.readouterr().out
    assert main(["study", "export", "lr", "--device", "cpu", "--to", str(tmp_path)]) == 2
    assert "lacks 180 of 180 runs" in capsys.readouterr().err


# ---- the results that ship with the package


@pytest.mark.parametrize("name", NAMED)
def test_published_results_belong_to_the_study_as_it_is_defined(name):
    item, details = STUDIES[name], study.load_results(name).attrs["provenance"]
    assert details["arms"] == {arm: runs.canonical(item.config(arm)) for arm in item.arms}
    assert details["results_version"] == runs.RESULTS_VERSION
    assert len(details["device"]) == 1, "devices are never mixed"
    if not details["partial"]:
        assert details["seeds"] == list(item.seeds)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_results_have_each_run_once(name):
    results = study.load_results(name)
    details = results.attrs["provenance"]
    assert not results.duplicated(["arm", "seed", "epoch"]).any()
    assert results.groupby("arm")["seed"].nunique().to_dict() == dict.fromkeys(details["arms"], len(details["seeds"]))


def short_cells():
    """First epochs of published runs: (study, arm, seed, train_loss, train_accuracy, test_accuracy)."""
    for name in NAMED:
        results = study.load_results(name)
        for cell in results[(results["epoch"] == 1) & (results["seconds"] < SECONDS)].to_dict("records"):
            if runs.complete(STUDIES[name].config(cell["arm"]))[0]["schedule"] == "constant":
                yield (name, *(cell[column] for column in study.COLUMNS[:2]), *(cell[c] for c in study.COLUMNS[3:6]))


def some_cells():
    cells = list(short_cells())
    return random.Random(f"{len(cells)} cells").sample(cells, min(CELLS, len(cells)))


@pytest.mark.parametrize("cell", some_cells(), ids=lambda cell: "-".join(map(str, cell[:3])))
def test_published_results_are_what_the_code_gives(cell):
    """Re-run the first epoch of a few short runs; ``COURSE_TEST_CELLS=50`` asks for more of them.

    Rounding differs between processors and versions, and training magnifies it. Within the first epoch the loss moves
    by less than 0.02 and the training accuracy by less than 0.03; the test accuracy, taken at one moment, by less than
    0.1 where a network is just leaving its plateau. Another seed or another setting moves the loss more than that.
    """
    name, arm, seed, train_loss, train_accuracy, test_accuracy = cell
    record = runs.run_one({**STUDIES[name].config(arm), "epochs": 1}, seed)
    assert record["train_loss"][0] == pytest.approx(train_loss, abs=0.02)
    assert record["train_accuracy"][0] == pytest.approx(train_accuracy, abs=0.03)
    assert record["test_accuracy"][0] == pytest.approx(test_accuracy, abs=0.1)


def best_rate(name: str, prefix: str) -> float:
    """The learning rate with the highest mean accuracy among arms "prefix, lr rate" of a study."""
    table = stats.summarize(study.load_results(name))["test_accuracy"]
    rows = table[[arm.rpartition(", lr ")[0] == prefix for arm in table.index]]
    return float(rows.idxmax().rpartition(", lr ")[2])


@pytest.mark.skipif("optimizer_lr_beyond" not in PUBLISHED, reason="the study optimizer_lr_beyond is not published")
def test_the_chosen_learning_rates_are_the_best_on_the_validation_images():
    for optimizer, lr in CHOSEN_LR.items():
        best = best_rate("optimizer_lr", optimizer)
        assert (best == max(OPTIMIZER_LRS[optimizer])) == (optimizer in BEYOND)
        if optimizer in BEYOND:
            assert best == BEYOND[optimizer][0]
            best = best_rate("optimizer_lr_beyond", optimizer)
        assert best == lr


@pytest.mark.skipif("ladder_lr" not in PUBLISHED, reason="the study ladder_lr is not published")
def test_the_ladders_learning_rates_are_the_best_on_the_validation_images():
    for network, lr in LADDER_LR.items():
        assert best_rate("ladder_lr", network) == lr


def test_the_chosen_settings_are_the_best_on_the_validation_images():
    results = study.load_results("search_finals")
    best = results.attrs["provenance"]["arms"][stats.summarize(results)["test_accuracy"].idxmax()]
    assert results.attrs["provenance"]["accuracy_on"] == "validation images"
    assert {**runs.canonical(CHOSEN_BEST), "split": "validation"} == best


def test_everything_published_is_a_study_of_the_course():
    assert set(PUBLISHED) - set(STUDIES) <= {"search", "search_finals"}
