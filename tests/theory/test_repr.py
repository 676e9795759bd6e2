"""Answers of the theory show themselves in one short line."""

import memhorizon as mh


def test_answers_are_one_short_line():
    model = mh.theory.FeatureModel(psi_n=8, psi_p=64, t=0.01)
    support = mh.theory.bulk_edges(model)
    assert repr(support).startswith("Support(atom at 0.001874, sub_bulk 0.003683 to 0.01019, rho_1 ")
    curves = mh.theory.loss_curves(model, [1.0, 20.0])
    assert repr(curves) == "LossCurves(2 times, tau 1 to 20; solved)"
    density = mh.theory.spectral_density(model, [0.1, 0.2])
    assert repr(density) == "SpectralDensity(2 eigenvalues from 0.1 to 0.2; solved)"
    times = mh.theory.timescales(model)
    assert repr(times).startswith("ModelTimescales(tau_gen 56.01, tau_mem 5,175 tau; also argmin, ")
    for answer in (support, curves, density, times):
        assert len(repr(answer)) < 200
        assert "\n" not in repr(answer)
