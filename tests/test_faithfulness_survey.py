"""The table of methods and checks: what it holds is what is measured, and it notices when it is changed."""

import json
import random
import shutil

import numpy as np
import pytest
import torch

from course_utils import data
from course_utils.faithfulness import subjects, survey
from course_utils.models import pretrained

pytestmark = pytest.mark.usefixtures("one_thread")

# Rounding differs between processors, and a pixel that changes its rank moves an area by about 1 / (2 x 14 x 32).
TOLERANCE = 0.02
QUICK = ("grad_cam", "hires_cam", "layer_cam", "eigen_cam", "gradient", "edges", "noise", "smooth_noise")


@pytest.fixture(scope="module")
def table():
    return survey.load_survey()


# The table that ships


def test_every_job_has_its_rows(table):
    expected = {(net, method, check) for net, method, group in survey.jobs() for check in survey.GROUPS[group]}
    assert set(zip(table["net"], table["method"], table["check"], strict=True)) == expected
    assert len(table) == len(expected)


def test_means_lie_in_their_intervals(table):
    assert (table["low"] <= table["mean"] + 1e-4).all()
    assert (table["mean"] <= table["high"] + 1e-4).all()
    shares = table[table["check"].isin(["deletion", "insertion", "pointing", "energy"])]
    assert shares[["low", "mean", "high"]].stack().between(-0.5, 1.5).all()
    assert shares["mean"].between(0, 1).all()


def test_the_number_of_images_is_the_stated_one(table):
    stated = table.attrs["provenance"]["images"]
    group = {check: name for name, checks in survey.GROUPS.items() for check in checks}
    for row in table.itertuples():
        expected = stated["photographs"] if row.net == survey.LITE else stated[group[row.check]]
        assert row.images == expected


def test_the_provenance_is_whole(table):
    details = table.attrs["provenance"]
    assert {
        "device",
        "versions",
        "first_finished",
        "last_finished",
        "images",
        "seeds",
        "sha256",
        "options",
        "command",
    } <= set(details)
    assert details["rows"] == len(table)
    assert len(details["photographs"]) == 7


@pytest.mark.parametrize("draw", range(2))
def test_a_cell_drawn_at_random_is_measured_again(table, draw):
    drawn = random.Random(f"{table.attrs['provenance']['sha256']} {draw}")
    name, method, group = drawn.choice(
        [
            job
            for job in survey.jobs()
            if job[0] in ("lenet-fashion", "nin-fashion") and job[1] in QUICK and job[2] in ("removal", "weights")
        ]
    )
    measured = survey.measure(name, method, group)["values"]
    rows = table[(table["net"] == name) & (table["method"] == method)].set_index("check")
    for check, values in measured.items():
        assert np.mean(values) == pytest.approx(rows.loc[check, "mean"], abs=TOLERANCE), (name, method, check)


def test_blank_maps_are_counted_where_they_are():
    """Of two comparisons each has its own blank maps; a loss of agreement has those of both."""
    done = {
        ("n", "m", "weights"): {
            "values": {"weights_output": [0.5, 0.0, 0.1], "weights_all": [0.0, 0.0, 0.2]},
            "blank": 9,
        },
        ("l", "m", "labels"): {"values": {"labels_true": [0.5, 0.0], "labels_shuffled": [0.0, 0.1]}, "blank": 9},
        ("n", "m", "pointing"): {"values": {"pointing": [0.0, 1.0], "energy": [0.0, 0.2]}, "blank": 1},
    }
    blank = survey._tabulate(done).set_index("check")["blank"].to_dict()
    assert blank == {
        "weights_output": 1,
        "weights_all": 2,
        "labels_true": 1,
        "labels_shuffled": 1,
        "labels_lost": 2,
        "pointing": 1,
        "energy": 1,
    }


# Reading it


def test_a_changed_table_is_refused(tmp_path):
    shutil.copytree(survey.survey_folder(), tmp_path, dirs_exist_ok=True)
    survey.load_survey(tmp_path)
    csv = tmp_path / "table.csv"
    csv.write_text(csv.read_text().replace("0", "1", 1))
    with pytest.raises(ValueError, match="changed since it was published"):
        survey.load_survey(tmp_path)


@pytest.mark.parametrize("text", [None, "{", "{}", "[]"])
def test_a_table_without_its_provenance_is_refused(tmp_path, text):
    shutil.copytree(survey.survey_folder(), tmp_path, dirs_exist_ok=True)
    beside = tmp_path / "table.json"
    beside.unlink() if text is None else beside.write_text(text)
    with pytest.raises(ValueError, match=r"missing or damaged.*python -m course_utils\.faithfulness\.survey"):
        survey.load_survey(tmp_path)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match="missing or damaged"):
        survey.load_survey(tmp_path)


# Measuring


