# %% [markdown]
# ## What each step brings
#
# Written out, the steps look harmless. Are they worth it? The study `recipe` adds one to another, on the small ResNet
# at half its width: 8 passes through the 60,000 training images, batches of 128, momentum, weight decay, float32, rate
# 0.1 at its highest, three seeds, the 10,000 test images after the last pass. It begins with a constant rate and no
# augmentation. Each following arm has what the arms before it have: the one-cycle rate, then crops and mirror images,
# then smoothed labels, then averaged weights. The last arms have all of it and are longer (24 passes), or twice as wide
# (four times the weights), or both. The order was fixed before, and it matters: a step is measured in the company of
# those before it, and nowhere else. Nothing was tuned for any arm; the rate of 0.1 is one of those that [the
# ladder](22_ladder.ipynb) tried, where the full width preferred 0.3.
#
# **Predict:** which step brings most, and which least? And is three times the time worth more than four times the
# weights?

# %%
recipe = load_results("recipe")
order = list(dict.fromkeys(recipe["arm"]))
summary = stats.summarize(recipe)
summary[["test", "failed", "train_accuracy"]].round(3)

# %% [markdown]
# (`train_accuracy` is measured on the pictures that the network is given, so from the third arm on they are shifted and
# mirrored ones.)
#
# Now each step against the arm before it, seed by seed. The three last arms all stand on 'averaged weights'. Seven
# comparisons share one risk of a false alarm ([Holm](08_how_to_compare.ipynb#many-settings-holm)).

# %%
BASE = "averaged weights"
before = {arm: previous for previous, arm in zip(order, order[1:], strict=False)}
before |= dict.fromkeys(order[order.index(BASE) + 1 :], BASE)
final_accuracy = stats.by_seed(recipe)
step = {arm: stats.paired(final_accuracy[arm], final_accuracy[previous]) for arm, previous in before.items()}
brings = pd.DataFrame(
    {
        "against": before,
        "difference": {arm: str(difference) for arm, difference in step.items()},
        "p, Holm": dict(zip(step, stats.holm([difference.p for difference in step.values()]).round(3), strict=True)),
    }
).loc[order[1:]]
print(brings.to_string())

# %% {"mystnb": {"figure": {"caption": "<<VERDICT: message, e.g. 'Most comes from two steps'>> Squares: mean difference to the arm before (for the last three: to averaged weights) with 95 % interval; points: seeds.", "name": "fig-practice-recipe"}, "image": {"alt": "<<VERDICT: differences of test accuracy, one row a step; which lie right of zero, which intervals hold zero.>>"}}}
figure, axis = plt.subplots(figsize=(7.5, 3.4))
axis.axvline(0, color=PALETTE["black"], linewidth=1)
for row, (arm, difference) in enumerate(step.items()):
    by_draw = final_accuracy[arm] - final_accuracy[before[arm]]
    axis.plot(by_draw, [row] * len(by_draw), "o", color=PALETTE["blue"], alpha=0.5, markersize=4, markeredgewidth=0)
    axis.plot([difference.low, difference.high], [row, row], color=PALETTE["black"], linestyle="-", linewidth=1.5)
    axis.plot(difference.mean, row, "s", color=PALETTE["black"], markersize=5)
axis.set_yticks(range(len(step)), [f"+ {arm}" for arm in step])
axis.set(ylim=(len(step) - 0.5, -0.5), xlabel="test accuracy, minus that of the arm it stands on")
axis.grid(False, axis="y")
plt.show()

# %%
whole = stats.paired(final_accuracy[BASE], final_accuracy[order[0]])
print(f"all four steps together: {whole}")
print("told from the arm before, after Holm:", "; ".join(brings.index[brings["p, Holm"] < 0.05]) or "none")
for arm in (order[0], BASE):
    rows = recipe[recipe["arm"] == arm].pivot(index="epoch", columns="seed", values="test_accuracy")
    print(f"{arm}: mean after each pass", rows.mean(axis=1).round(3).tolist())

# %% [markdown]
# <<VERDICT: which steps bring something, with intervals; which cannot be told from the arm before at three seeds (the
# interval of three seeds is 4.3 standard errors to either side); what all four bring together.>>
#
# <<VERDICT: longer against wider against both; are they told apart (compare with stats.paired between those two arms);
# what each costs: three times the steps, about four times the multiply-adds.>>
#
# <<VERDICT: one sentence on averaged weights: after the early passes the average is ahead (a flat, calm curve) or not;
# at the end, where the rate is near zero, there is little left to average away.>>
#
# Three limits. Each step was tried in one order. With three seeds, only effects that are large against the scatter of
# the seeds can be seen; 'no difference seen' does not mean none. And eight passes are few: smoothing and augmentation
# hold a network back from fitting its training images, and what that is worth depends on how near it has come to
# fitting them.

