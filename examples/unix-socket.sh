#!/bin/sh
# Akto's service on the same machine, reached through a Unix socket instead of a public address.
set -eu
: "${TARGET:=http://127.0.0.1:3000}" "${LISTEN:=8080}" "${SOCKET:=/run/akto/ingest.sock}"
# Write each log line at once, even to a file or a pipe.
export PYTHONUNBUFFERED=1

exec mitmdump --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" --set block_global=false \
    --set akto_url=http://akto --set "akto_uds=$SOCKET" "$@"