def test_a_small_survey_stops_and_goes_on(tmp_path, monkeypatch):
    settings = dict(nets=["lenet-fashion"], methods=["gradient", "edges", "smooth_noise"], store=tmp_path, images=3)
    lines: list[str] = []
    first = survey.survey(**settings, report=lines.append)
    assert len(lines) == 4  # three in the group of removal, one of weights
    monkeypatch.setattr(survey, "measure", lambda *job: pytest.fail("a finished job was done again"))
    again = survey.survey(**settings)
    assert again.equals(first)
    gradient = first[first["method"] == "gradient"].set_index("check")
    edges = first[first["method"] == "edges"].set_index("check")
    for check, sign in (("deletion", -1), ("insertion", 1), ("road", 1)):
        expected = sign * (gradient.loc[check, "mean"] - edges.loc[check, "mean"])
        assert gradient.loc[check, "over_edges"] == pytest.approx(expected)
        assert gradient.loc[check, "over_edges_low"] <= expected <= gradient.loc[check, "over_edges_high"]
    assert np.isnan(gradient.loc["weights_all", "over_edges"])


def test_what_is_published_is_read_back(tmp_path):
    frame = survey.survey(["lenet-fashion"], ["edges"], store=tmp_path / "store", images=2)
    path = survey.publish(frame, tmp_path / "published")
    back = survey.load_survey(path.parent)
    assert back[["net", "method", "check", "better"]].equals(frame[["net", "method", "check", "better"]])
    np.testing.assert_allclose(back["mean"], frame["mean"], atol=1e-4)
    assert json.loads((path.parent / "table.json").read_text())["rows"] == len(frame)


def test_the_command_measures_and_publishes(tmp_path, capsys):
    arguments = ["--nets", "lenet-fashion", "--methods", "noise", "--store", str(tmp_path / "s")]
    threads = torch.get_num_threads()
    try:
        assert survey.main([*arguments, "--to", str(tmp_path / "t")]) == 0
    finally:
        torch.set_num_threads(threads)
    assert "1 of 1: lenet-fashion, noise, removal" in capsys.readouterr().out
    assert len(survey.load_survey(tmp_path / "t")) == len(survey.GROUPS["removal"])


@pytest.mark.parametrize(("nets", "methods"), [(["lenet"], ["cam"]), (["lenet-fashion"], ["grad-cam"])])
def test_unknown_names_are_refused(nets, methods):
    with pytest.raises(ValueError, match="is not known"):
        survey.jobs(nets, methods)


def test_jobs_leave_out_what_a_net_rules_out():
    jobs = set(survey.jobs())
    assert ("vgg-fashion", "cam", "removal") not in jobs
    assert ("lenet-fashion", "guided_backprop", "weights") not in jobs
    assert not any(net == "vgg-fashion" and group == "pointing" for net, _, group in jobs)
    assert not any(method == "edges" and group in ("weights", "labels") for _, method, group in jobs)


# What is measured on


def test_mosaics_are_made_of_four_classes_and_know_the_place():
    model = pretrained("nin-fashion")
    split = data.load("fashion-mnist").test
    images, targets, masks = subjects.mosaics(model, split, 6, seed=3)
    assert images.shape == (6, 1, 56, 56)
    assert masks.flatten(1).sum(1).tolist() == [28 * 28] * 6
    for i in range(6):
        four = [images[i, :, r : r + 28, c : c + 28] for r in (0, 28) for c in (0, 28)]
        with torch.no_grad():
            said = model(torch.stack(four)).argmax(1)
        assert len(set(said.tolist())) == 4
        assert said[i % 4] == targets[i]
        quadrant = masks[i, (i % 4 // 2) * 28 :, (i % 2) * 28 :][:28, :28]
        assert quadrant.all()
    again = subjects.mosaics(model, split, 6, seed=3)
    assert torch.equal(images, again[0])


def test_randomized_nets_differ_where_they_should():
    trained = pretrained("lenet-fashion")
    output, everything = subjects.randomized("lenet-fashion")
    for name, parameter in trained.named_parameters():
        assert torch.equal(parameter, everything.get_parameter(name)) is False
        assert torch.equal(parameter, output.get_parameter(name)) is not name.startswith("output")


def test_values_of_pairs_become_values_of_photographs():
    left, right = np.arange(7.0), 10 + np.arange(7.0)
    found = subjects.by_photograph(np.concatenate([left, right]))
    assert found[0] == (left[0] + right[6]) / 2  # the first photograph is the right one of the last pair
    assert found[3] == (left[3] + right[2]) / 2


def test_noise_scores_nothing_in_road_and_guesses_in_the_pointing_game(table):
    rows = table[table["method"] == "noise"]
    roads = rows[rows["check"] == "road"]
    assert (roads["low"] < 0.05).all()
    assert (roads["high"] > -0.05).all()
    mosaics = rows[(rows["check"] == "energy") & (rows["net"] != survey.LITE)]
    assert mosaics["mean"].to_numpy() == pytest.approx([0.25] * len(mosaics), abs=0.01)
