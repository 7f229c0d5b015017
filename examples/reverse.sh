#!/bin/sh
# One API behind the proxy: clients connect to LISTEN instead of TARGET.
# mitmproxy rejects clients with public addresses unless block_global is off.
set -eu
: "${TARGET:=http://127.0.0.1:3000}" "${LISTEN:=8080}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
# Write each log line at once, even to a file or a pipe.
export AKTO_DATA_INGESTION_URL PYTHONUNBUFFERED=1

exec mitmdump --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" --set block_global=false "$@"
