"""Our own options are taken out of the command line of `run`, and mitmdump gets the rest as it stands."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from akto_mirror.runner import arguments

WORDS = st.lists(
    st.sampled_from(
        ["-n", "--", "-", "-q", "--set", "x=--checks", "--check", "--c", "~u a", "-1", "", "--mode=a", "-s"]
    )
    | st.text(max_size=4),
    max_size=8,
)


@given(words=WORDS, place=st.integers(0, 8), asked=st.booleans())
@example(words=["--"], place=1, asked=True)
@example(words=["-s", "--"], place=0, asked=True)
def test_all_but_our_own_goes_to_mitmdump(words: list[str], place: int, asked: bool) -> None:
    """Ours may stand anywhere before `--`; what stands behind that, and abbreviations, are mitmdump's."""
    given_words = [*words[:place], *(["--checks"] if asked else []), *words[place:]]
    own, theirs = arguments.divide(given_words)
    is_ours = asked and "--" not in words[:place]
    assert own.checks is is_ours
    assert theirs == (words if is_ours else given_words)


def test_help_names_each_of_our_own() -> None:
    """Whoever asks mitmdump for help under `run` learns of them."""
    assert arguments.help_text().startswith("akto-mirror run itself takes --checks: keep mitmproxy's type check")
