# (h) Post one, claim one, delete one: with and without pools; and with few and
# with many queues in the catalogue.
# shellcheck shell=bash

measure_part() {
  local round name
  start plain embedded
  for name in pooled catalogued; do
    start "$name" embedded NUSKU_ADMIN_MODE=true NUSKU_POOLING__ENABLED=true
    add_pool "$name"
  done
  say "making 10 and $QUEUES queues"
  fill plain --prefill "$QUEUES" --queues 10 >/dev/null
  fill pooled --prefill "$QUEUES" --queues 10 >/dev/null
  fill catalogued --prefill "$QUEUES" --queues "$QUEUES" >/dev/null
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    cycle_on pools "without pools" plain 10
    cycle_on pools "in a pool" pooled 10
    cycle_on catalogue "10 queues" pooled 10
    cycle_on catalogue "$QUEUES queues" catalogued "$QUEUES"
  done
  for name in plain pooled catalogued; do
    stop "$name"
  done
}

# add_pool NAME: a pool in the directory of the server, which goes with it.
add_pool() {
  curl -fsS -o "$OUT/pool-$1.json" -X PUT "$(url "$1")/v2/pools/disk" \
    -H "Client-ID: $CLIENT" -H "X-Project-ID: $PROJECT" -H "X-Roles: admin" \
    -d "{\"uri\": \"embedded:${dir[$1]}/pool\", \"weight\": 1}" \
    -H "Content-Type: application/json" || die "server $1 takes no pool"
}

# cycle_on PART VARIANT NAME QUEUES
cycle_on() {
  bench_on "$1" "$2" "$3" --cyclers "$CONNS" --queues "$4" --spread random \
    --claim-limit 1 --duration "$SECONDS_EACH" --rest 0
}

report_part() {
  echo "## (h) Post one, claim one, delete one, on random queues"
  echo
  table pools "without pools"
  echo
  echo "The same in a pool, with few and with many queues:"
  echo
  table catalogue "10 queues"
}
