import base64
import copy
import hashlib
import html as markup
import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from audit_records import audited, colour_scenes, digits, small
from markup import Reader, assert_clean
from memhorizon.auditing.leaning import MEMBERSHIP
from memhorizon.audits import AuditReport
from memhorizon.cli import main
from memhorizon.errors import InputError
from memhorizon.records.audit import DuplicateGroup
from memhorizon.records.files import load_record, record_of, to_plain, write_record
from memhorizon.records.sweep import Skipped
from memhorizon.report import report, sentence
from memhorizon.report.audit.summary import summary
from memhorizon.report.audit_page import AuditPictures, html
from memhorizon.results import Fraction
from report_names import HOSTILE, renamed


def text_on(page):
    """The page without markup and pictures, one space for any space."""
    plain = re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>|<svg.*?</svg>|<wbr>", "", page, flags=re.S))
    return re.sub(r"\s+", " ", markup.unescape(plain))


def light(record):
    """The record without its histograms, which take longer to draw than the rest of the page."""
    return replace(record, views=())


@pytest.fixture(scope="module")
def made():
    return small()


@pytest.fixture(scope="module")
def page(made):
    return html(*made)


def test_the_page_stands_alone(page):
    assert_clean(page)
    reader = Reader()
    reader.feed(page)
    assert len(reader.ids) == len(set(reader.ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(reader.ids)
    assert not re.search(r"https?:|@import", page)
    assert "prefers-color-scheme: dark" in page


def test_the_verdict_is_in_words_and_comes_first(made, page):
    record = made.record
    text = text_on(page)
    assert record.copies.count >= 15  # of 30 that were planted, else there is nothing to see
    assert f"{record.copies.count} of 100 samples" in text
    assert text.index(sentence(record).splitlines()[0]) < text.index("How sure is this?")
    low, high = (f"{100 * end:.1f}" for end in (record.copies.low, record.copies.high))
    assert f"{record.copies.count:.1f} % [{low}, {high}]" in text
    assert f"the same rule reports {record.null.count} of 100" in text
    surely = math.ceil(2 * 100 / 401 / 0.05)  # exact copies of reference images have 2 / 401
    assert f"With fewer than {record.smallest_reportable} copies" in text
    assert f"with {surely} exact ones it would have reported all" in text
    assert "smallest possible one is 0.0025." in text  # 1 / 401


def test_the_three_answers_are_kept_apart(made, page):
    text = text_on(page)
    lean = made.record.leaning
    assert MEMBERSHIP in text
    assert f"Leaning {100 * lean.share:.1f} % of 100 samples are nearer to one of 100 training images" in text
    assert f"Without leaning it is {100 * lean.low:.1f} to {100 * lean.high:.1f} %" in text
    assert "no ground for the exit status" in text
    assert "none were given" in text_on(html(light(replace(made.record, leaning=None))))


def test_an_audit_that_found_nothing_says_what_it_could_have_found(made):
    honest = tuple(replace(one, is_copy=False, is_guaranteed=False) for one in made.record.samples)
    none = Fraction.of(0, 100)
    record = replace(made.record, copies=none, guaranteed=none, confident=0, samples=honest, most_copied=())
    verdict, undecided = sentence(record).split("\n")
    assert undecided.startswith("Undecided: 20 samples have")
    assert verdict == (
        "None of the 100 samples is reported as a copy of a training image, at a false-discovery rate of "
        "5 %. With fewer than 5 copies this audit could have reported none, with 10 exact ones it would have "
        "reported all (in between it depends on how many are of the training images that calibrate it); "
        "edits that no view sees are not counted."
    )
    text = text_on(html(light(record), made.pictures))
    assert "0 of 100 samples copies of training images: 0.0 % [0.0, 3.6]" in text
    assert "No sample is reported as a copy." in text
    assert "copied most" not in text


def test_samples_that_only_the_resolution_keeps_from_being_reported_are_told():
    """The smallest possible p-value, 1 / 41, is too large for 100 samples: 49 copies at least are needed."""
    few = audited(digits(1000), n_train=800, n_reference=40, n_holdout=100, copies={"exact": 20})
    record = light(few.record)
    assert record.copies.count == 0
    assert record.smallest_reportable == 49
    count = sum(one.p <= 2.001 / 41 for one in record.samples)  # copies of reference items have 2 / 41
    assert count >= 20
    words = f"{count} samples have a p-value as small as those of exact copies (at most 0.049)"
    text = text_on(html(record, few.pictures))
    assert words in text
    assert f"Undecided: {words}" in summary(record)
    shown = text[text.index("Evidence as strong as that of exact copies") :]
    shown = shown[: shown.index("The closest samples that are not reported")]
    assert all(one.name in shown for one in record.undecided)
    assert len(record.undecided) == count
    assert "Undecided" not in summary(light(small().record))
    assert [row["index"] for row in AuditReport(record).undecided] == [
        one.index for one in record.samples if one.p <= 2.001 / 41
    ]
    held_out = replace(record, reference="holdout")
    count = sum(one.p == record.resolution for one in record.samples)
    assert f"Undecided: {count} samples have" in summary(held_out)


def test_an_audit_that_can_report_nothing_does_not_pass_for_an_answer(made):
    none = Fraction.of(0, 100)
    record = replace(made.record, copies=none, guaranteed=none, smallest_reportable=None)
    assert sentence(record).startswith("This audit cannot tell")
    text = text_on(html(light(record)))
    assert "? of 100 samples" in text
    assert "No number of copies could have been reported" in text


def shown_pictures(page):
    """Every embedded picture: its alternative text and its pixels, in order."""
    found = re.findall(r'<img[^>]*alt="([^"]*)" src="data:image/png;base64,([^"]*)"', page)
    opened = [(alt, Image.open(io.BytesIO(base64.b64decode(data)))) for alt, data in found]
    return [(alt, np.asarray(picture)) for alt, picture in opened]


def test_pairs_are_sorted_by_evidence_and_show_their_images(made, page):
    record, pictures = made
    copies = [one for one in record.samples if one.is_copy]
    ranked = sorted(copies, key=lambda one: (one.p, one.statistic, one.index))
    cards = re.findall(r"<li>(.*?)</li>", page.split("The copies</h2>")[1].split("</section>")[0])
    assert len(cards) == len(copies)
    for one, card in zip(ranked, cards, strict=True):
        text = text_on(card).replace(" _", "_")
        assert one.name in text
        assert one.nearest_name in text
        assert one.view in text
        images = [pictures.samples[one.index], pictures.train[one.nearest]]
        images += [pictures.registered[one.index]] if one.index in pictures.registered else []
        seen = [pixels for _, pixels in shown_pictures(card)]
        assert len(seen) == len(images)
        for image, pixels in zip(images, seen, strict=True):
            assert np.abs(pixels - 255 * image[0].numpy()).max() <= 0.5
    p = [float(re.search(r"p = ([\d.]+),", card)[1]) for card in cards]
    assert p == sorted(p)
    assert any("flipped" in card for card in cards)


def test_many_pairs_are_folded_and_the_rest_is_counted():
    """All samples count as copies here, so that there are more than the page shows."""
    pictures = AuditPictures(colour_scenes(260, 8), colour_scenes(400, 8))
    one = small().record
    samples = tuple(
        replace(one.samples[0], index=j, is_copy=True, nearest=j, name=f"s{j:03d}", nearest_name=f"t{j:03d}")
        for j in range(260)
    )
    sets = tuple(replace(part, count=count) for part, count in zip(one.sets[:2], (260, 400), strict=True))
    record = replace(
        one,
        samples=samples,
        copies=Fraction.of(260, 260),
        sets=sets,
        shared=(),
        duplicates=(),
        most_copied=(),
    )
    text = html(light(record), pictures)
    first, rest = text.split("The copies</h2>")[1].split("</section>")[0].split("<details>")
    assert first.count("<li>") == 30
    assert rest.count("<li>") == 170
    assert "170 more pairs" in rest
    assert "60 further copies are not shown; the CSV of pairs names them." in rest


def test_the_page_is_bounded_whatever_the_images_are():
    """Noise, which no PNG makes smaller: 250 copies of 128 x 128 pixels in colour, as raw bytes 37 MB."""
    noise = torch.rand(250, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    one = small().record
    samples = tuple(replace(one.samples[0], index=j, is_copy=True, nearest=j) for j in range(250))
    sets = tuple(replace(part, count=250) for part in one.sets)
    groups = tuple(DuplicateGroup(tuple(range(k, k + 9)), 9 * ("x",)) for k in range(0, 90, 9))
    shared = tuple(replace(one.shared[0], index=k, train=k) for k in range(50))
    record = replace(
        one,
        samples=samples,
        copies=Fraction.of(250, 250),
        sets=sets,
        duplicates=groups,
        shared=shared,
        most_copied=tuple(replace(one.most_copied[0], index=k) for k in range(20)),
        views=(),
    )
    text = html(record, AuditPictures(noise, noise, noise, dict(enumerate(noise))))
    assert text.count("<img") > 600
    assert len(text) < 6_000_000
    assert all(max(pixels.shape) <= 192 for _, pixels in shown_pictures(text))


def test_values_beyond_0_to_1_are_scaled_by_the_training_set_and_the_page_says_so(made):
    pictures = AuditPictures(
        *(2 * getattr(made.pictures, name) - 1 for name in ("samples", "train", "holdout"))
    )
    text = html(light(made.record), pictures)
    assert "Black is -1 and white 1." in text_on(text)
    same = [np.array_equal(a[1], b[1]) for a, b in zip(shown_pictures(text), _plain(made), strict=True)]
    assert all(same)


def _plain(made):
    return shown_pictures(html(light(made.record), replace(made.pictures, registered={})))


def names_in(record):
    """Every name, place and reason in a record."""
    found = [name for one in record.samples for name in (one.name, one.nearest_name)]
    found += [one.name for one in record.most_copied]
    found += [name for group in record.duplicates for name in group.names]
    found += [name for one in record.shared for name in (one.name, one.train_name)]
    found += [file.name for one in record.sets for file in one.skipped]
    return {part for name in found for part in (name, name.rsplit("/", 1)[-1])}


def test_a_private_page_shows_hashes_only(made):
    places = "/home/anna/train"
    sets = tuple(
        replace(
            one, source=places, skipped=(Skipped("anna.png", "no such file as /home/anna/train/anna.png"),)
        )
        for one in made.record.sets
    )
    views = tuple(
        replace(view, compares="features of /home/anna/net.pt, and of anna.onnx")
        for view in made.record.views
    )
    record = replace(made.record, sets=sets, views=views, command=f"memhorizon audit --train {places}")
    page = html(record, made.pictures, private=True)
    assert "<img" not in page
    assert "data:image" not in page
    assert not [name for name in names_in(record) if name in page]
    assert not re.search("anna|/home|img_|generated/|holdout/", page)
    assert_clean(page)
    one = next(one for one in record.samples if one.is_copy)
    for values in (made.pictures.samples[one.index], made.pictures.train[one.nearest]):
        assert hashlib.sha256(values.numpy().astype("<f4").tobytes()).hexdigest()[:12] in page
    assert sentence(record) in text_on(page)

    without = html(light(record), private=True)
    assert hashlib.sha256(one.name.encode()).hexdigest()[:12] in without
    assert not [name for name in names_in(record) if name in without]


def test_the_open_page_does_show_names(made, page):
    """So that the test above can fail."""
    text = page.replace("<wbr>", "")
    copies = {one.name for one in made.record.samples if one.is_copy}
    assert {name for name in copies if name in text} == copies
    assert "broken.png" in text


def test_hostile_names_are_shown_and_not_obeyed(made):
    record = renamed(made.record, HOSTILE)
    for page in (html(light(record), made.pictures), html(light(record), private=True)):
        assert_clean(page)
        assert "<img src=x" not in page
        assert not re.search("[\u202e\u2069\x1b\x00]", page)
        assert not re.search(r"<bdi[^>]*>[^<]{100,}", page)


def test_the_same_record_gives_the_same_page(made):
    record = light(made.record)
    assert html(copy.deepcopy(record), made.pictures) == html(record, made.pictures)


def test_a_record_that_was_read_has_the_page_without_images(made, tmp_path):
    record = light(made.record)
    path = write_record(record, tmp_path / "audit.json")
    page = report(load_record(path))
    assert page == html(record)
    assert "<img" not in page
    assert "The images themselves are not on this page" in text_on(page)
    assert_clean(page)


def test_items_that_are_no_images_have_no_pictures(made):
    flat = {name: getattr(made.pictures, name).flatten(1) for name in ("samples", "train", "holdout")}
    sets = tuple(replace(one, shape=(64,), compared_at=(64,)) for one in made.record.sets)
    page = html(light(replace(made.record, sets=sets)), AuditPictures(**flat))
    assert "<img" not in page
    assert "copies of training items" in text_on(page)
    assert "64 values" in page


def test_what_was_reduced_and_skipped_is_told(made):
    sets = (replace(made.record.sets[0], shape=(3, 300, 200)), *made.record.sets[1:])
    text = text_on(html(light(replace(made.record, sets=sets))))
    assert "samples 100 1 3 300 × 200 pixels, colour 8 × 8 pixels, grey" in text
    assert "Reduced before they were compared" in text
    assert "1 file of the samples could not be read generated/broken.png : cannot be decoded" in text


def test_pictures_of_another_audit_are_refused(made):
    record, pictures = made
    with pytest.raises(InputError, match=r"pictures.samples: expected 100 items, got 99"):
        html(record, replace(pictures, samples=pictures.samples[1:]))
    with pytest.raises(InputError, match="holdout: expected held-out images, got none"):
        html(record, replace(pictures, holdout=None))
    wrong = replace(record, samples=(replace(record.samples[0], nearest=10**6), *record.samples[1:]))
    with pytest.raises(InputError, match="record: expected items 0 to 805 of train, got 1000000"):
        html(wrong, pictures)


VALUES = (None, "text with <script>alert(1)</script><img src=x>", -1, 1e308, [], True)


def places(value, path=()):
    """Every entry at any depth; of a list the first one."""
    entries = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        entries = enumerate(value[:1])
    for key, entry in entries:
        yield (*path, key)
        yield from places(entry, (*path, key))


def test_a_strangers_record_gives_a_clean_page_or_an_input_error(made):
    """One entry is changed at a time; of all changes every 53rd."""
    bins = {"edges": np.array([0.0, 0.5, 1.0]), "samples": np.ones(2), "reference": np.ones(2)}
    record = replace(made.record, views=(replace(made.record.views[0], **bins),))
    tree = json.loads(json.dumps(to_plain(record)))
    changes = [(path, value) for path in places(tree) for value in VALUES]
    refused = 0
    for path, value in changes[::53]:
        changed = copy.deepcopy(tree)
        entry = changed
        for key in path[:-1]:
            entry = entry[key]
        entry[path[-1]] = value
        try:
            assert_clean(report(record_of(changed)))
        except InputError:
            refused += 1
    assert 0 < refused < len(changes[::53])


def test_the_records_of_these_tests_are_honest(made):
    """Half of the copies at least are found, each at its original, and no honest held-out image is."""
    found = [one for one in made.record.samples if one.is_copy]
    distance = [
        min(
            float((made.pictures.samples[one.index] - image).norm())
            for image in (made.pictures.train[one.nearest], made.pictures.train[one.nearest].flip(-1))
        )
        for one in found
    ]
    assert len(found) >= 15
    assert sum(d < 1e-6 for d in distance) >= 0.9 * len(found)
    assert made.record.null.count == 0
    assert len(digits(10)) == 10


def test_the_commands_know_the_record_of_an_audit(made, tmp_path, capsys):
    path = write_record(light(made.record), tmp_path / "audit.json")
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr().out == f"{sentence(made.record)}\nopen {tmp_path / 'audit.html'}\n"
    assert (tmp_path / "audit.html").read_text(encoding="utf-8") == html(light(made.record))
    assert main(["report", str(path), "--rules.quality", "frechet"]) == 2
    assert "rules: expected none" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "none.json")]) == 2
    write_record(made.record, path)
    assert main(["figure", str(path)]) == 0
    assert {file.name for file in tmp_path.glob("*.png")} == {"audit-statistics.png", "audit-p-values.png"}
