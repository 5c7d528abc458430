#!/bin/sh
# An LLM gateway that sells tokens: a control plane, a customer with one cent, an Envoy with the
# filter before a server that answers like a model. Everything is started here and stopped at the
# end.
#
#   CREDITGATE_BIN   the control plane   (default: dist/creditgate, from `cargo xtask dist`)
#   CREDITGATE_WASM  the filter          (default: dist/creditgate.wasm)
#   ENVOY_BIN        Envoy               (default: envoy on PATH)
#   MODEL_PORT       where the sample model listens (default: 18081; needs python3)
#   LISTEN_PORT, ADMIN_PORT              Envoy's ports (default: 10000 and 9901)
#   CREDITGATE_ADMIN_KEY                 the first admin key (default: a new one)
#
# `./run.sh --stay` leaves it running until Ctrl-C.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
: "${CREDITGATE_BIN:=$top/dist/creditgate}" "${CREDITGATE_WASM:=$top/dist/creditgate.wasm}" "${ENVOY_BIN:=envoy}"
: "${LISTEN_PORT:=10000}" "${ADMIN_PORT:=9901}" "${MODEL_PORT:=18081}"
work=$(mktemp -d)
stop() {
    trap - EXIT INT TERM
    for process in ${envoy:-} ${plane:-} ${model:-}; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM
command -v python3 >/dev/null || { echo "the sample model needs python3: apt-get install python3" >&2; exit 1; }

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

# 2. What tokens cost, who may ask, who pays.
api PUT /v1/rate-cards/models "@$here/rate-card.json" >/dev/null
api POST /v1/gateways '{"external_id": "edge", "rate_card": "models"}' >/dev/null
CREDITGATE_GATEWAY_KEY=$(api POST /v1/gateways/edge/keys '{}' | field key)
export CREDITGATE_GATEWAY_KEY
api POST /v1/customers '{"external_id": "acme"}' >/dev/null
wallet=$(api POST /v1/wallets '{"customer_id": "acme", "currency": "usd"}' | field id)
api POST "/v1/wallets/$wallet/top-up" '{"credits_to_add": "0.01"}' >/dev/null
key=$(api POST /v1/customers/acme/keys '{}' | field key)

# 3. The model, and Envoy before it.
python3 "$here/model.py" "$MODEL_PORT" >"$work/model.log" 2>&1 &
model=$!
sed -e "s|\${CREDITGATE_WASM}|$CREDITGATE_WASM|" -e "s|\${ACCESS_LOG}|$work/access.jsonl|" \
    -e "s|\${LISTEN_PORT}|$LISTEN_PORT|" -e "s|\${ADMIN_PORT}|$ADMIN_PORT|" \
    -e "s|\${UPSTREAM_HOST}|127.0.0.1|" -e "s|\${UPSTREAM_PORT}|$MODEL_PORT|" \
    -e "s|\${CONTROL_PLANE_PORT}|${url##*:}|" "$here/envoy.yaml" >"$work/envoy.yaml"
"$ENVOY_BIN" -c "$work/envoy.yaml" --use-dynamic-base-id --file-flush-interval-msec 50 >"$work/envoy.log" 2>&1 &
envoy=$!
wait_for "Envoy" curl --silent --fail "http://127.0.0.1:$ADMIN_PORT/ready"
gateway="http://127.0.0.1:$LISTEN_PORT"
wait_for "the model" curl --silent "http://127.0.0.1:$MODEL_PORT/"

# 4. Answers are paid by their tokens; what could cost more than there is never starts.
ask() { # path, body
    # An answer that the gateway ends is cut off behind its last event, which curl counts as a failure.
    status=$(curl --silent --no-buffer --output "$work/answer" --write-out '%{http_code}' \
        -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$2" "$gateway$1") || true
    echo; echo "POST $1  $2"; echo "→ $status"
    cat "$work/answer"; echo
}
expect() { [ "$status" = "$1" ] || { echo "expected $1" >&2; exit 1; }; }
question='"messages": [{"role": "user", "content": "What is a token?"}]'
ask /v1/chat/completions "{\"model\": \"gpt-4o-mini\", \"max_tokens\": 100, $question}"; expect 200
ask /v1/chat/completions "{\"model\": \"gpt-4o\", \"max_tokens\": 100, \"stream\": true, $question}"; expect 200
ask /v1/messages "{\"model\": \"claude-sonnet-4-5\", \"max_tokens\": 100, \"stream\": true, $question}"; expect 200
ask /v1/chat/completions "{\"model\": \"gpt-4o\", \"max_tokens\": 4000, $question}"; expect 402
# A story has no end that anybody knows: it is paid for while it passes, and ends when the credit does.
ask /v1/chat/completions "{\"model\": \"storyteller\", \"stream\": true, $question}"; expect 200
grep -q '^event: error' "$work/answer" || { echo "the story went on for free" >&2; exit 1; }

echo; echo "the balance, as the customer reads it with its key:"
curl --silent --fail-with-body -H "Authorization: Bearer $key" "$gateway/.well-known/credit-balance"; echo

# 5. The access log says what each answer was made of, and sums up to the ledger.
costs() { sed -n 's/.*"cost":"\([0-9.]*\)".*/\1/p' "$work/access.jsonl"; }
wait_for "the access log" sh -c "[ \$(grep -c '\"cost\"' '$work/access.jsonl') = 4 ]"
echo; echo "the access log:"; grep '"outcome"' "$work/access.jsonl"
logged=$(costs | awk '{ sum += $1 * 1e9 } END { printf "%.0f", sum }')
spent() { api GET "/v1/wallets/$wallet/balance" '' | field spent; }
agrees() { [ "$(spent | awk '{ printf "%.0f", $1 * 1e9 }')" = "$logged" ]; }
wait_for "the ledger to agree with the access log ($logged)" agrees
echo; echo "spent, as the ledger says: $(spent) usd; the costs in the access log sum up to the same"

if [ "${1:-}" = --stay ]; then
    echo "try: curl -N $gateway/v1/chat/completions -H 'Authorization: Bearer $key' -d '{\"model\": \"gpt-4o-mini\", \"stream\": true, $question}'   (Ctrl-C stops everything)"
    wait "$envoy"
fi
