#!/bin/sh
# From nothing to the first 402: a control plane, a customer with two tokens, an Envoy with the
# filter before an upstream. Everything is started here and stopped at the end.
#
#   CREDITGATE_BIN   the control plane   (default: dist/creditgate, from `cargo xtask dist`)
#   CREDITGATE_WASM  the filter          (default: dist/creditgate.wasm)
#   ENVOY_BIN        Envoy               (default: envoy on PATH)
#   UPSTREAM_HOST, UPSTREAM_PORT         your upstream (default: a small file server by python3)
#   LISTEN_PORT, ADMIN_PORT              Envoy's ports (default: 10000 and 9901)
#   CREDITGATE_ADMIN_KEY                 the first admin key (default: a new one)
#
# `./run.sh --stay` leaves it running until Ctrl-C.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
: "${CREDITGATE_BIN:=$top/dist/creditgate}" "${CREDITGATE_WASM:=$top/dist/creditgate.wasm}" "${ENVOY_BIN:=envoy}"
: "${LISTEN_PORT:=10000}" "${ADMIN_PORT:=9901}" "${UPSTREAM_HOST:=127.0.0.1}" "${UPSTREAM_PORT:=}"
work=$(mktemp -d)
stop() {
    trap - EXIT INT TERM
    for process in ${envoy:-} ${plane:-} ${upstream:-}; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
wait_for() { # what, command…
    what=$1; shift
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "waited in vain: $what" >&2; tail -n 20 "$work"/*.log >&2; exit 1
}

# 1. The control plane, with its database in one file.
[ -n "${CREDITGATE_ADMIN_KEY:-}" ] || CREDITGATE_ADMIN_KEY=$("$CREDITGATE_BIN" key new)
export CREDITGATE_ADMIN_KEY
"$CREDITGATE_BIN" serve --listen 127.0.0.1:0 --database "sqlite:$work/creditgate.db" >"$work/control-plane.log" 2>&1 &
plane=$!
wait_for "the control plane" grep -q "listening on" "$work/control-plane.log"
url=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$work/control-plane.log")
api() { # method, path, body
    curl --silent --show-error --fail-with-body -X "$1" "$url$2" \
        -H "Authorization: Bearer $CREDITGATE_ADMIN_KEY" -H 'Content-Type: application/json' -d "$3"
}

# 2. What things cost, who may ask, who pays.
api POST /v1/currencies '{"code": "tokens", "scale": 0}' >/dev/null
api PUT /v1/rate-cards/standard "@$here/rate-card.json" >/dev/null
api POST /v1/gateways '{"external_id": "edge", "rate_card": "standard"}' >/dev/null
CREDITGATE_GATEWAY_KEY=$(api POST /v1/gateways/edge/keys '{}' | field key)
export CREDITGATE_GATEWAY_KEY
api POST /v1/customers '{"external_id": "acme"}' >/dev/null
wallet=$(api POST /v1/wallets '{"customer_id": "acme", "currency": "tokens"}' | field id)
api POST "/v1/wallets/$wallet/top-up" '{"credits_to_add": "2"}' >/dev/null
key=$(api POST /v1/customers/acme/keys '{}' | field key)

# 3. Envoy, before the upstream.
if [ -z "$UPSTREAM_PORT" ]; then
    UPSTREAM_PORT=18080
    mkdir "$work/site" && echo "hello from the upstream" >"$work/site/index.html"
    python3 -m http.server --bind 127.0.0.1 --directory "$work/site" "$UPSTREAM_PORT" >"$work/upstream.log" 2>&1 &
    upstream=$!
fi
sed -e "s|\${CREDITGATE_WASM}|$CREDITGATE_WASM|" -e "s|\${ACCESS_LOG}|$work/access.log|" \
    -e "s|\${LISTEN_PORT}|$LISTEN_PORT|" -e "s|\${ADMIN_PORT}|$ADMIN_PORT|" \
    -e "s|\${UPSTREAM_HOST}|$UPSTREAM_HOST|" -e "s|\${UPSTREAM_PORT}|$UPSTREAM_PORT|" \
    -e "s|\${CONTROL_PLANE_PORT}|${url##*:}|" "$here/envoy.yaml" >"$work/envoy.yaml"
"$ENVOY_BIN" -c "$work/envoy.yaml" --use-dynamic-base-id --file-flush-interval-msec 50 >"$work/envoy.log" 2>&1 &
envoy=$!
wait_for "Envoy" curl --silent --fail "http://127.0.0.1:$ADMIN_PORT/ready"

# 4. Two requests are paid, the third is refused, a top-up pays for the next.
ask() {
    status=$(curl --silent --output "$work/answer" --write-out '%{http_code}' \
        -H "x-api-key: $key" "http://127.0.0.1:$LISTEN_PORT/")
    echo "GET /  →  $status  $(head -c 120 "$work/answer")"
}
expect() { [ "$status" = "$1" ] || { echo "expected $1" >&2; exit 1; }; }
ask; expect 200
ask; expect 200
ask; expect 402
api POST "/v1/wallets/$wallet/top-up" '{"credits_to_add": "1"}' >/dev/null
echo "a top-up of 1 token"
pays() { ask >"$work/asked"; [ "$status" = 200 ]; }
wait_for "the top-up pays" pays
cat "$work/asked"
ask; expect 402
echo "spent, as the ledger says: $(api GET "/v1/wallets/$wallet/balance" '' | field spent) tokens"

if [ "${1:-}" = --stay ]; then
    echo "try: curl -i -H 'x-api-key: $key' http://127.0.0.1:$LISTEN_PORT/   (Ctrl-C stops everything)"
    wait "$envoy"
fi
