"""Path templates, learnt from traffic."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.sampling.templates import NODE_BYTES, RETURNS, SETTLED, SETTLED_SHARE, SIBLINGS, Templates
from tests.support.memory import traced_bytes


def template(templates: Templates, path: str) -> str:
    """Return the template of a path on one host."""
    return templates.of("api.example", "GET", path)[2]


def test_real_endpoints_under_one_prefix_stay_apart() -> None:
    """500 different segments in one place stay names."""
    templates = Templates()
    paths = [f"/api/name{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(500)]
    assert [template(templates, path) for path in paths * 2] == paths * 2


def test_what_looks_like_a_value_is_one() -> None:
    """A segment that looks like an id is folded at once."""
    assert template(Templates(), "/orders/17/items") == "/orders/{id}/items"


def test_too_many_siblings_are_values() -> None:
    """Beyond the bound, new segments are folded, and what follows them is shared."""
    templates = Templates(siblings=50)
    words = [chr(97 + number % 26) * (2 + number // 26) for number in range(200)]
    assert template(templates, f"/u/{words[0]}/p") == f"/u/{words[0]}/p"
    assert {template(templates, f"/u/{word}/p") for word in words[60:]} >= {"/u/{id}/p"}
    assert template(templates, "/u/unseen/p") == "/u/{id}/p"


def test_what_comes_back_is_a_name_even_in_a_flood() -> None:
    """A segment that first occurs in a flood becomes a name when it occurs repeatedly."""
    templates = Templates(siblings=50)
    for number in range(500):
        template(templates, f"/flood{chr(97 + number % 26)}{'x' * (number // 26)}")
    seen = [template(templates, "/login") for _ in range(RETURNS)]
    assert seen[0] == "/{id}"
    assert seen[-1] == "/login"


def test_names_from_before_a_flood_stay() -> None:
    """Names that had occurred repeatedly before a flood stay names."""
    templates = Templates(siblings=100)
    for _ in range(RETURNS):
        template(templates, "/login")
    for number in range(1_000):
        template(templates, f"/{'abcdefghij'[number % 10]}{'z' * (number // 10)}")
    assert template(templates, "/login") == "/login"


def test_hosts_and_methods_are_bounded_too() -> None:
    """Hosts and methods are folded like segments."""
    first, second = Templates(siblings=50), Templates(siblings=50)
    hosts = {first.of(f"host{'x' * number}", "GET", "/")[0] for number in range(200)}
    methods = {second.of("api", f"M{'X' * number}", "/")[1] for number in range(200)}
    assert len(hosts) <= 51
    assert len(methods) <= 51


def test_a_full_tree_forgets_what_never_came_back() -> None:
    """After a nested flood that fills the tree, new names can still be learnt."""
    templates = Templates(siblings=1_000, nodes=2_000)
    for number in range(20_000):
        template(templates, f"/{'ab'[number % 2] * (1 + number // 2 % 150)}/{'cd'[number % 2] * (1 + number // 300)}")
    seen = [template(templates, "/reports/daily") for _ in range(2 * RETURNS)]
    assert seen[-1] == "/reports/daily"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text("ab/", max_size=8)), max_size=60))
def test_a_template_is_the_path_or_has_values_in_it(visits: list[tuple[str, str]]) -> None:
    """For any earlier paths, each segment of the result is the path's or `{id}`."""
    templates = Templates(siblings=3, nodes=20)
    for host, path in visits:
        _, _, found = templates.of(host, "GET", path)
        pairs = zip(found.split("/"), path.split("/"), strict=True)
        assert all(ours in (theirs, "{id}") for ours, theirs in pairs)


def test_the_default_bound_is_the_promised_one() -> None:
    """The default is 1,000 siblings, as documented."""
    assert SIBLINGS == 1_000


def test_nodes_cost_what_they_are_counted_at() -> None:
    """The memory in use, measured by the interpreter, stays within the count."""
    tracemalloc.start()
    templates = Templates(nodes=5_000)
    for number in range(10_000):
        name = f"{number:x}".translate(str.maketrans("0123456789abcdef", "ghijklmnopqrstuv"))
        for _ in range(SETTLED):
            template(templates, f"/{name[:2]}/{name[2:]}/{'long' * 8}{name}")
    taken = traced_bytes()
    tracemalloc.stop()
    assert taken <= 5_000 * NODE_BYTES


def test_what_is_settled_stays_a_name_while_the_tree_is_pruned() -> None:
    """A settled path is not looked up in the tree, and stays a name during floods."""
    templates = Templates(siblings=100, nodes=500)
    for number in range(3_000):
        assert template(templates, f"/orders/{number}/items") == "/orders/{id}/items"
        template(templates, f"/{'abcdefghij'[number % 10]}{'z' * (number // 10)}/{'yx'[number % 2] * (number % 90)}")
    assert templates._settled == {("api.example", "GET", "/orders/{id}/items")}


def test_few_templates_are_settled() -> None:
    """The number of settled templates is bounded by a share of the nodes."""
    templates = Templates(nodes=800)
    for number in range(2_000):
        for _ in range(SETTLED):
            template(templates, f"/{'abcdefghij'[number % 10]}{'z' * (number // 10)}")
        assert len(templates._settled) <= 800 // SETTLED_SHARE
