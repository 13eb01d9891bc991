# (g) What it costs to know who is calling: posts of one message of 1 KiB by
# callers that are believed, that have a token of a file, and that have a token
# that Keystone was asked about before.
# shellcheck shell=bash

# What Keystone's tokens look like, give or take.
KEYSTONE_TOKEN=gAAAAAB$(printf 'x%.0s' {1..180})

measure_part() {
  local round tokens=$OUT/tokens.toml token
  need python3
  rm -f "$tokens"
  token=$("$NUSKU" token create --file "$tokens" --project "$PROJECT" --role member 2>/dev/null)
  port[keystone]=$(free_port)
  tools/bench/keystone_stub "${port[keystone]}" >>"$OUT/keystone.log" 2>&1 &
  pid[keystone]=$!
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    for uri in discard: embedded; do
      post_as noauth "$uri" ""
      post_as tokens "$uri" "$token" NUSKU_AUTH__STRATEGY=tokens NUSKU_AUTH__TOKENS__FILE="$tokens"
      post_as keystone "$uri" "$KEYSTONE_TOKEN" NUSKU_AUTH__STRATEGY=keystone \
        NUSKU_AUTH__KEYSTONE__AUTH_URL="$(url keystone)" \
        NUSKU_AUTH__KEYSTONE__APPLICATION_CREDENTIAL_ID=bench \
        NUSKU_AUTH__KEYSTONE__APPLICATION_CREDENTIAL_SECRET=bench
    done
  done
  stop keystone
}

# post_as STRATEGY URI TOKEN [VARIABLE=VALUE...]: a server of its own for each round.
post_as() {
  local strategy=$1 uri=$2
  export BENCH_TOKEN=$3
  shift 3
  start auth "$uri" "$@"
  wrk_on "auth-${uri%:}" "$strategy" auth /v2/queues/bench/messages 1 1024
  stop auth
  unset BENCH_TOKEN
}

report_part() {
  echo "## (g) Knowing who is calling: posts of one message of 1 KiB"
  local store
  for store in discard embedded; do
    echo
    echo "Store: $store"
    echo
    table "auth-$store" noauth
  done
}
