#!/bin/sh
# Debugging: shows the outcome of each flow in the browser. The search box finds outcomes by the comment, for example
# `~comment "skipped .content type"`.
set -eu
: "${TARGET:=http://127.0.0.1:3000}" "${LISTEN:=8080}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
# Write each log line at once, even to a file or a pipe.
export AKTO_DATA_INGESTION_URL PYTHONUNBUFFERED=1

exec mitmweb --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" \
    --set web_columns=method --set web_columns=path --set web_columns=status --set web_columns=comment "$@"
