"""Seeds of the noise and of the samples of a snapshot; they live in measure.snapshot."""

from memhorizon.measure.snapshot import LOSS_SEED as LOSS_SEED
from memhorizon.measure.snapshot import SAMPLE_SEED as SAMPLE_SEED
