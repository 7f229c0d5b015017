"""The addon: mitmproxy's hooks, user interface and commands, which share one session; nothing else imports it."""

from akto_mirror.addon.mirror import AktoMirror

__all__ = ["AktoMirror"]
