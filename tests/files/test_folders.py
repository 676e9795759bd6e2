import os
import tempfile

import numpy as np
from PIL import Image

from memhorizon.files.folders import list_pictures
from memhorizon.files.images import load_images


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_folders_that_link_in_a_circle_are_read_once(tmp_path):
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    (tmp_path / "elsewhere").mkdir()
    Image.fromarray(noise(4, 4, seed=1)).save(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path)
    assert load_images(tmp_path).names == ("a.png", "elsewhere/b.png")


def test_linked_pictures_and_hidden_folders_are_no_further_pictures(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for place in (root / ".thumbnails", root / "sub", elsewhere):
        place.mkdir(parents=True)
    for i, path in enumerate((root / "sub/a.png", root / ".thumbnails/a.png", elsewhere / "b.png")):
        Image.fromarray(noise(4, 4, seed=i)).save(path)
    (root / "0.png").symlink_to(root / "sub/a.png")  # listed already
    (root / "b.png").symlink_to(elsewhere / "b.png")
    (root / "c.png").symlink_to(elsewhere / "b.png")  # a second link to the same
    (root / "d").symlink_to(root / "sub")
    found = load_images(root)
    assert found.names == ("b.png", "sub/a.png")
    assert {row.name: row.reason for row in found.skipped} == {
        "0.png": "a link to sub/a.png",
        "c.png": "a link to b.png",
        "d": "a link to a folder that is read already",
        ".thumbnails": "a hidden folder",
    }


def test_a_link_that_leads_nowhere_is_listed(tmp_path):
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "class").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    rows = {row.name: row.reason for row in load_images(tmp_path).skipped}
    assert set(rows) == {"b.png", "class", "loop"}
    assert all(reason.startswith("a link that leads nowhere (") for reason in rows.values())


def test_a_folder_that_cannot_be_read_is_listed():
    """As another user, since root may read all."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        Image.fromarray(noise(4, 4)).save(f"{root}/a.png")
        os.mkdir(f"{root}/class", mode=0)
        is_root = os.geteuid() == 0
        try:
            if is_root:
                os.seteuid(65534)
            found = load_images(root)
        finally:
            if is_root:
                os.seteuid(0)
        assert found.names == ("a.png",)
        assert [(row.name, row.reason) for row in found.skipped] == [
            ("class", "folder cannot be read (Permission denied)")
        ]


def test_a_folder_of_as_many_suffixes_as_files_is_told_shortly(tmp_path):
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    for i in range(50):
        (tmp_path / f"x.{i:03}").write_text("x")
    for i in range(7):
        (tmp_path / f"{i}.TXT").write_text("x")
    (tmp_path / "README").write_text("x")
    found = load_images(tmp_path)
    assert found.suffixes[".txt"] == 7
    assert len(found.suffixes) == 21
    assert sum(found.suffixes.values()) == found.ignored == 58


def test_a_listing_is_the_same_whatever_order_the_disk_has(tmp_path):
    """Folders with their links: the real one is named, and of two links the first by name."""
    (tmp_path / "root").mkdir()
    (tmp_path / "away").mkdir()
    Image.fromarray(noise(4, 4)).save(tmp_path / "away" / "a.png")
    for name in ("z", "y", "m"):
        (tmp_path / "root" / name).symlink_to(tmp_path / "away")
    assert list_pictures(tmp_path / "root").names == ("m/a.png",)
    (tmp_path / "root" / "zz").mkdir()
    (tmp_path / "away").rename(tmp_path / "root" / "zz" / "away")
    for name in ("z", "y", "m"):
        (tmp_path / "root" / name).unlink()
        (tmp_path / "root" / name).symlink_to(tmp_path / "root" / "zz" / "away")
    assert list_pictures(tmp_path / "root").names == ("zz/away/a.png",)
