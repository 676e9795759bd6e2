"""The audit of this package, with its default views and with each of them alone."""

from functools import partial

import torch

from memhorizon.auditing.config import AuditConfig
from memhorizon.auditing.run import audited
from memhorizon.experiments.cache import Cache
from memhorizon.files.images import load_images
from memhorizon.recipes.planted_copies.suite import Case
from memhorizon.recipes.planted_copies.tools import HERE, Tool, Verdict

NAME = "audit"
VIEWS = ("pixels", "coarse", "aligned")
SOURCES = {"samples": "array", "train": "array"}


def audit(case: Case, views: tuple[str, ...] | None = None) -> Verdict:
    """The samples that are reported at a false-discovery rate of 5 %, held-out images unknown."""
    found = audited(
        load_images(case.samples),
        load_images(case.real.train),
        None,
        AuditConfig(views=views),
        sources=SOURCES,
        cache=None if case.folder is None else Cache(case.folder),
    )
    return Verdict.of_flags(torch.tensor([sample.is_copy for sample in found.record.samples]))


def _of_view(view: str) -> Tool:
    call = f"memhorizon.audit, this view alone, fdr 0.05: {view}"
    return Tool(f"{NAME}, {view}", HERE, call, partial(audit, views=(view,)), 1, "audit")


TOOLS = (
    Tool(NAME, HERE, "memhorizon.audit, default views, fdr 0.05", audit, 1, "audit"),
    *(_of_view(view) for view in VIEWS),
)
