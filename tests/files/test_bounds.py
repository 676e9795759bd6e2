import os
import stat

import pytest

from memhorizon.errors import InputError
from memhorizon.files.bounds import MOST_BYTES, check_regular, check_unpacked, kind_of, printable


def test_printable_keeps_letters_and_escapes_what_is_obeyed():
    for text in ("a b.png", "f\u00fcnf \u5341.png", "C:\\data\\x"):
        assert printable(text) == text
    for text in ("\x1b[2J", "a\nb", "a\rb", "\x9b1m", "\u202egnp.exe", "\u200b", "\ufeff", "\x00", "\x7f"):
        assert printable(text).isprintable()
        assert printable(text).encode("ascii").decode("unicode_escape") == text
    assert printable(os.fsdecode(b"\xff.png")) == r"\udcff.png"
    assert len({printable(chr(i)) for i in range(0x3000)}) == 0x3000


def test_kinds_of_files(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    assert check_regular(tmp_path / "a") == 3
    assert kind_of(stat.S_IFREG) == "a regular file"
    for path, kind in ((tmp_path, "a folder"), ("/dev/null", "a device")):
        with pytest.raises(InputError, match=f"expected a regular file, got {kind}"):
            check_regular(path)
    with pytest.raises(FileNotFoundError):
        check_regular(tmp_path / "gone")


def test_bounds_of_what_may_be_unpacked():
    check_unpacked(MOST_BYTES, "a")
    check_unpacked(2**25, "a", packed=1)  # small enough for any machine
    check_unpacked(250 * 2**20, "a", packed=2**20)
    for size, packed in ((MOST_BYTES + 1, None), (2**25 + 1, 1), (250 * 2**20 + 1, 2**20)):
        with pytest.raises(InputError, match=f"a: expected at most .* of {size:,}"):
            check_unpacked(size, "a", packed=packed)
