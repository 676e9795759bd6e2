import html as markup
import re
from dataclasses import replace
from itertools import cycle

import pytest
import torch
from safetensors.torch import save_file

from markup import Reader, assert_clean
from memhorizon.cli import main
from memhorizon.errors import InputError
from memhorizon.records.files import write_record
from memhorizon.records.monitor import Phase, Stop, Verdict
from memhorizon.report import report, sentence
from memhorizon.report.monitor.others import choices
from memhorizon.report.monitor_page import SheetPictures, html, write
from monitor_records import BEST, monitored, sheets_of
from report_names import HOSTILE


def text_on(page):
    """The page without markup and pictures, one space for any space."""
    plain = re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", page, flags=re.S))
    return re.sub(r"\s+", " ", markup.unescape(plain))


def with_sheets():
    rows, pictures = sheets_of()
    return monitored(sheets=rows), lambda sheet: SheetPictures(*pictures[sheet.step])


@pytest.fixture(scope="module")
def page():
    return html(*with_sheets())


def test_the_page_stands_alone(page):
    assert_clean(page)
    reader = Reader()
    reader.feed(page)
    assert len(reader.ids) == len(set(reader.ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(reader.ids)
    assert not re.search(r"https?:|@import", page)
    assert "prefers-color-scheme: dark" in page
    assert len(page) < 1_000_000


def test_the_verdict_comes_first_in_words(page):
    text = text_on(page)
    first = text[: text.index("The checkpoint worth shipping")]
    assert "Memorizing after step 4,600" in first
    assert "57 % of 64 samples are copies of training images, where at most 1 % are fine." in first
    assert "Stop. The share of copies exceeds the target" in first


def test_the_checkpoint_has_its_certificate(page):
    text = text_on(page)
    assert "Certificate at most 0.83 % of its samples are copies, 95 % confidence (one-sided)" in text
    assert "Seen 0 of 700 (0.0 % [0.0, 0.5]) were copies" in text
    assert "Weights best/step-1000.safetensors" in text


def test_without_a_certificate_it_says_why():
    record = replace(monitored(best=False), certificates=2)
    text = text_on(html(record))
    assert "No checkpoint has a certificate of at most 1 % copies." in text
    assert "2 of at most 8 large looks were taken; none was below." in text
    none = text_on(html(replace(record, certificates=0)))
    assert "No look was large enough for one" in none


def test_the_best_the_first_with_copies_and_the_last_sheet_are_open(page):
    head = page[: page.index("more looks</summary>")]
    titles = re.findall(r"<h3>(.*?)</h3>", head.replace("\u00a0", " "))
    assert titles == [
        f"Step {BEST:,} (best): 0 of 700 samples are copies",
        "Step 1,500: 1 of 64 samples are copies",
        "Step 4,600: 37 of 64 samples are copies",
    ]
    assert head.count('<li class="copy">') == 2 * 8  # of the sixteen of a sheet half, twelve are shown


def test_what_the_other_rules_would_have_done():
    """By hand: the loss is smallest at 700 or 1,000, n = 300.

    The gap is g/(1 + g), g = 0.4 (step/1000)^1.5: above 0.008 at 100 (0.0125), not at 50 (0.0045).
    """
    record = monitored()
    found = {one.rule: one for one in choices(record)}
    losses = {look.step: look.holdout_loss for look in record.looks}
    assert found["smallest held-out loss"].look.step == min(losses, key=losses.get)
    gap = "stop where the loss gap opens (2 standard errors, twice in a row)"
    assert found[gap].look.step == 200
    assert found["100 steps per training item"].why_none == "step 30,000 was not reached"
    assert found["always 2,000 steps"].look.step == 1500
    assert found["the last checkpoint"].look.step == 4600
    assert "smallest Fréchet distance to held-out items" in found
    bare = {one.rule for one in choices(monitored(with_holdout=False))}
    assert bare == {"100 steps per training item", "always 2,000 steps", "the last checkpoint"}


def test_a_training_without_held_out_items_or_samples_has_a_page():
    text = text_on(html(monitored(best=False, with_holdout=False, with_samples=False)))
    assert "No items were held out" in text
    assert "No samples were drawn, so there is no evidence either way." in text
    assert "nan" not in text


def test_a_training_that_was_never_looked_at_has_a_page():
    unseen = Verdict(Phase.CANNOT_TELL, 0, "There was no look yet.")
    text = text_on(html(replace(monitored(best=False), looks=(), verdict=unseen)))
    assert "Cannot tell after step 0" in text
    assert "There was no look yet." in text
    assert "expected looks at a training, got none" in text


def test_past_its_best_is_said_where_later_checkpoints_are_no_better():
    record = monitored()
    passed = Verdict(Phase.WINDOW, 2200, "The held-out loss is 16 % above its minimum.", Stop.PASSED)
    text = text_on(html(replace(record, verdict=passed)))
    assert "Past its best after step 2,200" in text
    assert f"Stop. {Stop.PASSED.sentence}" in text


def test_names_are_shown_and_not_obeyed():
    record = monitored()
    turn = cycle(HOSTILE)
    looks = tuple(replace(look, note=next(turn)) for look in record.looks)
    rule = replace(record.rule, rule=next(turn))
    verdict = replace(record.verdict, reason=next(turn), evidence=dict.fromkeys(HOSTILE, 1.0))
    hostile = {"failures": HOSTILE, "environment": dict.fromkeys(HOSTILE, next(turn))}
    hostile |= {name: next(turn) for name in ("name", "command", "sampler")}
    page = html(replace(record, looks=looks, rule=rule, verdict=verdict, **hostile))
    assert_clean(page)
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_the_same_record_gives_the_same_bytes(page):
    assert html(*with_sheets()) == page


def test_sheets_are_read_from_the_folder_and_from_nowhere_else(tmp_path):
    """One sheet is there, one is damaged, one is missing, one lies outside of the folder."""
    root = tmp_path / "root"
    root.mkdir()
    rows, pictures = sheets_of(count=4)
    names = ["here.safetensors", "damaged.safetensors", "missing.safetensors", "../outside.safetensors"]
    sheets = [replace(sheet, arrays=name) for sheet, name in zip(rows[-4:], names, strict=True)]
    for sheet, name in zip(sheets, names, strict=True):
        samples, nearest = pictures[sheet.step]
        save_file({"samples": samples.contiguous(), "nearest": nearest.contiguous()}, root / name)
    (root / names[1]).write_bytes(b"\xff" * 20)
    (root / names[2]).unlink()
    page = write(monitored(sheets=sheets), tmp_path / "page.html", root=root).read_text()
    assert page.count("data:image/png") == 2 * 4
    assert f"<h3>Step {sheets[0].step:,}" in page


def test_images_that_are_not_those_of_the_record_are_refused():
    record, _ = with_sheets()
    wrong = SheetPictures(torch.zeros(3, 1, 8, 8), torch.zeros(3, 1, 8, 8))
    with pytest.raises(InputError, match=r"pictures.samples: expected \(16, 1, 8, 8\) at step"):
        html(record, lambda _: wrong)


def test_the_command_writes_the_page_of_a_record(tmp_path, capsys):
    record = monitored()
    path = write_record(record, tmp_path / "training.json")
    assert main(["report", str(path)]) == 0
    out = capsys.readouterr().out
    assert sentence(record) in out
    assert (tmp_path / "training.html").read_text() == report(record)


def test_a_folder_of_a_monitor_is_watched_and_reported(tmp_path, capsys):
    write_record(monitored(), tmp_path / "monitor.json")
    assert main(["watch", str(tmp_path), "--once"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "digits-300: memorizing after step 4,600 (10 looks, 4.5 % of the time of training)"
    )
    assert re.search(r"4,600 +0\.\d+ +\d+\.\d % +57\.8 % \[44\.8, 70\.1\] +memorizing", shown)
    assert f"samples beside the training set: {tmp_path / 'sheet-4600.png'}" in shown
    assert main(["report", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").is_file()
    assert main(["report", str(tmp_path), "--rules.memorized", "0.2"]) == 2
    assert "rules: expected none with the folder of a monitor" in capsys.readouterr().err


def test_of_a_training_that_still_learns_the_checkpoint_is_the_best_so_far():
    """A certificate is about copies: of noise there are none."""
    learning = replace(monitored(), verdict=Verdict(Phase.LEARNING, 300, "The held-out loss falls."))
    text = text_on(html(learning))
    assert "The best checkpoint so far" in text
    assert "worth shipping" not in text
    assert f"The best checkpoint so far, of step {BEST:,}, may still have poor samples" in sentence(learning)
