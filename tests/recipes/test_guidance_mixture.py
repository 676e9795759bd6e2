"""Conditional networks and guidance: exact laws, withheld labels, counts, the committed record."""

import math

import pytest
import torch

from evidence_records import agree, lines_of, read, rows_of, shown
from memhorizon.diffusion import ideal_model
from memhorizon.distributions import GaussianMixture
from memhorizon.errors import InputError
from memhorizon.experiments import recipes
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import sample
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

guidance = recipes.load("guidance_mixture")
model = __import__("memhorizon.recipes.guidance_model", fromlist=["guided"])


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


def test_guidance_of_exact_laws_is_the_score_of_the_sharpened_law():
    """The guided score is that of p(x | 1) times (p(x | 1) / p(x))^w, here by finite differences."""
    one, other = model.laws_of(model.Case(), 8)
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


def test_classes_have_the_counts_and_laws_of_their_case():
    own = guidance.config(64, 0, "here")
    for case, counts in (("balanced", (32, 32)), ("rare", (48, 16)), ("narrow", (32, 32))):
        classes = model.Classes.of(guidance.CASES[case], own)
        assert tuple(torch.bincount(classes.labels).tolist()) == counts
        for label, (fresh, sign) in enumerate(zip(classes.fresh, (1, -1), strict=True)):
            variance = guidance.CASES[case].variances[label]
            items = torch.cat([fresh, classes.items[classes.labels == label]])
            error = math.sqrt(variance / len(items))
            assert float((items.mean(0) - sign).abs().max()) < 5 * error
            # chi-squared with 8 (m - 1) degrees of freedom
            spread = float(items.var(0).mean()) / variance
            assert abs(spread - 1) < 5 * math.sqrt(2 / (8 * (len(items) - 1)))


def test_samples_of_a_class_do_not_depend_on_the_other_and_have_seeds_of_their_own():
    net, _ = conditional()
    own = guidance.replace(guidance.config(64, 0, "tiny"), measure=guidance.tiny_of(guidance.MIXTURE).measure)
    found = model.class_samples(net, 1, 0.0, own)
    start = model.SAMPLE_SEED + own.measure.n_samples
    wanted = sample(
        lambda x, index: net(x, index, torch.ones(len(x), dtype=torch.int64)),
        (8,),
        schedule=own.schedule.build(),
        seeds=range(start, start + own.measure.n_samples),
        method=own.measure.sampler,
        steps=own.measure.sampler.n_solver_steps,
        device="cpu",
    )
    assert torch.equal(found, wanted)


def test_both_classes_are_counted_together():
    part = {"step": [100, 1000, 10_000], "seconds": 2.0}
    part["curves"] = [
        {"class": label, "scale": 0.0, "items": 8, "null": [label, 50], "count": count, "total": [50] * 3}
        for label, count in enumerate(([0, 5, 50], [0, 15, 40]))
    ]
    rows = list(guidance.curve_rows("balanced", 16, 0, part))
    assert [row["class"] for row in rows] == [0, 1, "both"]
    assert rows[2]["count"] == [0, 20, 90]
    assert rows[2]["null"] == [1, 100]
    assert rows[2]["memorized"].tolist() == [0.0, 0.2, 0.9]


def test_the_record_of_guidance_follows_from_its_curves():
    record = read(guidance)
    runs = rows_of(record, "run")
    assert {row["n_train"] for row in runs} == set(guidance.STEPS)
    assert {row["seed"] for row in runs} == set(guidance.SEEDS)
    for row in runs:
        time = guidance.memorization_time(
            guidance.copies_of(row), level=0.2, null=guidance.Fraction.of(*row["null"])
        )
        agree(row, "tau_mem", time)
    for made, group in zip(guidance.group_rows(runs), rows_of(record, "group"), strict=True):
        for name in ("tau_mem", "unguided"):
            assert made[name]["status"] == group[name]["status"]
            if group[name]["status"] != "undetermined":
                assert made[name]["value"] == pytest.approx(group[name]["value"], rel=1e-4)
    for made, law in zip(guidance.law_rows(runs), rows_of(record, "law"), strict=True):
        assert made["exponent"]["value"] == pytest.approx(law["exponent"]["value"], rel=1e-3)


def test_the_page_says_of_guidance_what_the_record_says():
    record, page = read(guidance), lines_of(guidance)
    for law in record["summary"]["laws"]:
        assert shown(law["exponent"]) in page
        assert shown(law["collapse"], 3) in page
    for ratio in record["summary"]["unguided"]:
        if (ratio["case"], ratio["n_train"]) == ("balanced", 128):
            assert shown(ratio["unguided"]) in page
    for case in ("balanced 64", "rare 64", "narrow 64"):
        found = record["summary"]["classes"][case]
        if found["class_ratio"]["status"] == "observed":
            assert shown(found["class_ratio"]) in page
        else:
            assert f"{found['class_ratio']['status']} {found['class_ratio']['value']:.2f}" in page
        assert shown(found["class_ratio_gen"]) in page
