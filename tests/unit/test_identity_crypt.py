"""Keys and what they encrypt."""

from __future__ import annotations

import os
import stat

import pytest
from cryptography.fernet import Fernet

from common.config import CONF
from common.errors import ServiceUnavailable
from identity.service import crypt


@pytest.fixture(autouse=True)
def keys(tmp_path):
    CONF.set_override("credential_key_file", str(tmp_path / "below" / "keys"), "identity")
    yield
    CONF.clear_override("credential_key_file", "identity")


def test_without_keys_nothing_is_kept_and_the_sentence_says_what_to_do():
    with pytest.raises(ServiceUnavailable, match="wolke-manage identity bootstrap"):
        crypt.encrypt("secret")


def test_there_and_back_and_never_in_the_clear():
    assert crypt.make_keys()
    assert not crypt.make_keys()
    stored = crypt.encrypt("a sécret in words")
    assert crypt.decrypt(stored) == "a sécret in words"
    assert "cret in words" not in stored
    assert stat.S_IMODE(crypt.path().stat().st_mode) == 0o600
    assert os.listdir(crypt.path().parent) == [crypt.path().name]


def test_a_changed_file_counts_at_once_and_old_keys_still_read():
    crypt.make_keys()
    stored, old = crypt.encrypt("x"), crypt.read_keys()
    crypt.write_keys([Fernet.generate_key().decode(), *old])
    assert crypt.decrypt(stored) == "x"
    fresh = crypt.encrypt("x")
    crypt.write_keys(old)
    with pytest.raises(ServiceUnavailable, match="None of the keys"):
        crypt.decrypt(fresh)


def test_what_is_no_key_is_not_written():
    crypt.make_keys()
    with pytest.raises(ValueError):
        crypt.write_keys(["nonsense"])
    assert crypt.decrypt(crypt.encrypt("x")) == "x"
