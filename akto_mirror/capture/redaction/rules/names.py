"""Decides, by whole words, which names denote secrets: `user[password]`, `X-Api-Token`, `dbPassword`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_plus

from akto_mirror.capture.redaction.rules import expressions

PRESET = "common"


def listed(text: str) -> frozenset[str]:
    """Return the words of a list."""
    return frozenset(text.split())


# Names that make a secret wherever they stand among the words of a name. With `LAST`, these hold what Sentry's SDK for
# Python (`DEFAULT_DENYLIST`), Datadog's tracers (the obfuscation of query strings and AppSec's of keys) and
# OpenTelemetry's conventions (`url.query`, the sanitized headers) hide by default, but for addresses of clients.
ANYWHERE = listed(
    """
    password passwd pwd pw passphrase pass_phrase passcode pass_code passwords user_pass db_pass secret secrets
    secret_key client_secret app_secret consumer_secret secret_id token access_tokens refresh_tokens api_tokens
    auth_tokens id_tokens session_tokens api_key api_keys api_secret app_key application_key access_key
    access_key_id api_key_id secret_key_id private_key private_key_id public_key public_key_id consumer_key
    consumer_id master_key encryption_key signing_key signature_key shared_key storage_key account_key
    subscription_key functions_key auth_key service_key license_key ssh_key deploy_key private_pem awsaccesskeyid
    key_pair_id credential credentials authorization bearer jwt jws jwe dpop client_assertion saml_response
    saml_request saml_assertion assertion code_verifier sas connection_string connectionstring session_id sess_id
    session_key session_token session_cookie phpsessid jsessionid aspsessionid sessionid sessid csrf xsrf
    csrfmiddlewaretoken authenticity_token request_verification_token signature sig hmac signed_request otp totp
    hotp mfa_code two_factor_code verification_code security_code one_time_code recovery_code recovery_codes
    backup_codes card_cvc card_cvv cvc cvv cvv2 cvc2 card_number cc_number credit_card credit_card_number debit_card
    card_security_code ssn social_security_number social_security mysql_pwd stripetoken github_token
    rapidapi_key honeycomb_team app_check newrelic_key sentry_key
    passwort kennwort wachtwoord senha contrasena contraseña mot_de_passe seed_phrase mnemonic priv_key security_answer
    x_amz_credential x_amz_signature x_amz_security_token x_goog_signature x_goog_credential oidc_data
    """
)

# Names that make a secret as the last words: `user_session`, but not `session_timeout`.
LAST = listed(
    """
    auth authentication session cookie cookies pass sid sign signed symfony symfony2 oauth basic_auth http_auth
    proxy_auth sec_websocket_protocol set_cookie
    """
)

# Words without blanks or case between them: `dbpassword`, `stripetoken`.
ENDINGS = listed(
    """
    password passwd passphrase passcode secret secretkey apikey accesskey privatekey accesstoken authtoken token
    credential credentials sessionid sessid pwd
    """
)
BEGINNINGS = ("password", "passwd", "apikey", "secretkey", "accesstoken", "authtoken")

# Last and first words of names of facts about a secret, such as `token_count`, which are not secrets.
ABOUT = listed(
    """
    at used count counts total type types length len ttl size limit limits max min policy policies strength enabled
    disabled required valid invalid verified exists present expires expiry expired expiration expire in on date time
    age version algorithm alg method methods endpoint endpoints supported format attempts retries usage budget
    rotation set status state requirements rules confirmed changed updated created days hours minutes seconds less field
    name names provider providers timeout
    """
)
ABOUT_IT = listed(
    """
    has have is are must needs need require requires required max min num number count total can should allow allows
    supports with without no forgot forgotten show hide enable enabled disable use uses using missing invalid
    wrong prompt completion
    """
)

# Names of page tokens, and standard headers, that are not secrets in spite of their words.
INNOCENT = listed(
    """
    page_token next_page_token prev_page_token previous_page_token start_page_token next_token continuation_token
    next_continuation_token sync_token next_sync_token pagination_token cursor_token with_credentials
    access_control_allow_credentials publickey_credentials_get publickey_credentials_create
    """
)

# Between segments nothing is said about each other: in `password.at`, `password` is the name of what holds `at`.
SEGMENTS = re.compile(r"[.\[\]:/?&=#\\\"'{}()$@]+")
WORDS = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")
DIGITS = "0123456789"
NOTHING = r"[^\x00-\xff]"

# Bounds: characters and words of a name, and words that are read as one, as in `p-i-n`.
MAX_NAME = 256
MAX_WORDS = 24
MOST_JOINED = 5


def words(name: str) -> list[str]:
    """Return the words of a name in lower case, split at all but letters and digits, and at changes of case."""
    return [word.lower() for word in WORDS.findall(name)[:MAX_WORDS]]


def folded(name: str) -> str:
    """Return a name as it is compared: `accesstoken` for `access_token`, `accessToken` and `Access-Token`."""
    return "".join(words(name))


FOLDED_INNOCENT = frozenset(map(folded, INNOCENT))


def _spelling(name: str) -> tuple[str, ...]:
    return tuple(words(name))


class Names:
    """Judges names.

    Args:
        given: the names of an option; `common` stands for the usual ones.
    """

    def __init__(self, given: Iterable[str] = ()) -> None:
        own = [name.strip() for name in given if name.strip()]
        self.common = any(name.lower() == PRESET for name in own)
        own = [name for name in own if name.lower() != PRESET]
        self._whole = frozenset(folded(name) for name in own) - {""}
        self._anywhere = self._whole | (frozenset(map(folded, ANYWHERE)) if self.common else frozenset())
        self._last = frozenset(map(folded, LAST)) if self.common else frozenset[str]()
        # For the gate: names as words, and the given ones, whose letters may be parted anyhow.
        self.spellings = frozenset(map(_spelling, (*ANYWHERE, *LAST, *ENDINGS) if self.common else ()))
        self.own = self._whole
        spelt = ENDINGS.union(BEGINNINGS) if self.common else frozenset[str]()
        known = sorted(self._anywhere | self._last | spelt)
        self._may_be = expressions.first("|".join(map(re.escape, known)) if known else NOTHING)
        self._rule = lru_cache(maxsize=4096)(self._judge)

    def __bool__(self) -> bool:
        return bool(self.spellings or self.own)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Names) and (self._anywhere, self._last) == (other._anywhere, other._last)

    def __hash__(self) -> int:
        return hash((self._anywhere, self._last))

    def of(self, raw: bytes) -> str | None:
        """Return the rule by which a name, as it is written in a payload, hides its value; None if it does not."""
        return self._rule(raw) if len(raw) <= MAX_NAME else None

    def of_text(self, name: str) -> str | None:
        """Return the rule by which a name hides its value; None if it does not."""
        return self.of(name.encode("utf-8", "replace"))

    def _judge(self, raw: bytes) -> str | None:
        name = raw.decode("utf-8", "replace")
        if "%" in name:
            name = unquote_plus(unquote_plus(name))
        # Judging takes long, and few names contain a known word.
        if not self._may_be("".join(map(str.lower, WORDS.findall(name))).encode("utf-8", "replace")):
            return None
        whole = folded(name)
        if whole in self._whole:
            return whole
        if whole in FOLDED_INNOCENT:
            return None
        segments = SEGMENTS.split(name)
        found = next(filter(None, map(self._segment, segments)), None)
        # Of `api.key` no segment is a name by itself.
        return found if found or len(segments) == 1 else self._joined(words(name), self._anywhere, fewest=2)

    def _segment(self, segment: str) -> str | None:
        parts = words(segment)
        if not parts or (len(parts) > 1 and (parts[0] in ABOUT_IT or parts[-1] in ABOUT)):
            # What is said about a secret; names that are given beside the preset count all the same.
            return self._joined(parts, self._whole)
        while len(parts) > 1 and parts[-1][0] in DIGITS and not self._known("".join(parts[-2:])):
            parts.pop()
        last = next((joined for size in range(MOST_JOINED) if (joined := "".join(parts[~size:])) in self._last), None)
        return last or self._joined(parts, self._anywhere) or (self._by_spelling(parts) if self.common else None)

    @staticmethod
    def _joined(parts: list[str], names: frozenset[str], fewest: int = 1) -> str | None:
        """Return the first name that words beside one another make."""
        for start in range(len(parts)):
            for end in range(start + fewest, min(start + MOST_JOINED, len(parts)) + 1):
                if (joined := "".join(parts[start:end])) in names:
                    return joined
        return None

    def _known(self, joined: str) -> bool:
        return joined in self._anywhere or joined in self._last

    def _by_spelling(self, parts: list[str]) -> str | None:
        """Find names in words that are written together: `dbpassword`, `passwordhash`."""
        for part in parts:
            for ending in ENDINGS:
                if part.endswith(ending):
                    return ending
            for beginning in BEGINNINGS:
                rest = part.removeprefix(beginning)
                if rest != part and not any(map(rest.endswith, ABOUT)):
                    return beginning
        return None
