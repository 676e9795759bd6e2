"""Views by their definition: the sample is put into the training set, and all is asked again."""

from dataclasses import replace

import numpy as np
import torch

from memhorizon.auditing.descriptor import Descriptor


def quiet(done, total):
    """Tell nobody."""


def drawn_descriptor(shape, seed=0):
    """A descriptor that has learned nothing."""
    net = Descriptor(shape)
    generator = torch.Generator().manual_seed(seed)
    weights = {k: torch.randn(v.shape, generator=generator) for k, v in net.state_dict().items()}
    net.load_state_dict({k: v / max(1.0, v[0].numel() ** 0.5) for k, v in weights.items()})
    return net.eval().requires_grad_(False)


def with_one_more(view, item, **embedded):
    """The view with one more training item, in a group that is new."""
    one = int(view.group.max()) + 1
    more = {name: torch.cat([getattr(view, name), row[None]]) for name, row in embedded.items()}
    return replace(view, group=torch.cat([view.group, torch.tensor([one])]), **more)


def joined_statistics(views, items, left_out):
    """Of all items, with each of the samples in the training set: one row for each sample."""
    return np.stack([view.find(items, left_out, quiet).statistic for view in views])


def changed_statistics(view, items, left_out, joining):
    """The same, as the view itself tells what changes."""
    found = view.find(items, left_out, quiet)
    changes = view.changes(items, left_out, found, joining, quiet)
    table = np.repeat(found.statistic[None], len(joining), 0)
    table[changes.row, changes.item] = changes.value
    return table
