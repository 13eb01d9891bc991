# (i) Waiting: how soon a claim that waits is answered after a post, on an idle
# server and beside many that wait; what those cost while nothing happens.
# shellcheck shell=bash

measure_part() {
  local round
  need python3
  ulimit -n "$(ulimit -Hn)"
  # The server has two files open for each connection.
  (($(ulimit -n) > 2 * WAITERS + 500)) || die "$WAITERS waiters need more open files (ulimit -n)"
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    start waiting embedded
    wake_on "nobody else waits"
    beside "$WAITERS wait for one queue" 1
    stop waiting
    start waiting embedded
    beside "$WAITERS wait for $WAITERS queues" "$WAITERS"
    stop waiting
  done
}

# wake_on VARIANT
wake_on() {
  local p50 p99 max
  read -r p50 p99 max < <(tools/bench/waiters wake "${port[waiting]}" "$WAKES") ||
    die "nobody was woken"
  record waiting "$1" "post to claim p50 ms" "$p50"
  record waiting "$1" "post to claim p99 ms" "$p99"
  record waiting "$1" "post to claim max ms" "$max"
}

# beside VARIANT QUEUES: the claims of $WAITERS clients wait meanwhile. All is
# over before their 20 seconds are.
beside() {
  local variant=$1 queues=$2 memory used said idle
  memory=$(rss waiting)
  coproc IDLE { exec tools/bench/waiters idle "${port[waiting]}" "$WAITERS" "$queues"; }
  idle=$IDLE_PID
  read -r said <&"${IDLE[0]}"
  [[ $said == waiting ]] || die "$WAITERS clients could not wait"
  used=$(cpu_seconds waiting)
  sleep 5
  record waiting "$variant" "idle CPU %" \
    "$(awk -v a="$used" -v b="$(cpu_seconds waiting)" 'BEGIN { printf "%.2f", (b - a) * 20 }')"
  record waiting "$variant" "memory KiB/waiter" \
    "$(awk -v a="$memory" -v b="$(rss waiting)" -v n="$WAITERS" \
      'BEGIN { printf "%.2f", (b - a) * 1024 / n }')"
  WAKES=200 wake_on "$variant"
  eval "exec ${IDLE[1]}>&-"
  wait "$idle" || die "those who waited were not left in peace"
}

report_part() {
  echo "## (i) Waiting"
  echo
  echo "Memory is what the server grew by, connections included."
  echo
  table waiting "nobody else waits"
}
