#!/bin/sh
# HTTPS and gRPC over TLS on both sides: CERTIFICATE is a PEM file of your own with certificate and key, UPSTREAM_CA the
# authority that signed the target's.
set -eu
: "${TARGET:=https://127.0.0.1:8443}" "${LISTEN:=443}"
: "${CERTIFICATE:=/etc/ssl/private/api.pem}" "${UPSTREAM_CA:=/etc/ssl/certs/ca-certificates.crt}"
: "${AKTO_DATA_INGESTION_URL:=http://127.0.0.1:9091}"
# Write each log line at once, even to a file or a pipe.
export AKTO_DATA_INGESTION_URL PYTHONUNBUFFERED=1

exec mitmdump --mode "reverse:$TARGET@$LISTEN" -s "$(akto-mirror addon-path)" --set block_global=false \
    --certs "$CERTIFICATE" \
    --set "ssl_verify_upstream_trusted_ca=$UPSTREAM_CA" \
    "$@"
