#!/bin/sh
# Debugging: watch in the browser what becomes of each flow. The search box finds verdicts by the comment, for example
# `~comment "skipped .content type"`.
set -eu
: "${TARGET:=http://127.0.0.1:3000}" "${LISTEN:=8080}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
# The log is to appear at once in a file or a pipe too.
export AKTO_DATA_INGESTION_URL PYTHONUNBUFFERED=1

exec mitmweb --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" \
    --set web_columns=method --set web_columns=path --set web_columns=status --set web_columns=comment "$@"
