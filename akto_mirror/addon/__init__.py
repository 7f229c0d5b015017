"""The addon: mitmproxy's hooks, screens and commands over one session; nothing else imports it."""

from akto_mirror.addon.mirror import AktoMirror

__all__ = ["AktoMirror"]
