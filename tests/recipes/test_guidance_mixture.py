"""Conditional networks and guidance: exact laws, withheld labels, counts, the committed record."""

import math

import pytest
import torch

from evidence_records import agree, drawn, lines_of, read, shown
from memhorizon.diffusion import ideal_model
from memhorizon.distributions import GaussianMixture
from memhorizon.errors import InputError
from memhorizon.measure.snapshot import SAMPLE_SEED
from memhorizon.networks.mlp import MLPConfig
from memhorizon.recipes.copies import copies_of, tau_mem_of
from memhorizon.recipes.guidance_mixture import model, numbers
from memhorizon.recipes.guidance_mixture.model import ClassCurve, Seen, Training
from memhorizon.recipes.parts import Done
from memhorizon.recipes.settings import MIXTURE_RULES
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.samplers import sample
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train


def conditional(width=16):
    inner = MLPConfig(width=width).build((8,), seed=0)
    with model.seeded(0):
        return model.ConditionalMLP(inner, width), inner


def inputs(count=9):
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(1, 1000, (count,), generator=generator)
    return torch.randn(count, 8, generator=generator), index


def test_without_a_vector_for_the_class_it_is_the_unconditional_network():
    net, inner = conditional()
    torch.nn.init.zeros_(net.label.weight)
    x, index = inputs()
    assert torch.equal(net(x, index, torch.arange(9) % 3), inner(x, index))


def test_guidance_goes_past_the_conditional_model_away_from_the_other():
    net, _ = conditional()
    x, index = inputs()
    given, free = (net(x, index, torch.full((9,), label)) for label in (1, 2))
    assert torch.equal(model.guided(net, 1, 0.0)(x, index), given)
    torch.testing.assert_close(model.guided(net, 1, 3.0)(x, index), given + 3 * (given - free))


def test_guidance_of_exact_scores_is_the_score_of_the_sharpened_distribution():
    """The guided score is that of p(x | 1) times (p(x | 1) / p(x))^w, here by finite differences."""
    one, other = model.distributions_of(model.Case(), 8)
    eye = torch.eye(8, dtype=torch.float64)
    mixture = GaussianMixture(
        torch.stack([one.mean, other.mean]), eye.repeat(2, 1, 1), torch.tensor([0.5, 0.5])
    )
    schedule, w = Schedule.linear(), 3.0
    exact = {1: ideal_model(one, schedule), 2: ideal_model(mixture, schedule)}

    def net(x, index, label):
        return exact[int(label[0])](x, index)

    x, index = inputs()
    x, index = x.double(), torch.full_like(index, 300)
    t = float(schedule.t(300))

    def log_density(y):
        return (1 + w) * one.log_prob(y, t) - w * mixture.log_prob(y, t)

    h = 1e-5
    slope = torch.stack([(log_density(x + h * e) - log_density(x - h * e)) / (2 * h) for e in eye], 1)
    noise = -slope * math.sqrt(-math.expm1(-2 * t))
    torch.testing.assert_close(model.guided(net, 1, w)(x, index), noise, rtol=1e-6, atol=1e-6)


def test_one_label_in_ten_is_withheld_and_the_seed_says_which(monkeypatch):
    seen = []
    net, _ = conditional()
    labels = torch.arange(2).repeat_interleave(200)
    monkeypatch.setattr(
        net, "forward", lambda x, index, label: seen.append(label) or x * net.label.weight[0, 0]
    )
    data = torch.randn(400, 8, generator=torch.Generator().manual_seed(1))

    def labels_of(seed):
        seen.clear()
        state = TrainState.new(model.Labelled(net, labels), OptimizerConfig("sgd", lr=1e-9))
        config = TrainConfig(n_updates=20, batch_size=None)
        list(train(state, data, schedule=Schedule.linear(), config=config, seed=seed))
        return torch.stack(seen)

    first = labels_of(0)
    assert torch.equal(first, labels_of(0))
    assert not torch.equal(first, labels_of(1))
    withheld = first == model.CLASSES
    assert torch.equal(first[~withheld], labels.expand(20, -1)[~withheld])
    assert abs(withheld.double().mean() - model.DROP) < 4 * math.sqrt(model.DROP * (1 - model.DROP) / 8000)


def test_labels_need_the_full_batch():
    net, _ = conditional()
    with pytest.raises(InputError, match="full batch of 5"):
        model.Labelled(net, torch.zeros(5, dtype=torch.int64))(*inputs(4))


