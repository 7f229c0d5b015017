#!/bin/sh
# CI: ship recorded flows (mitmdump -w FLOWS, or a HAR file), each with its own time, and fail if one could not be read or
# did not arrive. With OUT=entries.ndjson, or without AKTO_DATA_INGESTION_URL, the entries go to a file, replaced by each
# run, and a test can look at them.
set -eu
: "${FLOWS:=flows.mitm}"
if [ -n "${OUT:-}" ] || [ -z "${AKTO_DATA_INGESTION_URL:-}" ]; then
    : "${OUT:=entries.ndjson}"
    case $OUT in /*) ;; *) OUT=$(pwd)/$OUT ;; esac
    rm -f "$OUT"
    AKTO_DATA_INGESTION_URL=file://$OUT
fi
export AKTO_DATA_INGESTION_URL

exec akto-mirror replay "$FLOWS" "$@"
