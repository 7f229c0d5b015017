"""Credentials in plain text, and words that are not credentials."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction.rules import credentials

COMMANDS = {
    "curl -u ann:hunter2 https://host/": ["hunter2"],
    "curl -sSu 'ann:hunter 2' https://host/": ["hunter 2"],
    'curl --user "ann:hunter2" --proxy-user=bob:hunter3 x': ["hunter2", "hunter3"],
    "curl -X POST \\\n  -u ann:hunter2 \\\n  https://host/": ["hunter2"],
    "curl -uann:hunter2 x": ["hunter2"],
    "mysql -uroot -phunter2 db": ["hunter2"],
    "mysqldump -p'hunter2' db": ["hunter2"],
    "mariadb -phunter2": ["hunter2"],
    "sshpass -p hunter2 ssh host": ["hunter2"],
    "redis-cli -h host -a hunter2 PING": ["hunter2"],
    "curl -u ann https://host:8080/": [],
    "curl -XPUT http://host:80/": [],
    "curl --user-agent=a:b x": [],
    "curl x | docker run -u 1000:1000 image": [],
    "curl x\ndocker run -u 1000:1000 image": [],
    "mysql -p db": [],
    "mysql -P3306 --protocol=tcp --port=1": [],
    "mycurl -u ann:hunter2": [],
}


@pytest.mark.parametrize("text", COMMANDS)
def test_switches(text: str) -> None:
    """Switches with passwords are found, but not users, ports or arguments of other commands."""
    data = text.encode()
    start = max(0, *(text.find(word) for word in ("curl", "mysql", "mariadb", "sshpass", "redis-cli")))
    assert [data[begin:end].decode() for begin, end in credentials.passwords(data, start)] == COMMANDS[text]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
        ("basic  dTpw", "dTpw"),
        ("Basic dXNlcjpodW50ZXI_ next", "dXNlcjpodW50ZXI_"),
        ("Basic authentication", None),
        ("Basic knowledge of", None),
        ("Basic Zm9vYmFyYmF6", None),
        ('Basic realm="a:b"', None),
    ],
)
def test_basic(text: str, secret: str | None) -> None:
    """Only a text that decodes to user and password is a Basic credential."""
    found = credentials.basic(text.encode(), 0)
    assert (text[slice(*found)] if found else None) == secret
