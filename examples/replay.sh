#!/bin/sh
# CI: ship the flows that `mitmdump -w FLOWS` recorded, each with its own time, and fail if an entry was lost.
# With OUT=entries.ndjson the entries go to a file, and a test can look at them.
set -eu
: "${FLOWS:=flows.mitm}"
: "${AKTO_DATA_INGESTION_URL:=file://$(pwd)/${OUT:-entries.ndjson}}"
export AKTO_DATA_INGESTION_URL

log=$(mitmdump -nr "$FLOWS" -s "$(akto-mirror addon-path)" --set flow_detail=0 "$@")
echo "$log"
echo "$log" | grep -q 'akto: captured .* + spooled 0 + rejected 0 + dropped 0;'