def test_classes_have_the_counts_and_distributions_of_their_case():
    own = numbers.config(64, 0, "here")
    for case, counts in (("balanced", (32, 32)), ("rare", (48, 16)), ("narrow", (32, 32))):
        classes = model.Classes.of(numbers.CASES[case], own)
        assert tuple(torch.bincount(classes.labels).tolist()) == counts
        for label, (fresh, sign) in enumerate(zip(classes.fresh, (1, -1), strict=True)):
            variance = numbers.CASES[case].variances[label]
            items = torch.cat([fresh, classes.items[classes.labels == label]])
            error = math.sqrt(variance / len(items))
            assert float((items.mean(0) - sign).abs().max()) < 5 * error
            # chi-squared with 8 (m - 1) degrees of freedom
            spread = float(items.var(0).mean()) / variance
            assert abs(spread - 1) < 5 * math.sqrt(2 / (8 * (len(items) - 1)))


def test_samples_of_a_class_do_not_depend_on_the_other_and_have_seeds_of_their_own():
    net, _ = conditional()
    own = numbers.config(64, 0, "tiny")
    found = model.class_samples(net, 1, 0.0, own, torch.device("cpu"))
    start = SAMPLE_SEED + own.measure.n_samples
    wanted = sample(
        lambda x, index: net(x, index, torch.ones(len(x), dtype=torch.int64)),
        (8,),
        schedule=own.schedule.build(),
        seeds=range(start, start + own.measure.n_samples),
        sampler=own.measure.sampler,
        device="cpu",
    )
    assert torch.equal(found, wanted)


def test_both_classes_are_counted_together():
    counts = ([0, 5, 50], [0, 15, 40])
    curves = tuple(
        ClassCurve(label, 0.0, 8, (label, 50), tuple(Seen(count, 50, 1.0, 0.1) for count in own))
        for label, own in enumerate(counts)
    )
    done = Done(Training((100, 1000, 10_000), curves), 2.0, {})
    rows = list(numbers.run_rows(("balanced", 16, 0), done))
    assert [row.label for row in rows] == [0, 1, "both"]
    assert rows[2].count == (0, 20, 90)
    assert rows[2].null == (1, 100)
    assert rows[2].memorized.tolist() == [0.0, 0.2, 0.9]
    assert rows[0].kl == (1.0, 1.0, 1.0)
    assert rows[2].kl is None


@pytest.fixture(scope="module")
def kept():
    return rows_of(read("guidance_mixture"), "guidance_mixture", numbers.KINDS)


def test_the_record_of_guidance_follows_from_its_curves(kept, tmp_path):
    runs = of_kind(kept, numbers.RunRow)
    assert {row.n_train for row in runs} == set(numbers.STEPS)
    assert {row.seed for row in runs} == set(numbers.SEEDS)
    for row in runs:
        copied = copies_of(row.step, row.count, row.total)
        agree(tau_mem_of(copied, row.null, MIXTURE_RULES.memorized), row.tau_mem)
    for made, old in zip(numbers.with_tau_gen(runs), runs, strict=True):
        assert (made.tau_gen is None) == (old.tau_gen is None)
        if made.tau_gen is not None:
            agree(made.tau_gen, old.tau_gen)
    for made, old in zip(numbers.group_rows(runs), of_kind(kept, numbers.GroupRow), strict=True):
        agree(made.tau_mem, old.tau_mem)
        agree(made.unguided, old.unguided)
    for made, old in zip(numbers.law_rows(runs), of_kind(kept, numbers.LawRow), strict=True):
        agree(made.exponent, old.exponent, rel=1e-3)
        assert made.collapse.value == pytest.approx(old.collapse.value, rel=1e-3)
    drawn(read("guidance_mixture"), tmp_path)


def test_the_page_says_of_guidance_what_the_record_says(kept):
    page = lines_of("guidance_mixture")
    for law in of_kind(kept, numbers.LawRow):
        assert shown(law.exponent) in page
        assert shown(law.collapse, 3) in page
    groups = of_kind(kept, numbers.GroupRow)
    for row in groups:
        if (row.case, row.n_train, row.label) == ("balanced", 128, "both") and row.scale:
            assert shown(row.unguided) in page
    classes = [row for row in groups if (row.n_train, row.label, row.scale) == (64, 1, 0.0)]
    assert [row.case for row in classes] == ["balanced", "rare", "narrow"]
    for row in classes:
        found = row.class_ratio
        said = shown(found) if found.status == "observed" else f"{found.status} {found.value:.2f}"
        assert said in page
        assert shown(row.class_ratio_gen) in page
