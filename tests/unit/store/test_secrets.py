"""Credentials at rest."""

import pytest

from wellhead.domain.errors import StartError, WellheadError
from wellhead.store.secrets import Cipher

SECRET = {"token": "s3cr3t", "nested": {"n": 1}}


def test_what_is_encrypted_comes_back_and_is_unreadable_meanwhile() -> None:
    cipher = Cipher([Cipher.new_key()])

    stored = cipher.encrypt(SECRET)

    assert b"s3cr3t" not in stored
    assert cipher.decrypt(stored) == SECRET


def test_an_older_key_still_reads_and_rotating_leaves_it_behind() -> None:
    old, new = Cipher.new_key(), Cipher.new_key()
    stored = Cipher([old]).encrypt(SECRET)

    both = Cipher([new, old])
    assert both.decrypt(stored) == SECRET
    assert Cipher([new]).decrypt(both.rotate(stored)) == SECRET


def test_a_wrong_key_says_so() -> None:
    stored = Cipher([Cipher.new_key()]).encrypt(SECRET)

    with pytest.raises(WellheadError, match="cannot be decrypted"):
        Cipher([Cipher.new_key()]).decrypt(stored)


def test_what_is_encrypted_for_one_purpose_is_read_for_no_other() -> None:
    old = Cipher.new_key()
    first = Cipher([old])
    sealed = first.for_purpose("one").encrypt(SECRET)

    newer = Cipher([Cipher.new_key(), old])
    assert newer.for_purpose("one").decrypt(sealed) == SECRET
    for other in (first, first.for_purpose("two")):
        with pytest.raises(WellheadError):
            other.decrypt(sealed)
    with pytest.raises(WellheadError):
        first.for_purpose("one").decrypt(first.encrypt(SECRET))


def test_a_malformed_key_stops_the_start() -> None:
    with pytest.raises(StartError):
        Cipher(["too short"])
