"""Delivers encoded entries to Akto, and accounts for each of them.

Other packages import these names from here, and not from the packages inside. Each is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from akto_mirror.delivery.batch import Limits
    from akto_mirror.delivery.policy import Policy, SpoolPlan
    from akto_mirror.delivery.report import is_round
    from akto_mirror.delivery.retry import Durability
    from akto_mirror.delivery.shipper import Shipper
    from akto_mirror.delivery.sinks import destination, kafka_client, kafka_config
    from akto_mirror.delivery.sinks.base import EntryResult, SendResult, Sink
    from akto_mirror.delivery.sinks.choose import SinkConfig, open_sink
    from akto_mirror.delivery.sinks.destination import Destination
    from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
    from akto_mirror.delivery.sinks.symptoms import Kind
    from akto_mirror.delivery.spool import dead_letters, schema, view
    from akto_mirror.delivery.spool.dead_letters import UnknownLetterError
    from akto_mirror.delivery.spool.errors import NothingError, SpoolError
    from akto_mirror.delivery.spool.spool import Spool
    from akto_mirror.delivery.spool.view import DeadLetter, Share

# The module of each name; modules are listed by their own names.
_WHERE = {
    "batch": ("Limits",),
    "policy": ("Policy", "SpoolPlan"),
    "report": ("is_round",),
    "retry": ("Durability",),
    "shipper": ("Shipper",),
    "sinks.base": ("EntryResult", "SendResult", "Sink"),
    "sinks.choose": ("SinkConfig", "open_sink"),
    "sinks.destination": ("Destination", "destination"),
    "sinks.kafka_client": ("kafka_client",),
    "sinks.kafka_config": ("KafkaConfig", "kafka_config"),
    "sinks.symptoms": ("Kind",),
    "spool.dead_letters": ("UnknownLetterError", "dead_letters"),
    "spool.errors": ("NothingError", "SpoolError"),
    "spool.schema": ("schema",),
    "spool.spool": ("Spool",),
    "spool.view": ("DeadLetter", "Share", "view"),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "DeadLetter",
    "Destination",
    "Durability",
    "EntryResult",
    "KafkaConfig",
    "Kind",
    "Limits",
    "NothingError",
    "Policy",
    "SendResult",
    "Share",
    "Shipper",
    "Sink",
    "SinkConfig",
    "Spool",
    "SpoolError",
    "SpoolPlan",
    "UnknownLetterError",
    "dead_letters",
    "destination",
    "is_round",
    "kafka_client",
    "kafka_config",
    "open_sink",
    "schema",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES[name]}")
    return module if _MODULES[name].endswith(f".{name}") else getattr(module, name)
