"""Recipes with training of their own: augmentation, halves of the data, guidance; twins, parts, records."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memhorizon import figures
from memhorizon.diffusion import ideal_model
from memhorizon.distributions import GaussianMixture
from memhorizon.experiments import recipes
from memhorizon.figures import beyond
from memhorizon.measure.memorization import gap_ratios
from memhorizon.nets import MLPConfig
from memhorizon.results import InputError, Time
from memhorizon.samplers import samples
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

augmentation, halves, guidance = (
    recipes.load(name) for name in ("augmentation_digits", "halves_digits", "guidance_mixture")
)
model = __import__("recipes.guidance_model", fromlist=["guided"])
kept = __import__("recipes.parts", fromlist=["parts"])

RECORDS = Path(__file__).parents[2] / "results"
RECIPES = (augmentation, halves, guidance)


def read(recipe):
    return json.loads((RECORDS / f"{recipe.NAME}.json").read_text())


def rows_of(record, part):
    return [row for row in record["rows"] if row["part"] == part]


def observed(value):
    return {"value": value, "low": value, "high": value, "status": "observed"}


# --- what all three share


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_tiny_twin_has_the_form_of_the_record_and_is_drawn(recipe, tmp_path):
    path = recipe.run(tmp_path, tiny=True)
    assert path == tmp_path / f"{recipe.NAME}-tiny.json"
    made = json.loads(path.read_text())
    assert made["tiny"]
    assert {"columns", "command", "machine", "settings", "summary", "versions"} <= set(made)
    for row in made["rows"]:
        assert set(row) <= set(recipe.COLUMNS)
    drawn(made, tmp_path)
    before = [row for row in made["rows"] if row["part"] == "run"]
    again = json.loads(recipe.run(tmp_path, tiny=True).read_text())  # from the parts that are there
    assert [row for row in again["rows"] if row["part"] == "run"] == before


def drawn(record, folder):
    (picture,) = figures.of(record).values()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.save(picture.plot(), folder / "picture.png")
    pixels = np.asarray(Image.open(folder / "picture.png").convert("L"))
    assert np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).min() > 250
    assert (folder / "picture.png").stat().st_size < 100_000


@pytest.mark.parametrize("draw", [beyond.augmentation, beyond.halves, beyond.guidance])
@pytest.mark.parametrize("bad", [[], {}, {"name": "steps", "rows": []}])
def test_another_record_is_refused(draw, bad):
    with pytest.raises(InputError, match="expected the theory record"):
        draw(bad)


def test_a_part_is_made_once_and_anew_under_other_settings(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"found": [1.5, math.inf]}

    def once(settings):
        return list(kept.parts(tmp_path / "parts", {"one": (settings, make)}))

    first = once({"steps": 3, "scales": (0.0, 1.0)})
    assert first == [{"settings": {"steps": 3, "scales": [0.0, 1.0]}, "found": [1.5, None]}]
    assert once({"steps": 3, "scales": (0.0, 1.0)}) == first
    assert len(calls) == 1
    once({"steps": 4, "scales": (0.0, 1.0)})
    assert len(calls) == 2


# --- augmentation


def test_versions_are_the_image_moved_by_a_pixel_and_mirrored():
    images = torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    found = augmentation.versions(images, "both", background=-7.0)
    assert found.shape == (3, 10, 1, 4, 5)
    for version, (down, right) in enumerate(augmentation.SHIFTS):
        moved = torch.full((3, 1, 4, 5), -7.0)
        for y in range(4):
            for x in range(5):
                if 0 <= y - down < 4 and 0 <= x - right < 5:
                    moved[..., y, x] = images[..., y - down, x - right]
        assert torch.equal(found[:, version], moved)
        assert torch.equal(found[:, version + 5], moved.flip(-1))
    assert torch.equal(augmentation.versions(images, "none", 0.0)[:, 0], images)
    assert augmentation.versions(images, "flips", 0.0).shape[1] == 2
    assert torch.equal(augmentation.versions(images, "shifts", -7.0), found[:, :5])


def test_a_copy_of_a_version_is_a_copy_of_its_image_and_twins_do_not_hide_it():
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    each = augmentation.versions(images, "both", 0.0)
    twins = torch.cat([each, each + 1e-3], 1)  # a second version that is hardly another
    group = torch.arange(6).repeat_interleave(20)
    sample = each[2, 7][None] + 0.02 * torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert float(gap_ratios(sample, twins.flatten(0, 1), group=group).max()) < 1 / 3
    assert float(gap_ratios(sample, twins.flatten(0, 1)).min()) > 1 / 3


def planted_times(generator, scatter):
    """tau = 30 n^1.2 with lognormal scatter: four n without augmentation, four runs of 5 versions."""
    reference = [
        {"kind": "none", "n_train": n, "tau_mem": observed(30 * n**1.2 * math.exp(scatter * z))}
        for n in (16, 32, 64, 128)
        for z in generator.normal(size=3)
    ]
    own = [30 * 50**1.2 * math.exp(scatter * z) for z in generator.normal(size=4)]
    return reference, own


def test_the_number_of_images_is_that_of_the_law():
    reference, own = planted_times(np.random.default_rng(0), 0.0)
    found = augmentation.effective(observed(own[0]), augmentation.law_of(reference))
    assert found["value"] == pytest.approx(50, rel=1e-3)


def test_its_interval_covers_the_truth_as_often_as_it_says():
    generator, draws, inside = np.random.default_rng(1), 150, 0
    for _ in range(draws):
        reference, own = planted_times(generator, 0.2)
        tau = augmentation.geometric_mean([(math.log(value), 0) for value in own])
        found = augmentation.effective(tau, augmentation.law_of(reference))
        inside += found["low"] < 50 < found["high"]
    assert inside / draws > 0.95 - 4 * math.sqrt(0.95 * 0.05 / draws)


def test_a_bound_on_the_time_is_a_bound_on_the_number():
    reference, own = planted_times(np.random.default_rng(0), 0.1)
    tau = augmentation.geometric_mean([(math.log(value), 1) for value in own])
    found = augmentation.effective(tau, augmentation.law_of(reference))
    assert (found["status"], found["low"]) == ("at least", None)


def test_kinds_of_a_seed_share_images_and_length_differs():
    one, other = (augmentation.config(kind, 1, "here") for kind in ("none", "both"))
    assert (one.data, one.seed, one.model) == (other.data, other.seed, other.model)
    assert other.train.steps > one.train.steps


# --- halves


def test_halves_are_disjoint_and_in_one_unit():
    configs = [halves.config(32, half, 1, "here") for half in (0, 1)]
    one, other = halves.both_halves(configs)
    assert not set(one.train_index.tolist()) & set(other.train_index.tolist())
    assert torch.equal(one.holdout_index, other.holdout_index)
    # The same held-out images with the mean of either half differ by rounding only, once in one unit.
    assert torch.allclose(one.holdout, other.holdout, atol=1e-5)
    assert float((halves.load_split(configs[1].data).holdout - one.holdout).abs().max()) > 1e-3


def test_networks_that_have_learned_nothing_prefer_no_half():
    """Samples of two untrained networks are the same: one nearer to a half is not nearer to the other."""
    configs = [halves.config(8, half, 0, "tiny") for half in (0, 1)]
    still = [halves.replace(own, optimizer=OptimizerConfig("sgd", lr=1e-12, momentum=0.0)) for own in configs]
    part = halves.train_pair(still)
    assert (2 * part["own"] == part["total"]).all()


def planted_part():
    """Own share rises through 0.55 at 300 steps, copies through 0.1 at 2,000, the loss turns at 500."""
    step = np.unique(np.geomspace(20, 8000, 30).round())
    total = np.full(len(step), 100_000)
    own = 0.5 + 0.1 / (1 + (300 / step) ** 2)
    copies = 0.2 / (1 + (2000 / step) ** 3)
    holdout = 0.3 + 0.05 * np.log(step / 500) ** 2
    return {
        "step": step.tolist(),
        "own": (own * total).round().astype(int).tolist(),
        "copies": (copies * total).round().astype(int).tolist(),
        "total": total.tolist(),
        "null": [0, 100_000],
        "holdout": holdout.tolist(),
        "error": [1e-6] * len(step),
        "seconds": 1.0,
    }


def test_planted_times_of_a_pair_are_recovered():
    row = halves.run_row(32, 0, planted_part(), level=0.3 + 0.05 * math.log(5) ** 2)
    # Snapshots lie 20 % apart and a logistic is nearly straight between them.
    for clock, step in (("tau_gen", 100), ("tau_bias", 300), ("argmin", 500), ("tau_mem", 2000)):
        assert row[clock]["value"] == pytest.approx(step, rel=0.02)
    assert row["own_at_argmin"] == pytest.approx(0.5 + 0.1 / (1 + (300 / 500) ** 2), abs=2e-3)
    group = halves.group_row([row, row, row], 32)
    assert group["lead"]["value"] == pytest.approx(300 / 500, rel=0.02)
    assert group["window"]["value"] == pytest.approx(20, rel=0.03)
    assert group["safe_window"]["value"] == pytest.approx(3, rel=0.03)


# --- guidance


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
        config = TrainConfig(steps=20, batch_size=None)
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
    wanted = samples(
        lambda x, index: net(x, index, torch.ones(len(x), dtype=torch.int64)),
        (8,),
        schedule=own.schedule.build(),
        seeds=range(start, start + own.measure.n_samples),
        method=own.measure.sampler,
        steps=own.measure.sampler_steps,
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


# --- the committed records


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_committed_record_is_drawn(recipe, tmp_path):
    record = read(recipe)
    assert not record["tiny"]
    drawn(record, tmp_path)


def agree(row, name, time: Time):
    assert row[name]["status"] in (time.status, "undetermined")
    assert row[name]["value"] == pytest.approx(time.value, rel=1e-4)


def test_the_record_of_augmentation_follows_from_its_curves():
    record = read(augmentation)
    runs = rows_of(record, "run")
    assert {(row["kind"], row["seed"]) for row in runs} == {
        (kind, seed) for kind in augmentation.STEPS for seed in augmentation.SEEDS
    }
    for row in runs:
        fractions = [
            augmentation.Fraction.of(round(value * total), total)
            for value, total in zip(row["memorized"], row["total"], strict=True)
        ]
        curve = augmentation.Curve.of_fractions(row["step"], fractions)
        null = augmentation.Fraction.of(*row["null"])
        agree(row, "tau_mem", augmentation.memorization_time(curve, level=0.1, null=null))
    sweep = json.loads((RECORDS / "n_digits.json").read_text())
    for row, made in zip(rows_of(record, "reference"), augmentation.reference_rows(sweep), strict=True):
        assert (row["n_train"], row["seed"]) == (made["n_train"], made["seed"])
        assert row["tau_mem"]["value"] == pytest.approx(made["tau_mem"]["value"], rel=1e-6)


def test_the_record_of_halves_follows_from_its_curves():
    record = read(halves)
    runs = rows_of(record, "run")
    assert {(row["n_train"], row["pair"]) for row in runs} == {
        (n, p) for n in halves.STEPS for p in halves.PAIRS
    }
    parts = [
        {
            **row,
            "own": np.round(np.array(row["own"]) * row["total"]).astype(int).tolist(),
            "copies": np.round(np.array(row["copies"]) * row["total"]).astype(int).tolist(),
            "error": row["holdout_error"],
        }
        for row in runs
    ]
    level = halves.quality_level([halves.curves_of(part)[2] for part in parts], tolerance=0.05)
    for row, part in zip(runs, parts, strict=True):
        made = halves.run_row(row["n_train"], row["pair"], part, level)
        for clock in halves.CLOCKS:
            assert made[clock]["status"] == row[clock]["status"]
            assert made[clock]["value"] == pytest.approx(row[clock]["value"], rel=1e-3)
    for group in rows_of(record, "group"):
        own = [row for row in runs if group["n_train"] in (None, row["n_train"])]
        made = halves.group_row(own, group["n_train"])
        for name in (*halves.CLOCKS, "lead", "window", "safe_window"):
            assert made[name]["status"] == group[name]["status"]
            if group[name]["status"] != "undetermined":
                assert made[name]["value"] == pytest.approx(group[name]["value"], rel=1e-3)
        assert made["own_at_argmin"]["value"] == pytest.approx(group["own_at_argmin"]["value"], rel=1e-3)


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


def shown(entry, digits=2):
    """A number with its interval as the page writes it."""
    return f"{entry['value']:.{digits}f} [{entry['low']:.{digits}f}, {entry['high']:.{digits}f}]"


def lines_of(recipe):
    """What the page of evidence says with a link to this record."""
    page = (RECORDS.parent / "docs" / "evidence.md").read_text()
    return "\n".join(line for line in page.splitlines() if f"results/{recipe.NAME}.json" in line)


def test_the_page_says_of_augmentation_what_the_record_says():
    summary, page = read(augmentation)["summary"], lines_of(augmentation)
    assert shown(summary["exponent of n"]) in page
    for kind in ("flips", "shifts"):
        assert shown(summary[kind]["later"]) in page
        assert shown(summary[kind]["effective"], 0) in page
    assert shown(summary["both"]["later"], 1) in page
    assert shown(summary["both"]["effective"], 0) in page
    assert shown(summary["none"]["effective"], 1) in page
    for kind in augmentation.STEPS:
        assert shown(summary[kind]["best"], 3) in page


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


def test_the_page_says_of_halves_what_the_record_says():
    summary, page = read(halves)["summary"], lines_of(halves)
    for n_train in halves.STEPS:
        found = summary[f"n = {n_train}"]
        assert shown(found["own_at_argmin"]) in page
        for name in ("tau_bias", "argmin"):
            assert shown(found[name], 0) in page
        for name in ("window", "safe_window"):
            assert shown(found[name], 1) in page
    assert shown(summary["n = all"]["lead"]) in page
    for clock in halves.CLOCKS:
        assert shown(summary["n = all"]["exponent"][clock]) in page
