"""`akto_sample=novel`: sends new exchanges and the first few others of a window, and counts the rest (pure).

An exchange is examined first and learnt only once it is certain to be sent: if a cap holds it back, its features are
still new the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from akto_mirror.sampling import features
from akto_mirror.sampling.buckets import Bucket
from akto_mirror.sampling.features import Head
from akto_mirror.sampling.novelty import Novelty, Record
from akto_mirror.sampling.payloads import Payload
from akto_mirror.sampling.templates import NODE_BYTES, Templates
from akto_mirror.snapshots import Account, Endpoint

MEMORY_BYTES = 64 * 1024 * 1024

# The share of the memory for path templates.
TEMPLATES = 0.25


@dataclass(frozen=True, slots=True)
class Policy:
    """Which exchanges are sent, and how many.

    Attributes:
        novel: whether to send only new exchanges and the first few of a window; otherwise all are sent.
        window_s: seconds of a window.
        per_window: how many exchanges of each endpoint are sent in a window, new or not.
        entries_s: entries a second that may be sent; 0 for no cap.
        bytes_s: bytes a second that may be sent; 0 for no cap.
        memory: bytes for remembered endpoints.
    """

    novel: bool = False
    window_s: int = 600
    per_window: int = 5
    entries_s: int = 0
    bytes_s: int = 0
    memory: int = MEMORY_BYTES

    @property
    def is_idle(self) -> bool:
        """Whether everything is sent, so that exchanges need not be examined."""
        return not (self.novel or self.entries_s or self.bytes_s)


class Look:
    """The result of examining one exchange.

    Attributes:
        endpoint: its endpoint.
        now: its time, in seconds.
        wanted: whether it is worth sending.
        is_new: whether it shows something that was never sent.
        left_out: exchanges of the endpoint that were not sent and that no entry has reported yet.
        record: the endpoint's record; None for a new one.
        fresh: the features that are new.
    """

    __slots__ = ("endpoint", "fresh", "is_new", "left_out", "now", "record", "wanted")

    def __init__(  # noqa: PLR0913 - each is one of its attributes
        self, endpoint: Endpoint, record: Record | None, fresh: Sequence[int], now: float, *, wanted: bool, is_new: bool
    ) -> None:
        self.endpoint = endpoint
        self.now = now
        self.wanted = wanted
        self.is_new = is_new
        self.left_out = 0 if record is None else record.left_out - record.reported
        self.record = record
        self.fresh = fresh


class Sampler:
    """Decides which exchanges to send; used on one thread.

    Args:
        policy: which exchanges are sent.
    """

    def __init__(self, policy: Policy) -> None:
        self._left_out = 0
        self._begin(policy)

    def _begin(self, policy: Policy) -> None:
        self._policy = policy
        self._templates = Templates(nodes=int(policy.memory * TEMPLATES / NODE_BYTES))
        self._novelty = Novelty(int(policy.memory * (1 - TEMPLATES)))
        self._set_caps()

    def follow(self, policy: Policy) -> None:
        """Use another policy from now on; known endpoints are kept, unless the memory limit changes."""
        if policy.memory != self._policy.memory:
            self._begin(policy)
        elif policy != self._policy:
            self._policy = policy
            self._set_caps()

    def account(self, most: int) -> Account:
        """Return the account, with at most this many endpoints; may be called on any thread."""
        seen = self._novelty
        return Account(seen.most_left_out(most), self._left_out, len(seen), seen.forgotten, seen.size)

    def look(self, head: Head, payloads: Callable[[], tuple[Payload, Payload]], now: float) -> Look:
        """Examine an exchange, including its payloads only if its head does not decide.

        Args:
            head: the parts that are known without a body.
            payloads: decodes, reads and returns the request's and the response's payload.
            now: seconds.
        """
        policy = self._policy
        endpoint = Endpoint(*self._templates.of(head.host, head.method, head.path), str(head.status)[:1])
        record = self._novelty.find(endpoint)
        sent = 0 if record is None else record.sent_in(now // policy.window_s)
        fresh = self._novelty.unknown(record, features.of_head(head))
        wanted = not policy.novel or sent < policy.per_window
        if not fresh and not (wanted and self._has_room(now, is_new=False)):
            fresh = self._novelty.unknown(record, features.of_payloads(head, *payloads()))
        return Look(endpoint, record, fresh, now, wanted=wanted or bool(fresh), is_new=bool(fresh))

    def may_send(self, look: Look) -> bool:
        """Return whether the caps let an entry pass."""
        return self._has_room(look.now, is_new=look.is_new)

    def sent(self, look: Look, size: int) -> None:
        """Record that an exchange is sent, as an entry of `size` bytes that reports how many were left out before."""
        self._entries.take(1)
        self._bytes.take(size)
        record = self._record(look)
        record.reported += look.left_out
        record.send(look.now // self._policy.window_s)
        self._novelty.learn(look.endpoint, record, look.fresh)

    def leave_out(self, look: Look) -> None:
        """Record that an exchange is not sent."""
        self._left_out += 1
        self._record(look).left_out += 1

    def _record(self, look: Look) -> Record:
        return look.record or self._novelty.find(look.endpoint) or self._novelty.add(look.endpoint)

    def _has_room(self, now: float, *, is_new: bool) -> bool:
        return self._entries.has(now, is_new=is_new) and self._bytes.has(now, is_new=is_new)

    def _set_caps(self) -> None:
        self._entries = Bucket(self._policy.entries_s)
        self._bytes = Bucket(self._policy.bytes_s)
