"""Files: whole or not at all, never through a link, and what is damaged is named."""

import json
import os
import stat
from pathlib import Path

import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, from_json, to_json
from memhorizon.files.plain import (
    append_lines,
    check_file,
    parse_json,
    read_lines,
    read_object,
    write_at,
    write_atomically,
    write_page,
)
from memhorizon.files.tensor_files import checksum, read_tensors, write_tensors

TENSORS = {
    "weight": torch.linspace(-1, 1, 12).reshape(3, 4),
    "half": torch.ones(5, dtype=torch.bfloat16),
    "step": torch.tensor(7),
    "none": torch.empty(0, 2),
}


def test_a_file_is_replaced_whole_and_its_folder_is_left_clean(tmp_path):
    path = tmp_path / "file"
    for content in (b"old", b"new"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_or_refused_but_never_followed(tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    link.symlink_to(victim)
    with pytest.raises(OSError, match="link"):
        append_lines(link, [{"step": 1}])
    write_atomically(link, b"new")
    assert (victim.read_text(), link.read_bytes(), link.is_symlink()) == ("precious", b"new", False)


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


BOMBS = [
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"a": ' + "9" * 5_000 + "}",
    '{"a": NaN}',
    '{"a": Infinity}',
    "{",
    "",
]


@pytest.mark.parametrize("text", BOMBS)
def test_what_is_no_json_is_an_input_error_however_it_fails(text, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(text + "\n")
    for read in (lambda: parse_json(text, "here"), lambda: from_json(text), lambda: read_object(path)):
        with pytest.raises(InputError, match="expected JSON"):
            read()
    with pytest.raises(InputError, match=r"file\.json is damaged"):
        read_lines(path)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\n", b"\xef\xbb\xbf{}\n", b"[1]\n", b"3\n", b"{}{}\n", b"\0\n"]
)
def test_other_content_is_refused_by_the_name_of_the_file(content, tmp_path):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    for read in (read_object, read_lines):
        with pytest.raises(InputError, match=r"file\.json is damaged"):
            read(path)


def test_lines_of_other_systems_are_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"step": 1}\r\n{"step": 2}\r\n{"st')
    assert read_lines(path) == [{"step": 1}, {"step": 2}]


def test_tensors_come_back_as_they_were(tmp_path):
    path = tmp_path / "file.safetensors"
    write_tensors(path, TENSORS, {"more": 1})
    found = read_tensors(path)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)
    assert all(found[name].dtype == TENSORS[name].dtype for name in TENSORS)


def test_every_flipped_bit_of_a_tensor_is_noticed(tmp_path):
    """A flip within the header may be harmless (a space that fills it up); then the tensors are the same."""
    path = tmp_path / "file.safetensors"
    write_tensors(path, TENSORS)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    assert len(whole) - start == sum(tensor.nbytes for tensor in TENSORS.values())
    noticed = 0
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        try:
            found = read_tensors(path)
        except InputError:
            noticed += place >= start
            continue
        assert place < start
        assert checksum(found) == checksum(TENSORS)
    assert noticed == len(whole) - start


def test_a_checksum_knows_names_types_and_shapes():
    x = torch.zeros(4)
    others = [{"b": x}, {"a": x.reshape(2, 2)}, {"a": x.to(torch.int32)}, {"a": x, "b": x[:0]}, {"a": -x}, {}]
    sums = {checksum(tensors) for tensors in ({"a": x}, *others)}
    assert len(sums) == len(others) + 1


def test_numbers_of_a_configuration_are_bounded():
    for entry in ("n_train", "scale"):
        tree = json.loads(to_json(Config()))
        tree["data"][entry] = 10**400
        with pytest.raises(InputError, match=rf"config\.data\.{entry}: expected a "):
            from_json(json.dumps(tree))


def test_where_a_file_can_be_written_is_known_before(tmp_path):
    (tmp_path / "there.html").write_text("old")
    (tmp_path / "link.html").symlink_to(tmp_path / "nothing")
    for name in ("new.html", "there.html", "link.html"):
        check_file(tmp_path / name)
    assert (tmp_path / "there.html").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.html", "there.html"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", "got the folder"),
        ("pipe", "got a named pipe"),
        ("/dev/null", "got (the|a) device"),
        ("/dev/stdout", "got the device"),  # a link, which would be replaced for every program
        ("missing/x.html", "in a folder that exists"),
        ("file/x.html", "in a folder that exists"),
        ("n" * 300, "cannot write"),
        ("/proc/x.html", ""),
    ],
)
def test_where_none_can_be_written_is_refused(tmp_path, name, reason):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=rf"^output: .*{reason}"):
        check_file(tmp_path / name, "output")


def test_a_folder_that_takes_no_file_is_refused(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="^output: expected a folder in which one may write"):
        check_file(tmp_path / "x.html", "output")


def test_a_pipe_and_a_device_are_never_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="path: expected a file to write, got a named pipe"):
        write_at(pipe, b"x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(InputError, match="got the device '/dev/null'"):
        write_page("/dev/null", "x")
    assert not Path("/dev/null").is_file()


def test_a_page_in_a_folder_is_named_report(tmp_path):
    assert write_page(tmp_path, "x") == tmp_path / "report.html"
    assert write_page(tmp_path / "a.html", "y").read_text() == "y"
