"""Helper package of the course *Convolutional Networks, Measured*.

A page's data flows one way: `data` (files to tensors) -> `train` (model and batches to a history) -> `plotting`
(figures). `models`, `layers` and `device` stand beside that line.
"""

__version__ = "0.1.0"
