"""Finds mistakes in options that mitmproxy itself would ignore silently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from akto_mirror.config.declarations import KINDS, OPTIONS, ConfigError, nearest
from akto_mirror.config.option import Option


def find(texts: Mapping[str, list[str]], values: Mapping[str, object]) -> Iterable[ConfigError]:
    """Find values, given before the addon was loaded, that mitmproxy itself would ignore silently.

    At that time it ignores unknown options, and a value of a wrong type prevents the whole addon from loading.

    Args:
        texts: values on the command line, by option name.
        values: values in a configuration file, by option name.
    """
    known = {option.name: option for option in OPTIONS}
    for name, given in {**texts, **values}.items():
        if name not in known:
            if name.casefold().startswith("akto"):
                yield ConfigError(name, given, _no_such_option(name))
        elif name in values:
            yield from _type_mistakes(known[name], values[name])
        else:
            yield from _text_mistakes(known[name], texts[name])


def _no_such_option(name: str) -> str:
    close = nearest(name)
    return f"no such option{f'; did you mean {close}?' if close else ''}"


def _type_mistakes(option: Option, value: object) -> Iterable[ConfigError]:
    if option.type == Sequence[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield ConfigError(option.name, value, "it must be a list of strings")
    elif type(value) is not option.type:
        yield ConfigError(option.name, value, f"it must be {KINDS[option.type]}")


def _text_mistakes(option: Option, given: list[str]) -> Iterable[ConfigError]:
    if option.type == Sequence[str]:
        return
    if len(given) > 1:
        yield ConfigError(option.name, given, "it is given more than once")
    elif option.type is int and not _is_int(given):
        yield ConfigError(option.name, given, f"it must be {KINDS[int]}")
    elif option.type is bool and given and given[0] not in ("true", "false", "toggle", ""):
        yield ConfigError(option.name, given[0], f"it must be {KINDS[bool]}")


def _is_int(given: list[str]) -> bool:
    try:
        return bool(given) and int(given[0]) is not None
    except ValueError:
        return False
