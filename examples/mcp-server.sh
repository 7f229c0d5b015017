#!/bin/sh
# An MCP server behind the proxy: its event streams are passed on as they arrive, and the JSON-RPC of each call is mirrored.
# Endpoints other than the server's own are left out.
set -eu
: "${TARGET:=http://127.0.0.1:8000}" "${LISTEN:=8080}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
# Write each log line at once, even to a file or a pipe.
export AKTO_DATA_INGESTION_URL PYTHONUNBUFFERED=1

exec mitmdump --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" --set block_global=false \
    --set 'akto_routes=*/mcp*' \
    --set 'akto_tag={"service": "mcp", "env": "production"}' \
    "$@"
