#!/bin/sh
# An origin behind Cloudflare: `cloudflared tunnel` (or a load balancer that only Cloudflare's addresses reach) passes
# requests to LISTEN. Entries name the host that the client asked for and the address in CF-Connecting-IP. No other
# client may reach LISTEN, because any client could set that header: so it listens on 127.0.0.1 only.
set -eu
: "${TARGET:=http://127.0.0.1:3000}" "${LISTEN:=127.0.0.1:8080}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
# Write each log line at once, even to a file or a pipe.
export AKTO_DATA_INGESTION_URL PYTHONUNBUFFERED=1

exec mitmdump --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" \
    --set akto_client_ip_header=cf-connecting-ip \
    --set 'akto_tag={"service": "cloudflare"}' \
    "$@"
