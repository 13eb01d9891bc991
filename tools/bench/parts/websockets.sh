# (l) WebSockets: how soon a message is pushed after its post, alone and beside many
# connections that do nothing; what those cost. All of them authenticate with a token.
# shellcheck shell=bash

source tools/bench/crowds.sh

measure_part() {
  local round tokens=$OUT/websocket-tokens.toml
  allow_crowd "$WEBSOCKETS"
  rm -f "$tokens"
  BENCH_TOKEN=$("$NUSKU" token create --file "$tokens" --project "$PROJECT" --role member \
    2>/dev/null)
  export BENCH_TOKEN
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    serve_websockets 60
    push "nobody else is there" "$WAKES"
    beside "$WEBSOCKETS authenticated" idle
    stop websockets
    serve_websockets 60
    beside "$WEBSOCKETS subscribed" subscribed
    stop websockets
    serve_websockets 5
    beside "$WEBSOCKETS subscribed, a ping every 5 s" subscribed
    stop websockets
  done
  unset BENCH_TOKEN
}

# serve_websockets SECONDS: between pings.
serve_websockets() {
  start websockets embedded NUSKU_AUTH__STRATEGY=tokens NUSKU_AUTH__TOKENS__FILE="$tokens" \
    NUSKU_WEBSOCKET__MAX_CONNECTIONS="$((WEBSOCKETS + 10))" \
    NUSKU_WEBSOCKET__PING_INTERVAL="$1"
}

# push VARIANT TIMES
push() {
  latencies websockets "$1" "post to push" tools/bench/websockets push "${port[websockets]}" "$2"
}

# beside VARIANT MODE: $WEBSOCKETS connections do what MODE of the client says meanwhile.
beside() {
  gather websockets "$1" websockets connection "$WEBSOCKETS" \
    tools/bench/websockets "$2" "${port[websockets]}" "$WEBSOCKETS"
  push "$1" 200
  disperse
}

report_part() {
  echo "## (l) Idle WebSockets"
  echo
  echo "Memory is what the server grew by. Pings come every 60 seconds, so none in the five"
  echo "of the processor time, unless it says so: then each connection is pinged once in them."
  echo
  table websockets "nobody else is there"
}
