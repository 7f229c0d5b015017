"""The public names of the delivery."""

from __future__ import annotations

from types import ModuleType

import pytest

from akto_mirror import delivery


@pytest.mark.parametrize("name", delivery.__all__)
def test_each_name_is_where_the_face_says(name: str) -> None:
    """A module has its own name, and anything else the name in the module that defines it."""
    found = getattr(delivery, name)
    if isinstance(found, ModuleType):
        assert found.__name__.endswith(f".{name}")
    else:
        assert found.__name__ == name


def test_the_lists_of_names_agree() -> None:
    """All exported names can be loaded."""
    assert sorted(delivery.__all__) == sorted(delivery._MODULES)


def test_an_unknown_name_is_an_error() -> None:
    """An unknown name raises AttributeError, as in any other module."""
    with pytest.raises(AttributeError, match=r"module 'akto_mirror\.delivery' has no attribute 'Ship'"):
        _ = delivery.Ship
