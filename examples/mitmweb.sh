#!/bin/sh
# Debugging: watch the flows in the browser while they are mirrored. The filter ~meta finds verdicts, for example
# `~meta "skipped: content type"`.
set -eu
: "${TARGET:=http://127.0.0.1:3000}" "${LISTEN:=8080}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
export AKTO_DATA_INGESTION_URL

exec mitmweb --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" "$@"
