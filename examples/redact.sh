#!/bin/sh
# Filter and redact: the login and everything under /internal/ is not mirrored at all, and secrets are replaced by
# [redacted] before an entry is queued: in headers, JSON keys, form fields and the query.
set -eu
: "${TARGET:=http://127.0.0.1:3000}" "${LISTEN:=8080}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
# Write each log line at once, even to a file or a pipe.
export AKTO_DATA_INGESTION_URL PYTHONUNBUFFERED=1

exec mitmdump --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" --set block_global=false \
    --set 'akto_filter=!(~u "/login([?]|$)") & !(~u /internal/)' \
    --set akto_redact_headers=common --set akto_redact_headers=x-session \
    --set akto_redact_fields=common --set akto_redact_fields=iban \
    "$@"
