"""What the page of a sweep says of the window at its largest n."""

from dataclasses import replace

from evidence_records import not_reached, observed, read
from memhorizon.report.sweep.sentence import sentence
from memhorizon.report.sweep_page import page
from memhorizon.results import Status, Time
from memhorizon.timescales.rules import Rules


def by_the_best(record):
    """As if its times had been read relative to the best run."""
    return replace(record, rules=Rules.of_samples("frechet"))


def with_times(record, n_train, tau_gen, tau_mem):
    """The record with other times of the runs of one n, read relative to the best run."""

    def changed(run):
        if run.n_train != n_train:
            return run
        return replace(run, timescales=replace(run.timescales, tau_gen=tau_gen, tau_mem=tau_mem))

    return replace(by_the_best(record), runs=tuple(changed(run) for run in record.runs))


def test_a_window_that_had_not_ended_is_a_bound():
    record = with_times(read("window_digits"), 1024, observed(1000), not_reached(7000))
    text = sentence(record)
    assert "With 1,024 training images samples were good from step 1,000 on" in text
    assert (
        "copying had not begun by step 7,000: a window of a factor of 7.00 or more, on average (3 of 3 seeds)"
        in text
    )


def test_a_window_that_ended_is_a_factor():
    record = with_times(read("window_digits"), 1024, observed(1000), observed(2500))
    words = "copying began at step 2,500: a window of a factor of 2.50 [2.50, 2.50] (3 of 3 seeds)"
    assert words in sentence(record)


def test_the_window_of_one_run_has_the_interval_of_its_two_times():
    """[900, 1200] to [2000, 3000]: from 2000 / 1200 to 3000 / 900."""
    begin = Time(1000, 900, 1200, Status.OBSERVED)
    cases = {
        Time(2500, 2000, 3000, Status.OBSERVED): "a window of a factor of 2.50 [1.67, 3.33].",
        not_reached(6000): "a window of at least a factor of 5.00.",
        not_reached(1100): "a window of a factor that these looks do not bound.",
    }
    for end, words in cases.items():
        made = with_times(read("window_digits"), 1024, begin, end)
        alone = next(run for run in made.runs if run.n_train == 1024)
        assert words in sentence(replace(made, runs=(alone,)))


def of_seeds(*times):
    """What is said of runs of one size with these times."""
    record = by_the_best(read("window_digits"))
    base = [run for run in record.runs if run.n_train == 1024]
    runs = [
        replace(run, timescales=replace(run.timescales, tau_gen=gen, tau_mem=mem))
        for run, (gen, mem) in zip(base, times, strict=False)
    ]
    return sentence(replace(record, runs=tuple(runs)))


def test_where_some_seeds_copied_and_others_were_cut_off_both_are_said():
    good = observed(100)
    text = of_seeds((good, observed(1000)), (good, observed(1000)), (good, not_reached(4000)))
    assert "copying began at step 1,000 in 2 of 3 seeds and not by step 4,000 in the others" in text
    assert "a window of a factor of 15.9 or more, on average (3 of 3 seeds)" in text  # (10 10 40)^(1/3)
    text = of_seeds((good, not_reached(7000)), (good, not_reached(4000)))
    assert "copying had not begun by step 4,000: " in text


def test_two_factors_are_told_as_they_are():
    text = of_seeds((observed(100), observed(1000)), (observed(100), observed(5000)))
    assert "a window of factors of 10.0 and 50.0 (2 of 2 seeds)" in text


def test_copies_before_the_first_look_leave_no_window():
    early = Time(100, 0.0, 100, Status.BEFORE_FIRST)
    text = of_seeds((observed(50), early))
    assert "samples were not seen to be good before copying began" in text
    assert "had not begun" not in text


def test_a_level_that_is_met_at_the_first_look_gives_no_window():
    """Untrained samples may have met it: neither good samples nor a factor are claimed."""
    met = Time(20, 0.0, 20, Status.BEFORE_FIRST)
    text = of_seeds((met, not_reached(270)))
    assert "the level of quality was met already at the first look (step 20): this rule cannot tell" in text
    assert "choose another rule or look earlier." in text
    assert "samples were good" not in text
    assert "a window of" not in text


def test_seeds_that_meet_the_level_at_the_first_look_are_counted_apart():
    met = Time(20, 0.0, 20, Status.BEFORE_FIRST)
    text = of_seeds((met, observed(1000)), (observed(100), observed(1000)), (observed(100), observed(5000)))
    assert "samples were good from step 100 on" in text
    assert "a window of factors of 10.0 and 50.0 (2 of 3 seeds)." in text
    assert "at the first look (step 20) in 1 of 3 seeds" in text


def test_without_good_samples_before_copies_there_is_none():
    wanted = "With 1,024 training images samples were not seen to be good before copying began."
    for tau_gen, tau_mem in ((observed(3000), observed(2500)), (not_reached(7000), observed(2500))):
        assert wanted in sentence(with_times(read("window_digits"), 1024, tau_gen, tau_mem))


def test_where_nothing_was_copied_either_it_is_not_said():
    text = sentence(with_times(read("window_digits"), 1024, not_reached(7000), not_reached(7000)))
    assert "With 1,024 training images samples were not seen to be good." in text


def test_relative_to_the_worst_run_samples_are_not_called_good():
    text = sentence(read("window_digits"))
    assert "With 1,024 training images samples were of the quality that every run reaches from step " in text
    assert "samples were good" not in text


def small(record):
    """Its smallest and largest run of one seed, with the curves that are read: few panels, quick to draw."""
    rules = record.rules
    read_off = rules.quality if rules.t is None else f"{rules.quality}@{rules.t:g}"
    own = sorted((run for run in record.runs if run.seed == 0), key=lambda run: run.n_train)
    runs = [
        replace(run, curves={name: run.curves[name] for name in (read_off, "memorized")})
        for run in (own[0], own[-1])
    ]
    return replace(record, runs=tuple(runs))


def test_by_the_loss_nothing_is_said_of_a_window():
    assert "samples were" not in sentence(read("n_digits"))
    assert "From good samples to copies" not in page(small(read("n_digits")))


def test_the_page_shows_the_window():
    record = small(read("window_digits"))
    text = page(record)
    assert "From good samples to copies" in text
    assert "25 % above the worst of the runs" in text.replace("\u00a0", " ")
    assert "100 % above the best of the runs" in page(by_the_best(record)).replace("\u00a0", " ")
