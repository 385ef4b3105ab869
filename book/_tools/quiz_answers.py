"""The right answers of the quizzes' multiple-choice questions, computed from the package and the published results."""

import functools

import numpy as np
import torch
from scipy import stats as scipy_stats
from torch import nn
from torch.nn import functional as F

from course_utils import attention, attribution, claim_checks, claims, facts, photographs, stats
from course_utils.attribution import formulas, gradients
from course_utils.facts.networks import construct
from course_utils.faithfulness.survey import load_survey
from course_utils.layers import layer_table
from course_utils.models import classics, lenet, lenet5
from course_utils.models.lecun_layers import count_connections
from course_utils.planted_results import load_accuracies
from course_utils.study import load_results


def generator(seed: int = 0) -> torch.Generator:
    """Random numbers that do not depend on what was drawn before."""
    return torch.Generator().manual_seed(seed)


def survives_shuffling() -> str:
    """The layer for which some weights give the old outputs on shuffled pixels."""
    order = torch.randperm(36, generator=generator())
    weight, pixels = torch.rand(16, 36, generator=generator()), torch.rand(8, 36, generator=generator())
    dense = torch.allclose(F.linear(pixels[:, order], weight[:, order]), F.linear(pixels, weight), atol=1e-5)
    one_hot = torch.eye(36).view(36, 1, 6, 6)
    kernels = torch.eye(9).view(9, 1, 3, 3)
    matrices = torch.stack([F.conv2d(one_hot, kernel[None]).flatten() for kernel in kernels], dim=1)
    wanted = F.conv2d(one_hot[order], torch.rand(1, 1, 3, 3, generator=generator())).flatten()
    nearest = torch.linalg.lstsq(matrices, wanted[:, None]).solution
    convolution = torch.allclose(matrices @ nearest, wanted[:, None], atol=1e-4)
    return {(True, False): "dense", (False, True): "convolution", (True, True): "both", (False, False): "neither"}[
        dense, convolution
    ]


def exact_shift() -> str:
    """By how many pixels an image may move so that maps behind two poolings are the old ones, moved."""
    torch.manual_seed(0)
    blocks = [
        [nn.Conv2d(maps, 4, 5, padding=2, padding_mode="circular"), nn.ReLU(), nn.MaxPool2d(2)] for maps in (1, 4)
    ]
    net, image = nn.Sequential(*blocks[0], *blocks[1]), torch.rand(1, 1, 24, 24)
    with torch.no_grad():
        before = net(image)
        exact = [
            pixels
            for pixels in (2, 3, 4, 6)
            if torch.allclose(net(image.roll(pixels, -1)), before.roll(round(pixels / 4), -1), atol=1e-5)
        ]
    (found,) = exact
    return str(found)


def most_parameters() -> str:
    """The largest of four networks."""
    names = ("alexnet", "vgg16", "googlenet", "resnet152")
    return max(names, key=lambda name: sum(parameter.numel() for parameter in construct(name).parameters()))


def where_the_856_are() -> str:
    """The layers below the last in which the textbook's LeNet and LeNet-5 have different numbers of parameters."""
    published = {name: count["parameters"] for name, count in count_connections(lenet5()).items()}
    textbook = layer_table(lenet(), (1, 28, 28)).set_index("layer").parameters
    names = {"C5": "F5"}  # what the paper calls C5 is dense
    more = {name: int(textbook[names.get(name, name)]) - count for name, count in published.items() if name != "output"}
    assert sum(more.values()) == 856
    return ", ".join(name for name, count in more.items() if count)


@functools.cache
def results(name: str):
    """Results of a study."""
    return load_results(name)


def difference(first: str, second: str) -> stats.Difference:
    """Test accuracy of one learning rate minus that of another, seed by seed."""
    table = stats.by_seed(results("lr"))
    return stats.paired(table[first], table[second])


def what_an_interval_says() -> str:
    """Whether the difference between 1.7 and 0.9 is seen."""
    found = difference("1.7", "0.9")
    return "not seen" if not found.seen else "better" if found.mean > 0 else "worse"


