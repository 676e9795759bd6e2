"""Quality as people see it: the Frechet distance of samples in the features of a small trained classifier.

The distance of pixels, or of their main directions, is ruled by brightness and blur. A classifier of the same
data sees strokes and shapes. Ours is trained here, on labelled pictures of the source, once for a source and
a size: on the CPU with one thread from one seed, so that it is the same in every process of a sweep, and kept
in memhorizon/classifiers in the user's cache folder.

Its features are scaled to unit mean variance over the pictures that it was trained on. It sees training and
held-out items of a run alike: both are drawn from the pictures that it knows.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.datasets.config import SYNTHETIC, DataConfig
from memhorizon.datasets.sources import source_of
from memhorizon.datasets.split import Split
from memhorizon.devices import with_threads
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache, cached
from memhorizon.files.digests import digest_of
from memhorizon.files.plain import user_cache
from memhorizon.measure.qualities import Quality
from memhorizon.measure.quality import Distance, frechet_distance
from memhorizon.networks.classifier import Classifier, ClassifierConfig, fit

NAME = "frechet_classifier"  # of the quality
LABELLED = ("digits", "mnist", "fashion-mnist", "cifar10")  # data sets that may come with classes
MOST_PICTURES = 20_000  # that a classifier is trained on
TESTED = 10  # one picture in so many is kept for its accuracy
VERSION = 1  # of the procedure
CONFIG = ClassifierConfig()


@dataclass(frozen=True, eq=False)
class Perception:
    """A trained classifier and the scale of its features.

    Attributes:
        network: on the CPU, in eval mode.
        scale: what its features are divided by.
        accuracy: on pictures that it was not trained on.
        n_train: pictures that it was trained on.
    """

    network: Classifier
    scale: float
    accuracy: float
    n_train: int

    def features(self, pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of pictures with pixels from 0 to 1, on their device."""
        network = self.network.to(pixels.device)
        with torch.no_grad():
            return network.features(pixels.float()) / self.scale

    def distance(
        self, samples: Tensor, holdout: Tensor, *, to_pixels: Callable[[Tensor], Tensor]
    ) -> Distance:
        """Frechet distance of samples from held-out items, in the unit of a network."""
        return frechet_distance(
            self.features(to_pixels(samples)), self.features(to_pixels(holdout)), same_units=True
        )


def qualities_of(split: Split, config: DataConfig) -> Mapping[str, Quality]:
    """The qualities of samples of a run beside those of every run: none where the source has no classes."""
    perception = perception_of(config)
    if perception is None:
        return {}
    return {NAME: partial(perception.distance, to_pixels=split.to_pixels)}


def perception_of(config: DataConfig) -> Perception | None:
    """The classifier of a source; None where it has no classes.

    Raises:
        InputError: if the source is missing or unusable.
    """
    if config.name in SYNTHETIC or config.name not in LABELLED:
        return None
    return _perception(config.name, config.path, config.size, config.grey)


@lru_cache(maxsize=4)
def _perception(name: str, path: str | None, size: int | None, grey: bool) -> Perception | None:
    pictures = _labelled(DataConfig(name=name, path=path, size=size, grey=grey))  # pyright: ignore[reportArgumentType]
    if pictures is None:
        return None
    pixels, labels = pictures
    network = CONFIG.build(tuple(pixels.shape[1:]), int(labels.max()) + 1)
    key = {"classifier": VERSION, "pixels": digest_of(pixels), "labels": digest_of(labels), **asdict(CONFIG)}
    network.load_state_dict(cached(_cache(), key, lambda: _trained(network, pixels, labels)))
    return _measured(network.eval(), pixels, labels)


def _labelled(config: DataConfig) -> tuple[Float[Tensor, "n c h w"], Int[Tensor, " n"]] | None:
    """The first pictures of a source in its order, with their classes; None where it has none."""
    source = source_of(config)
    if source.labels is None:
        return None
    taken = source.take(iter(source.order), MOST_PICTURES)
    return taken.items, source.labels[torch.tensor(taken.positions)].long()


def _trained(network: Classifier, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The weights of a network that has learned these pictures."""
    fitted = ~_tested(len(pixels))
    with with_threads(1):
        fit(network, pixels[fitted], labels[fitted], CONFIG)
    return network.state_dict()


def _measured(network: Classifier, pixels: Tensor, labels: Tensor) -> Perception:
    """Scale and accuracy of a trained classifier."""
    tested = _tested(len(pixels))
    with torch.no_grad(), with_threads(1):
        features = torch.cat([network.features(part) for part in pixels[~tested].split(500)])
        answers = network(pixels[tested]).argmax(1)
    accuracy = float((answers == labels[tested]).float().mean())
    scale = float(features.double().var(0).mean().sqrt())
    return Perception(network, scale, accuracy, int((~tested).sum()))


def _tested(count: int) -> Tensor:
    """Which pictures are kept for the accuracy."""
    return torch.arange(count) % TESTED == TESTED - 1


def _cache() -> Cache | None:
    """The user's cache of classifiers; None where there can be none."""
    folder = user_cache("classifiers")
    try:
        return None if folder is None else Cache(folder)
    except InputError:
        return None
