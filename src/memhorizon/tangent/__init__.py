"""The tangent kernel of a network: its training from some step on, linear in its weights."""

from memhorizon.tangent.flow import TangentFlow, tangent_flow
from memhorizon.tangent.krylov import Krylov, krylov
from memhorizon.tangent.network import TangentNetwork, tangent_state
from memhorizon.tangent.rates import learning_rates

__all__ = [
    "Krylov",
    "TangentFlow",
    "TangentNetwork",
    "krylov",
    "learning_rates",
    "tangent_flow",
    "tangent_state",
]