def what_pairing_brings() -> str:
    """The length of the paired interval between 1.0 and 1.1, in words."""
    table = stats.by_seed(results("lr"))
    a, b = table["1.0"], table["1.1"]
    welch = scipy_stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    paired = difference("1.1", "1.0")
    share = (paired.high - paired.low) / (welch.high - welch.low)
    words = {"a fifth": 0.2, "half": 0.5, "the same": 1.0, "twice": 2.0}
    return min(words, key=lambda word: abs(np.log(words[word] / share)))


@functools.cache
def verdicts() -> dict[str, claims.Verdict]:
    """Verdict of each claim that the questions are about."""
    return {verdict.claim.name: verdict for verdict in claims.evaluate(["lr", "activation", "pooling"])}


def does_accuracy_fall() -> str:
    """Verdict on the fall beyond 1.4."""
    return verdicts()["lr-falls"].outcome


def what_holds_of_relu() -> str:
    """Which of two claims about ReLU are reproduced."""
    found = [verdicts()[name].outcome == claim_checks.REPRODUCED for name in ("relu-better", "relu-reaches")]
    return {(True, True): "both", (True, False): "first", (False, True): "second", (False, False): "neither"}[
        tuple(found)
    ]


def best_pooling() -> str:
    """The pooling that is clearly ahead of all others, by Holm's correction."""
    pooling = results("pooling")
    best = str(stats.summarize(pooling)["test_accuracy"].idxmax())
    against = stats.compare(pooling, best)
    assert (against["difference"] < 0).all()
    assert (against["p_holm"] < 0.05).all()
    return best


def where_vgg_keeps_most() -> str:
    """The part of VGG-16 with the most activations."""
    with torch.device("meta"):
        table = layer_table(classics.vgg(), (3, 224, 224), activations=True)
    return str(table.groupby(table.layer.str.split(".").str[0]).activations.sum().idxmax())


