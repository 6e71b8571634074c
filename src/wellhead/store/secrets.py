"""Credentials at rest: encrypted with the current key, readable with older ones."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from wellhead.domain.errors import ErrorCategory, JobError, StartError, WellheadError


class Cipher:
    """Encrypts with the first key and decrypts with any of them."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise StartError(
                "The encryption key must be 32 url-safe base64-encoded bytes; "
                "make one with Cipher.new_key()."
            ) from error

    @staticmethod
    def new_key() -> str:
        return Fernet.generate_key().decode()

    def for_purpose(self, purpose: str) -> "Cipher":
        """Return one of its own: neither reads what the other encrypted."""
        return Cipher(
            [
                urlsafe_b64encode(
                    hmac.digest(urlsafe_b64decode(key), purpose.encode(), "sha256")
                ).decode()
                for key in self._keys
            ]
        )

    def encrypt(self, secrets: dict[str, Any]) -> bytes:
        return self._fernet.encrypt(json.dumps(secrets).encode())

    def decrypt(self, ciphertext: bytes) -> dict[str, Any]:
        """Return what was encrypted; JobError when no key fits.

        It pauses nothing: the job can be tried again as soon as the key is back.
        """
        try:
            plain: dict[str, Any] = json.loads(self._fernet.decrypt(ciphertext))
        except InvalidToken as error:
            raise JobError(
                "The stored credentials cannot be decrypted with the present keys: put "
                "the key that encrypted them back (WELLHEAD_SECRET_KEY, or "
                "<data-dir>/secret_key), or enter the credentials again",
                category=ErrorCategory.API_KEY_INVALID,
            ) from error
        return plain

    def rotate(self, ciphertext: bytes) -> bytes:
        """Encrypt anew with the first key."""
        try:
            return self._fernet.rotate(ciphertext)
        except InvalidToken as error:
            raise WellheadError(
                "A stored credential cannot be decrypted with the present keys."
            ) from error
