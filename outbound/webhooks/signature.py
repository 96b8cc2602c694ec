"""
Signatures of webhooks, by Standard Webhooks (standardwebhooks.com), and the secrets that they are made with.

An endpoint's secret is derived from OUTBOUND_WEBHOOK_KEY, its id and its generation: the database holds none.
"""

import base64
import hashlib
import hmac

from outbound.config import settings
from outbound.errors import SettingsError
from outbound.settings_model import Settings

PREFIX = "whsec_"


def secret(endpoint_id: int, generation: int) -> str:
    """
    The secret of an endpoint, `whsec_` and 32 bytes in base64, as its receiver verifies with it.

    Raises:
        SettingsError: OUTBOUND_WEBHOOK_KEY is not set.
    """
    return PREFIX + base64.b64encode(_derived(_key(settings()), endpoint_id, generation)).decode()


def headers(
    public_id: str, timestamp: int, body: bytes, *, endpoint_id: int, generation: int, with_previous: bool
) -> dict[str, str]:
    """
    The three headers that sign one attempt.

    Args:
        timestamp: of this attempt, in Unix seconds.
        body: the very bytes that are sent.
        with_previous: sign with the secret of the generation before as well, for 24 hours after a rotation.

    Raises:
        SettingsError: OUTBOUND_WEBHOOK_KEY is not set.
    """
    config = settings()
    secrets = [_derived(_key(config), endpoint_id, generation)]
    if with_previous and generation > 1:
        secrets.append(_derived(_key(config), endpoint_id, generation - 1))
    if config.webhook_key_old is not None:
        secrets.append(_derived(config.webhook_key_old.get_secret_value(), endpoint_id, generation))
    return {
        "webhook-id": public_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(each, public_id, str(timestamp), body) for each in secrets),
    }


def _key(config: Settings) -> str:
    if config.webhook_key is None:
        raise SettingsError(["OUTBOUND_WEBHOOK_KEY: must be set where webhooks are signed: `openssl rand -hex 32`"])
    return config.webhook_key.get_secret_value()


def _derived(key: str, endpoint_id: int, generation: int) -> bytes:
    return hmac.digest(key.encode(), f"endpoint:{endpoint_id}:{generation}".encode(), hashlib.sha256)


def sign(secret_bytes: bytes, public_id: str, timestamp: str, body: bytes) -> str:
    """One signature, `v1,` and base64, of the webhook that has these headers and this body."""
    signed = f"{public_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret_bytes, signed, hashlib.sha256)).decode()
