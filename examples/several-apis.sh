#!/bin/sh
# Two APIs behind one proxy, each at an address of its own. Akto distinguishes them by the host that clients ask for.
set -eu
: "${ORDERS:=http://127.0.0.1:3000}" "${ORDERS_LISTEN:=8080}"
: "${STOCK:=http://127.0.0.1:3001}" "${STOCK_LISTEN:=8081}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
# Write each log line at once, even to a file or a pipe.
export AKTO_DATA_INGESTION_URL PYTHONUNBUFFERED=1

exec mitmdump -s "$(akto-mirror addon-path)" --set block_global=false \
    --mode "reverse:$ORDERS@$ORDERS_LISTEN" \
    --mode "reverse:$STOCK@$STOCK_LISTEN" \
    "$@"
