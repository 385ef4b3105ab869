# %% [markdown]
# ## One switch at a time
#
# Between this network and the one that textbooks call LeNet lie ten differences. The paper changed several at a time from
# one network to the next, and so did its successors. In our code each is a switch. So we can take LeNet-5, change one,
# train ten networks, and see what this one is worth:
#
# | switch | in LeNet-5 | changed to |
# |---|---|---|
# | sigmoid for scaled tanh | $1.7159 \tanh(\frac23 a)$ | $1 / (1 + e^{-a})$ |
# | average pooling | sum, coefficient and bias trained, squash | mean, nothing else |
# | C3 reads all maps | table of 60 links | all 96 |
# | dense output for RBF | distance to ten drawings | ten trained weighted sums |
# | cross-entropy for equation 9 | eleven classes, with rubbish | ten classes |
# | equation 8 for equation 9 | classes compete | each penalty for itself |
# | input from 0 to 1 | from -0.1 to 1.175 | as it is stored |
# | padding with 0 | the rim has the value of the background, -0.1 | the rim is 0 |
# | Xavier for 2.4 / fan-in | uniform in $\pm 2.4 / \text{fan-in}$ | Xavier |
# | penalties not scaled | $s = 0.05$, rate up to 0.1 | $s = 1$, rate up to 0.003 |
#
# Six passes each instead of twelve, for it is 120 runs, all with `one_cycle`. The rate is that of LeNet-5, except where the
# size of the loss changes with the switch: for the dense output (0.05) and for the penalties that are not scaled. All
# choices of rates were made on the last 10,000 training images. In the last row all switches of the textbook are thrown
# at once: [`lenet`](07_lenet_in_pytorch.ipynb) as it is, at 0.05.
#
# **Predict:** which switch costs most? Which of them bring something?

# %%
switched = load_results("lenet5_diff")
final = stats.final(switched)
table = 100 * (1 - stats.by_seed(switched))
rows = {arm: {"error in %": stats.interval(table[arm]).mean} for arm in table}
stats.summarize(switched)[["seeds", "failed", "test"]]

# %%
per_cent = switched.assign(test_accuracy=100 * switched["test_accuracy"])
studies.differences(per_cent, "LeNet-5", xlabel="test accuracy in per cent, minus that of LeNet-5")
plotting.plt.show()

# %% [markdown]
# <<VERDICT>>
