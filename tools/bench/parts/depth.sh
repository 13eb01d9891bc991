# (c) The same work on a queue that is empty, on one where many messages wait,
# and on one from which as many were deleted.
# shellcheck shell=bash

measure_part() {
  local round name
  for name in empty deep drained; do
    start "$name" embedded
  done
  say "filling in two times $MESSAGES messages, deleting one half"
  fill deep --prefill "$MESSAGES" --ttl 86400 >/dev/null
  fill drained --prefill "$MESSAGES" --ttl 86400 --consumers 16 --claim-limit 20 --drain >/dev/null
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    for name in empty deep drained; do
      bench_on depth "$(depth_variant "$name")" "$name" --cyclers "$CONNS" --batch 10 \
        --claim-limit 10 --duration "$SECONDS_EACH" --rest 0
    done
  done
  for name in empty deep drained; do
    stop "$name"
  done
}

depth_variant() {
  case $1 in
    empty) echo "empty queue" ;;
    deep) echo "$MESSAGES messages wait" ;;
    drained) echo "$MESSAGES messages were deleted" ;;
  esac
}

report_part() {
  echo "## (c) Post ten, claim ten, delete ten, on queues of different depth"
  echo
  table depth "empty queue"
}
