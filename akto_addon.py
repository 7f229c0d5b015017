"""Mirror API traffic to Akto.

Usage:

    mitmdump --mode reverse:http://127.0.0.1:3000 -s akto_addon.py --set akto_url=http://127.0.0.1:9091
"""

from akto_mirror.addon import AktoMirror

addons = [AktoMirror()]
