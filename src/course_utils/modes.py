"""Training and evaluation mode, set for a while and put back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put the model into training or evaluation mode for a block, then each of its modules back as it was.

    Module by module, because a model may be mixed on purpose: batch normalization frozen in evaluation mode, say.
    """
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was_training in before:
            module.training = was_training
