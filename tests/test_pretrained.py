import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from course_utils import data, runs, shipped, train
from course_utils.__main__ import main
from course_utils.models import classics, lenet, pretrained
from course_utils.models.pretrained import INDEX, cards, load_weights, weights_folder

LIMIT = 4 * 2**20


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A folder with one network that was trained for a moment."""
    monkeypatch.setitem(shipped.SHIPPED, "tiny", {"train_size": 300, "test_size": 200, "epochs": 1, "lr": 0.5})
    shipped.ship("tiny", tmp_path)
    return tmp_path


def test_every_shipped_network_has_weights_and_a_card_and_no_other() -> None:
    files = {path.stem for path in weights_folder().glob("*.safetensors")}
    assert set(cards()) == files == set(shipped.SHIPPED)


def test_all_weights_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in weights_folder().glob("*.safetensors")) < LIMIT


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_a_card_says_how_the_network_is_made_today(name) -> None:
    card = cards()[name]
    assert card["config"] == runs.canonical(shipped.SHIPPED[name])
    assert card["seed"] == shipped.SEED
    model = pretrained(name)
    assert not model.training
    assert card["parameters"] == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_accuracy_is_what_the_card_says(name) -> None:
    """Measured again on all 10,000 test images; two of them may fall to the other side on another processor."""
    card = cards()[name]
    found = train.evaluate(pretrained(name), data.load(card["dataset"], progress=False).test).accuracy
    assert found == pytest.approx(card["test_accuracy"], abs=2.5e-4)


def test_what_is_shipped_is_what_was_trained(tiny) -> None:
    record, trained = runs.train_one(shipped.SHIPPED["tiny"], shipped.SEED)
    model = pretrained("tiny", tiny)
    for name, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    card = cards(tiny)["tiny"]
    assert card["test_accuracy"] == round(record["test_accuracy"][-1], 4)
    assert card["versions"]["torch"] == torch.__version__


def test_a_second_network_does_not_push_the_first_out_of_the_index(tiny, monkeypatch) -> None:
    monkeypatch.setitem(shipped.SHIPPED, "other", shipped.SHIPPED["tiny"])
    shipped.ship("other", tiny)
    assert set(cards(tiny)) == {"tiny", "other"}


def test_an_unknown_name_is_refused(tiny) -> None:
    with pytest.raises(ValueError, match="trained network 'resnet' is not known; allowed: 'tiny'"):
        pretrained("resnet", tiny)


def test_damaged_weights_are_refused(tiny) -> None:
    file = tiny / "tiny.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"tiny\.safetensors is damaged: its SHA-256 is not that of weights\.json"):
        pretrained("tiny", tiny)
    file.unlink()
    with pytest.raises(ValueError, match=r"the weights of 'tiny' are missing: no file tiny\.safetensors"):
        pretrained("tiny", tiny)


def test_weights_of_another_network_are_refused_and_the_model_stays(tiny) -> None:
    file = tiny / "tiny.safetensors"
    model = lenet(conv_kernel=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"has shape \(6, 1, 5, 5\) in tiny.safetensors and \(6, 1, 3, 3\) in the mod"):
        load_weights(model, file)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match=r"tiny.safetensors lacks '.*', which the model has"):
        load_weights(classics.SMALL["nin_small"](), file)
    more = tiny / "more.safetensors"
    save_file(load_file(file) | {"extra": torch.zeros(1)}, more)
    with pytest.raises(ValueError, match=r"more.safetensors has 'extra', which the model lacks"):
        load_weights(lenet(), more)
    wide = classics.resnet(small=True, depth=14, width=2.0)
    with pytest.raises(ValueError, match="another width or depth"):
        load_weights(wide, weights_folder() / "resnet-fashion.safetensors")


def test_no_safetensors_at_all(tmp_path) -> None:
    file = tmp_path / "text.safetensors"
    file.write_text("no tensors here")
    with pytest.raises(ValueError, match=r"text\.safetensors cannot be read as safetensors"):
        load_weights(lenet(), file)
    with pytest.raises(ValueError, match=r"none\.safetensors cannot be read"):
        load_weights(lenet(), tmp_path / "none.safetensors")


def test_a_diverged_training_writes_nothing(monkeypatch, tmp_path) -> None:
    wild = {"train_size": 300, "test_size": 200, "epochs": 2, "lr": 1e30, "conv_activation": "relu"}
    monkeypatch.setitem(shipped.SHIPPED, "wild", wild)
    with pytest.raises(RuntimeError, match="wild: .*epoch"):
        shipped.ship("wild", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_lists_and_refuses(tiny, capsys) -> None:
    assert main(["weights", "--to", str(tiny)]) == 0
    card = json.loads((tiny / INDEX).read_text())["tiny"]
    assert f"{card['parameters']:,} parameters  test accuracy {card['test_accuracy']:.4f}" in capsys.readouterr().out
    assert main(["weights", "tini"]) == 2
    assert "trained network 'tini' is not known" in capsys.readouterr().err
