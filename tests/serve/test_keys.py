import hmac

import pytest

from synth.errors import InputError
from synth.serve.keys import Keys

ONE, TWO = "k" * 20, "another-key-of-some-length"


def test_each_key_has_a_digest_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "keys").write_text(f"# of the class\n{ONE}   # anna\n\n")
    monkeypatch.setenv("SYNTH_KEYS", f"{TWO}, {'z' * 16}")
    keys = Keys(tmp_path / "keys")
    found = [keys.digest_of(key) for key in (ONE, TWO, "z" * 16)]
    assert keys.wanted and len(set(found)) == 3 and None not in found
    for wrong in ("", ONE[:-1], ONE + "k", ONE.upper(), "anna", "#", "\ud800"):
        assert keys.digest_of(wrong) is None


def test_a_key_is_revoked_by_deleting_its_line(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"{ONE}\n{TWO}\n")
    keys = Keys(file)
    assert keys.digest_of(ONE) and keys.digest_of(TWO)
    file.write_text(f"{TWO}\n")
    assert keys.digest_of(ONE) is None and keys.digest_of(TWO)
    file.write_text("short\n")  # no good file is no good key
    assert keys.digest_of(TWO) is None
    file.write_text(f"{ONE}\n")
    assert keys.digest_of(ONE)
    file.unlink()
    assert keys.digest_of(ONE) is None and keys.wanted


def test_bad_keys_are_told_at_the_start(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="keys: .*file that exists"):
        Keys(tmp_path / "none")
    (tmp_path / "keys").write_text("short")
    with pytest.raises(InputError, match="a key of 5 characters.*use at least 16") as told:
        Keys(tmp_path / "keys")
    assert "short" not in str(told.value).replace("a key of 5", "")
    (tmp_path / "keys").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="text file"):
        Keys(tmp_path / "keys")
    monkeypatch.delenv("SYNTH_KEYS", raising=False)
    assert not Keys().wanted


def test_every_key_is_compared_in_constant_time(tmp_path, monkeypatch):
    (tmp_path / "keys").write_text(f"{ONE}\n{TWO}\n")
    keys, compared = Keys(tmp_path / "keys"), []
    monkeypatch.setattr(hmac, "compare_digest", lambda known, given: compared.append(known) or known == given)
    for key in (ONE, TWO, "wrong"):
        assert bool(keys.digest_of(key)) == (key != "wrong")
    assert len(compared) == 6
