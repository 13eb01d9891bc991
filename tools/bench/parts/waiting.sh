# (i) Waiting: how soon a claim that waits is answered after a post, on an idle
# server and beside many that wait; what those cost while nothing happens.
# shellcheck shell=bash

source tools/bench/crowds.sh

measure_part() {
  local round
  allow_crowd "$WAITERS"
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    start waiting embedded
    wake "nobody else waits" "$WAKES"
    beside "$WAITERS wait for one queue" 1
    stop waiting
    start waiting embedded
    beside "$WAITERS wait for $WAITERS queues" "$WAITERS"
    stop waiting
  done
}

# wake VARIANT TIMES
wake() {
  latencies waiting "$1" "post to claim" tools/bench/waiters wake "${port[waiting]}" "$2"
}

# beside VARIANT QUEUES: the claims of $WAITERS clients wait meanwhile. All is
# over before their 20 seconds are.
beside() {
  gather waiting "$1" waiting waiter "$WAITERS" \
    tools/bench/waiters idle "${port[waiting]}" "$WAITERS" "$2"
  wake "$1" 200
  disperse
}

report_part() {
  echo "## (i) Waiting"
  echo
  echo "Memory is what the server grew by, connections included."
  echo
  table waiting "nobody else waits"
}
