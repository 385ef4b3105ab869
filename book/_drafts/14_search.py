# %% [markdown]
# ## The search of this course
#
# We searched seven knobs at once: rate from 0.02 to 2 (on a log scale), batches of 16 to 256, sigmoid, ReLU or tanh after
# the convolutions and again after the dense layers, average or max pooling, kernels of 3, 5 or 7 in C1, and a constant
# rate or one that falls along a cosine. 32 trials, the first 12 by chance and the others by TPE, one seed each, 15
# epochs, trained on the first 50,000 training images and measured on the **validation images**, the last 10,000. The test
# images were not looked at. The best four were then trained with three seeds, and the best mean was chosen.
#
# **Predict:** how many of the 32 fail? What do the best have in common?

# %%
searched = study.load_results("search")
KNOBS = ["lr", "batch_size", "conv_activation", "dense_activation", "pooling", "conv_kernel", "schedule"]


def settings_of(results):
    arms = results.attrs["provenance"]["arms"]
    rows = {}
    for arm, changed in arms.items():
        training, network = runs.complete(changed)  # with what was left at its default
        rows[arm] = training | network
    return pd.DataFrame(rows).T[KNOBS]


summary = stats.summarize(searched)
trials = settings_of(searched).assign(accuracy=summary["test_accuracy"], failed=summary["failed"] > 0)
trials["lr"] = trials["lr"].astype(float)
print(f"{len(trials)} trials, {int(trials['failed'].sum())} failed")
trials.sort_values("accuracy", ascending=False, kind="stable").drop(columns="failed").head(6).round(3)

# %% [markdown]
# <<VERDICT: how many of the 32 failed and whether it fits the prediction; one sentence on the best trial.>>

# %% {"mystnb": {"figure": {"caption": "<<VERDICT: message, e.g. 'Trials fail at high rates, and small batches fail first'>>", "name": "fig-search-trials"}, "image": {"alt": "<<VERDICT: what a person sees: 32 points of validation accuracy against learning rate, a marker for each batch size, failed trials as crosses below, and where the best lie.>>"}}}
search.trials(trials)
plotting.plt.show()

# %% [markdown]
# <<VERDICT: where trials fail (rates, batches); where the best lie; whether rate and batch of the good ones go together.>>

# %%
top = trials.sort_values("accuracy", ascending=False, kind="stable").head(6)
for knob in KNOBS[1:]:
    counted = [f"{value}: {count}" for value, count in top[knob].value_counts(sort=False).items()]
    print(f"{knob:17}", ", ".join(counted))
ratios = top["lr"] / top["batch_size"].astype(float)
print("rate / batch size, best six:", ", ".join(f"{ratio:.4f}" for ratio in ratios))
print(f"the default's: {0.9 / 256:.4f}, the post's: {1.2 / 8:.4f} and {1.4 / 16:.4f}")

# %% [markdown]
# <<VERDICT: what the best six have in common, and which knobs are mixed among them (those seem not to matter much).>>
# Six trials of 32 are few, and TPE repeats what went well, so what they share may be habit. It is a hint at what to test,
# and no result.

# %% {"mystnb": {"figure": {"caption": "<<VERDICT: message, e.g. 'Most of the gain comes early; TPE adds a little, and wastes fewer trials'>>", "name": "fig-search-progress"}, "image": {"alt": "<<VERDICT: 32 trials in order with a staircase of the best so far, a dotted line after the 12 random ones; where it rises, and how many trials are arrows below the axis on both sides.>>"}}}
search.best_so_far(trials["accuracy"], random=min(12, len(trials)))
plotting.plt.show()

# %%
chance, model = trials["accuracy"].iloc[:12], trials["accuracy"].iloc[12:]
print(f"random: best {chance.max():.3f}, median {chance.median():.3f}")
if len(model):
    print(f"TPE:    best {model.max():.3f}, median {model.median():.3f}")

# %% [markdown]
# <<VERDICT: medians and best of random and TPE trials; one search says little about TPE against chance.>>
#
# ## The winner's curse
#
# The best of 32 trials has two reasons to be on top: it is good, and it was lucky. Whoever is picked for being highest has,
# on average, more luck than the others, and the luck does not come again. [How to compare](08_how_to_compare.ipynb)
# showed it on the test images. Here it works on the validation images, and the three seeds of the four finalists show
# it. One of the three is the run that got them picked; the other two are fresh. **Predict** the sign of fresh minus
# first.

# %%
finals = study.load_results("search_finals")
by_seed = stats.by_seed(finals)  # a row for each seed; seed 0 is the run of the search
shown = pd.DataFrame(
    {
        "picked for": by_seed.loc[0],
        "fresh seeds": by_seed.drop(index=0).mean(),
        "mean of three": by_seed.mean(),
        "with interval": {arm: str(stats.interval(by_seed[arm])) for arm in by_seed},
    }
).round(3)
assert np.allclose(by_seed.loc[0], trials.loc[list(by_seed), "accuracy"])
print("fresh minus picked for, mean of the four:", round((shown["fresh seeds"] - shown["picked for"]).mean(), 4))
shown

# %%
chosen = stats.summarize(finals)["test_accuracy"].idxmax()
print("first in the search:", trials["accuracy"].idxmax(), "- best mean of three:", chosen)
settings_of(finals).loc[[chosen]].T

# %% [markdown]
# <<VERDICT: is fresh below picked-for (all four? on average by how much)? does the order of finalists change? can three
# seeds tell the four apart?>>
#
# ## Looked at once
#
# Now, and not before, the test images. The chosen settings and the default, ten seeds each, trained on all 60,000
# training images. This study was run once. Had we looked, changed a knob, and looked again, the number below would be
# flattered as the post's are.

# %%
once = study.load_results("best_chosen")
accuracies = stats.by_seed(once)
for arm in ("default", "chosen"):
    print(f"{arm:8}", stats.interval(accuracies[arm]), f"(failed: {stats.summarize(once).loc[arm, 'failed']})")
print("chosen minus default:", stats.paired(accuracies["chosen"], accuracies["default"]))
print("the post's combination:", seed_tables.table(10).loc["optimal", "test_accuracy"])

# %% {"mystnb": {"figure": {"caption": "<<VERDICT: message, e.g. 'The chosen settings are ahead from the first epoch, and no run fails'>>", "name": "fig-best-chosen"}, "image": {"alt": "<<VERDICT: test accuracy per epoch, ten faint lines and a mean for each of the two arms, default over 10 epochs, chosen over 15; where each ends.>>"}}}
studies.curves(once, ["default", "chosen"])
plotting.plt.show()

# %%
assert stats.summarize(once).loc["chosen", "failed"] == 0
assert stats.paired(accuracies["chosen"], accuracies["default"]).low > 0
print("chosen ahead in", int((accuracies["chosen"] > accuracies["default"]).sum()), "of", len(accuracies), "seeds")

# %% [markdown]
# <<VERDICT: interval of chosen, paired difference; how it stands to 0.906 (above, below, interval holds it).>>
#
# Mind the conditions. The post's 0.906 is after about 50 epochs, at settings that it does not name exactly, chosen by
# looking at the test images. Ours is after 15 epochs, chosen among settings of which the post did not try all (it had
# neither tanh nor a schedule). And the difference from the default is not the worth of any one knob: the default has 10
# epochs, so a part of it is five epochs more, which on [Epochs](11_epochs.ipynb) is a gain by itself. What the
# comparison says is that a combination exists that is better than the default with every seed, and that it was found
# without the test images.
#
