"""A record in which items have hashes for names: what may be shown to those who must not see the items."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from memhorizon.records.audit import (
    AuditedSample,
    AuditRecord,
    CopiedItem,
    DuplicateGroup,
    ItemSet,
    SharedItem,
    ViewFacts,
)
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import Skipped
from memhorizon.report.audit.pictures import AuditPictures, Which

DIGITS = 12  # of a hash that is shown: two of a million images agree with a probability of 0.2 %
# what looks like a place on a disk: /data/a, ./a, ~/a, C:\a, model.onnx
PLACE = re.compile(r"(?<![\w.])(?:~|\.{1,2}|[A-Za-z]:)?[/\\]\S+|\S*\w\.[A-Za-z]\w{1,7}\b")
HIDDEN = "…"


def private_record(record: AuditRecord, pictures: AuditPictures | None = None) -> AuditRecord:
    """The record with hashes in place of names, and without places, reasons and the command.

    The hash of an item is that of its values as 32-bit floats, in little-endian order, where its pictures
    are given; else that of its name.
    """
    names = _Names(pictures)
    return replace(
        record,
        samples=tuple(map(names.sample, record.samples)),
        most_copied=tuple(map(names.copied, record.most_copied)),
        duplicates=tuple(map(names.group, record.duplicates)),
        shared=tuple(map(names.both, record.shared)),
        sets=tuple(map(_private_set, record.sets)),
        views=tuple(map(_private_view, record.views)),
        duplicate_rule=_hidden(record.duplicate_rule),
        environment=_private_facts(record.environment),
        command="",
    )


@dataclass(frozen=True)
class _Names:
    """Hashes of items."""

    pictures: AuditPictures | None

    def of(self, which: Which, index: int, name: str) -> str:
        """The hash of an item."""
        if self.pictures is None:
            return hash_of(name.encode(errors="surrogatepass"))
        return hash_of(_values(self.pictures.of(which)[index]))

    def sample(self, one: AuditedSample) -> AuditedSample:
        """A sample, and the training item that it is nearest to."""
        name = self.of("samples", one.index, one.name)
        nearest = self.of("train", one.nearest, one.nearest_name)
        return replace(one, name=name, nearest_name=nearest, view=_hidden(one.view), edit=_hidden(one.edit))

    def copied(self, one: CopiedItem) -> CopiedItem:
        """A training item of which there are copies."""
        return replace(one, name=self.of("train", one.index, one.name))

    def group(self, one: DuplicateGroup) -> DuplicateGroup:
        """Training items that are duplicates."""
        pairs = zip(one.items, one.names, strict=True)
        return replace(one, names=tuple(self.of("train", index, name) for index, name in pairs))

    def both(self, one: SharedItem) -> SharedItem:
        """A held-out item and the training item that it equals."""
        name = self.of("holdout", one.index, one.name)
        return replace(one, name=name, train_name=self.of("train", one.train, one.train_name))


def hash_of(content: bytes) -> str:
    """The first digits of the SHA-256 of something.

    >>> hash_of(b"")
    'e3b0c44298fc'
    """
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def _values(item: Shaped[Tensor, "*item"]) -> bytes:
    return np.ascontiguousarray(item.detach().cpu().float().numpy().astype("<f4")).tobytes()


def _private_set(one: ItemSet) -> ItemSet:
    skipped = tuple(Skipped(hash_of(file.name.encode(errors="surrogatepass")), "") for file in one.skipped)
    return replace(one, source="", skipped=skipped)


def _private_view(view: ViewFacts) -> ViewFacts:
    return replace(view, name=_hidden(view.name), compares=_hidden(view.compares), note=_hidden(view.note))


def _hidden(text: str) -> str:
    """A text without what looks like a place on a disk.

    >>> _hidden("features of /home/x/net.pt, 1.5 d1/d2"), _hidden("net.onnx")
    ('features of … 1.5 d1/d2', '…')
    """
    return PLACE.sub(HIDDEN, text)


def _private_facts(facts: Mapping[str, Plain]) -> dict[str, Plain]:
    """Facts of one level, their texts without places."""
    flat = {name: value for name, value in facts.items() if not isinstance(value, Mapping | list)}
    return {name: _hidden(value) if isinstance(value, str) else value for name, value in flat.items()}
