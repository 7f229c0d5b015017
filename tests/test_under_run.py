"""What is tested with `mitmdump -s akto_addon.py`, with `akto-mirror run`; what is compared with stays mitmdump."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.proxy import under_run
from tests.test_differential import (  # noqa: F401 - collected here
    bench,
    small_bench,
    test_addon_changes_nothing,
    test_addon_changes_nothing_beside_other_options,
)
from tests.test_e2e_reload import (  # noqa: F401
    test_a_reloaded_script_goes_on_as_before,
    test_a_stream_goes_on_over_a_reload,
)
from tests.test_kill import test_a_few_kills  # noqa: F401
from tests.test_shutdown import (  # noqa: F401
    api,
    test_a_dead_proxys_batches_are_taken_over,
    test_a_reload_loses_nothing,
    test_a_second_signal_ends_at_once,
    test_a_signal_flushes,
    test_the_rest_is_spooled_and_sent_by_the_next,
    test_two_proxies_share_a_spool,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(autouse=True, scope="module")
def _run() -> Iterator[None]:
    with under_run():
        yield
