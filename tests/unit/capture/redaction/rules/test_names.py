"""Names of secrets, and innocent names that look like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.redaction.rules.names import Names, folded

COMMON = Names(["common"])


def words_of(text: str) -> list[str]:
    """Return the words of a list."""
    return text.split()


SECRET = words_of(
    """
    password user.password user[password] user[password][0] X-Api-Token accessToken PASSWORD APIKey PaSsWoRd
    db_password dbPassword dbpassword password1 cvv2 new_password passwordHash password_confirmation oauth2Token
    api.key api:key api/key pass%77ord card-number spring.datasource.password AWS_SECRET_ACCESS_KEY client-secret
    stripeToken pwd refresh_token reset_token passwordResetToken
    """
)

# Sentry's DEFAULT_DENYLIST, apart from clients' addresses.
SENTRY = words_of(
    """
    password passwd secret api_key apikey auth credentials mysql_pwd privatekey private_key token session
    csrftoken sessionid x_csrftoken set_cookie cookie authorization x_api_key aiohttp_session connect.sid
    csrf_token csrf _csrf _csrf_token PHPSESSID _session symfony user_session _xsrf XSRF-TOKEN
    """
)

# The names in Datadog's obfuscators of query strings and of AppSec keys.
DATADOG = words_of(
    """
    pwd old_password new-password pass pass_phrase passphrase secret api_key private_key public_key access_key
    secret_key app_key application-key api_key_id token consumer_id consumer_key consumer_secret sign signed
    signature auth authentication authorization bearer jsessionid phpsessid ASP.NET_SessionId sid jwt
    """
)

# OpenTelemetry's url.query, and its docs' proposal for headers.
OPEN_TELEMETRY = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", "set-cookie", "x-session"]
SIGNED = ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "Sec-WebSocket-Protocol", "Key-Pair-Id"]

INNOCENT = words_of(
    """
    tokens_used tokens max_tokens total_tokens token_type token_expires_in tokenizer sort_key key_id key keyboard
    monkey password_changed_at passwordChangedAt has_password author authors authored_by passenger passport
    passage compass passing bypass session_count session_timeout auth_type auth_method secretary signal design
    assigned sign_in_count side cookie_consent idempotency-key primary_key foreign_key key_name cardinality
    discard postcard spinner shipping_address
    """
)


@pytest.mark.parametrize("name", [*SECRET, *SENTRY, *DATADOG, *OPEN_TELEMETRY, *SIGNED])
def test_secret_names(name: str) -> None:
    """The preset has all names that other scrubbers hide by default, in every spelling."""
    assert COMMON.of_text(name)


@pytest.mark.parametrize("name", INNOCENT)
def test_innocent_names(name: str) -> None:
    """Only whole words count, and attributes of a secret are not secret."""
    assert COMMON.of_text(name) is None


@pytest.mark.parametrize("name", ["pin", "PIN", "user_pin", "pinCode", "p_i-n", "pin.value", "card[pin]", "pin_count"])
def test_own_names(name: str) -> None:
    """A user's name is found as a word in other names, with any attribute."""
    assert Names(["PIN"]).of_text(name) == "pin"
    assert Names(["iban"]).of_text(name) is None


def test_nothing_named() -> None:
    """Without names, nothing is secret."""
    assert not Names()
    assert Names().of_text("password") is None
    assert Names(["a"]).of_text("x" * 10_000) is None


@given(st.sampled_from(["token", "password", "secret"]), st.sampled_from("._-[]/: "), st.text("abcxyz", max_size=8))
def test_a_secret_word_between_others(name: str, separator: str, other: str) -> None:
    """Separators divide words."""
    assert COMMON.of_text(f"{other}{separator}{name}")
    assert folded(f"{other}{separator}{name}") == other + name


@pytest.mark.parametrize(
    "name", ["passwort", "neuesPasswort", "senha", "contraseña", "contrasena", "motDePasse", "seed_phrase", "privKey"]
)
def test_names_of_other_languages_and_wallets(name: str) -> None:
    """The preset `common` has names in other languages and of wallets."""
    assert Names(["common"]).of_text(name)
