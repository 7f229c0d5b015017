"""The runner's own options are removed from the command line, and mitmdump gets the rest unchanged."""

from __future__ import annotations

import pytest
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
    """The runner's options may be anywhere before `--`; words after it, and abbreviations, are passed to mitmdump."""
    given_words = [*words[:place], *(["--checks"] if asked else []), *words[place:]]
    own, theirs = arguments.divide(given_words)
    is_ours = asked and "--" not in words[:place]
    assert own.checks is is_ours
    assert theirs == (words if is_ours else given_words)


def test_help_names_each_of_our_own() -> None:
    """The help of mitmdump names the runner's options."""
    message = arguments.help_text()
    assert message.startswith("akto-mirror run itself takes --processes N: serve with N processes")
    assert "; --checks: keep mitmproxy's type check" in message
    assert arguments.WORKER not in message


@pytest.mark.parametrize("value", ["-1", "x", "", "257", "1.5"])
def test_a_number_that_cannot_be_is_named(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says which numbers are allowed."""
    with pytest.raises(SystemExit):
        arguments.divide([f"--processes={value}"])
    assert capsys.readouterr().err.strip() == (
        f"akto-mirror run: error: argument --processes: write a whole number from 0 to 256, not {value!r}"
    )


def test_a_worker_gets_the_arguments_of_its_parent() -> None:
    """A worker also gets its number and its channel, before the parent's arguments."""
    worker = arguments.WorkerArgument(2, 3, 7)
    own, theirs = arguments.divide(arguments.for_worker(["--checks", "-q", "--", "~q"], worker)[1:])
    assert (own.akto_worker, own.checks, own.processes, theirs) == (worker, True, 1, ["-q", "--", "~q"])


def test_every_core_is_counted() -> None:
    """The cores that this process may use are counted."""
    assert arguments.cores() >= 1