def who_notices_a_shuffle() -> str:
    """Which head notices that the places of the last maps were shuffled, the same way in all channels."""
    torch.manual_seed(0)
    maps, order = torch.rand(4, 24, 7, 7), torch.randperm(49)
    shuffled = maps.flatten(2)[:, :, order].view_as(maps)
    average = nn.Sequential(nn.Conv2d(24, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    dense = nn.Sequential(nn.Flatten(), nn.Linear(24 * 49, 10))
    with torch.no_grad():
        notices = [not torch.allclose(head(maps), head(shuffled), atol=1e-4) for head in (average, dense)]
    return {(True, True): "both", (True, False): "average", (False, True): "dense", (False, False): "neither"}[
        tuple(notices)
    ]


def batch_of_two() -> str:
    """What batch normalization makes of 3 and 11 in a batch of two."""
    with torch.no_grad():
        values = nn.BatchNorm1d(1).train()(torch.tensor([[3.0], [11.0]])).flatten()
    return " and ".join(f"{value:.0f}" for value in values.tolist())


def more_accurate_of_two() -> str:
    """VGG-16 or GoogLeNet: one network, one crop, torchvision's first weights."""
    table = facts.load("imagenet_models").query("weights == 'IMAGENET1K_V1'").set_index("name")
    ahead = table.top5["VGG-16"] - table.top5["GoogLeNet"]
    share = table.top5["VGG-16"] / 100
    error = 100 * (2 * share * (1 - share) / 50_000) ** 0.5
    return "VGG-16" if ahead > 2 * error else "GoogLeNet" if ahead < -2 * error else "neither"


def blind_map_gets_chance() -> str:
    """The score whose mean over pictures is that of chance for any map that is the same for all pictures."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :40]
    middle = np.exp(-((rows - 20) ** 2 + (columns - 20) ** 2) / 200)
    chance = (middle / middle.sum()).ravel()
    looks = [np.stack(np.divmod(rng.choice(1600, 50, p=chance), 40), axis=1) for _ in range(4)]
    others = [np.concatenate(looks[:n] + looks[n + 1 :]) for n in range(4)]
    scores = {
        "AUC-Judd": np.mean([attention.auc_judd(middle, here) for here in looks]) - 0.5,
        "shuffled AUC": np.mean(
            [attention.auc_shuffled(middle, here, there) for here, there in zip(looks, others, strict=True)]
        )
        - 0.5,
        "NSS": np.mean([attention.nss(middle, here) for here in looks]),
    }
    (found,) = [name for name, above_chance in scores.items() if abs(above_chance) < 1e-9]
    return found


def untouched_by_a_power() -> str:
    """The score that does not change when all values of a map are raised to a power."""
    rng = np.random.default_rng(0)
    saliency, looks = rng.random((20, 20)), rng.integers(0, 20, (30, 2))
    density = attention.fixation_density(looks, (20, 20), 2)
    scores = {
        "AUC-Judd": lambda s: attention.auc_judd(s, looks),
        "NSS": lambda s: attention.nss(s, looks),
        "CC": lambda s: attention.cc(s, density),
        "KL": lambda s: attention.kl(s, density),
    }
    (found,) = [name for name, score in scores.items() if abs(score(saliency**8) - score(saliency)) < 1e-9]
    return found


def brightest_in_grad_cam() -> str:
    """The place that Grad-CAM marks most for weights 3, 0, 0 and activations 1, 2, 6."""
    activations, gradients = torch.tensor([[[[1.0, 2.0, 6.0]]]]), torch.tensor([[[[3.0, 0.0, 0.0]]]])
    found = formulas.grad_cam(activations, gradients).relu().flatten()
    assert int(formulas.hires_cam(activations, gradients).argmax()) == 0
    return ("first", "second", "third")[int(found.argmax())] if found.max() > 0 else "blank"


def brightest_place() -> str:
    """How bright the shown map of a class gets whose logit is negative, although some places speak for it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        net[4].weight[0] = torch.tensor([1.0, 1, 1, 1])
        net[4].bias[0] = -3
    found = attribution.explain(net, torch.rand(1, 1, 12, 12), 0, "cam")
    assert found.scores[0] < 0
    return f"{found.maps.max():.0f}"


def parts_of_a_product() -> str:
    """What integrated gradients give to two pixels, 2 and 3, whose product is the score."""
    image = torch.tensor([[[[2.0, 3.0]]]])
    parts, _ = gradients.integrated_gradients(lambda images: images.prod(-1).flatten(), image)
    return " and ".join(f"{part:.0f}" for part in parts.flatten().tolist())


def least_changed_by_a_random_output() -> str:
    """Which of three methods' maps are most like themselves after the output layer was made random."""
    table = load_survey().query("net == 'resnet-fashion' and check == 'weights_output'").set_index("method")
    asked = table.loc[["cam", "guided_backprop", "occlusion"]]
    found = str(asked["mean"].idxmax())
    assert asked["low"][found] > asked["high"].drop(found).max()
    return found


def shirts_without_the_mark() -> str:
    """How many of 100 test shirts are named by networks that cheat, when the mark is taken away."""
    table = load_accuracies().query("arm == 'cheat'").groupby("mark")["of_shirts"].mean() * 100
    assert round(table["as trained"]) == 94
    return "under 5" if table["none"] < 5 else "over 80" if table["none"] > 80 else "near 50"


def share_of_the_picture() -> str:
    """How much of a picture of 640 x 480 the network for photographs is shown."""
    rows, columns = np.mgrid[:480, :640]
    ramps = np.stack([columns * 255 / 639, rows * 255 / 479, 0 * rows], axis=2).round().astype(np.uint8)
    model = photographs.PhotographModel(nn.Identity(), ())
    seen = model.crop(photographs.Picture(ramps, "ramps")).astype(float)
    width, height = (np.ptp(seen[..., channel]) / 255 for channel in (0, 1))
    return min(("100 %", "77 %", "75 %", "57 %"), key=lambda share: abs(float(share[:-2]) - 100 * width * height))
