"""The page is complete, and its policy allows only its own script and styles."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from akto_mirror.ingestion import page_document
from akto_mirror.ingestion.page_document import SCRIPTS, STYLES


def test_every_file_is_in_it() -> None:
    """All files of the folder are included, and no tag is empty."""
    folder = files("akto_mirror.ingestion").joinpath("page")
    parts = {each.name for each in folder.iterdir() if each.name.endswith((".js", ".css"))}
    assert parts == {*SCRIPTS, *STYLES}
    text = page_document.load().body.decode()
    assert [name for name in parts if folder.joinpath(name).read_text(encoding="utf-8") not in text] == []
    assert "<script></script>" not in text
    assert "<style></style>" not in text


def test_nothing_but_its_own_parts_is_allowed() -> None:
    """The policy has the hashes of the script and the styles (Content Security Policy 3, 2.3.1)."""
    loaded = page_document.load()
    policy = loaded.headers["Content-Security-Policy"]
    for tag in ("script", "style"):
        (part,) = re.findall(f"<{tag}>(.*?)</{tag}>", loaded.body.decode(), re.DOTALL)
        assert f"{tag}-src 'sha256-{b64encode(sha256(part.encode()).digest()).decode()}';" in policy
    assert policy.startswith("default-src 'none';")
    assert not re.search(rb"\son\w+=|src=\"http|javascript:", loaded.body)
