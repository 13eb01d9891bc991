# (b) Posts of ten messages; and working them off: claim ten, delete the ten by
# their ids.
# shellcheck shell=bash

measure_part() {
  local round
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    batches_on embedded embedded
    batches_on discard discard:
  done
}

batches_on() {
  local variant=$1 uri=$2
  start batches "$uri"
  wrk_on post10 "$variant" batches /v2/queues/bench/messages 10 1024
  stop batches

  # Enough messages that no claim comes back short.
  start batches "$uri"
  fill batches --prefill $((CYCLES * 10 + CONNS * 20)) >/dev/null
  bench_on work "$variant" batches --consumers "$CONNS" --claim-limit 10 --requests "$CYCLES"
  stop batches
}

report_part() {
  echo "## (b) Posts of ten messages of 1 KiB"
  echo
  table post10 embedded
  echo
  echo "Claims of ten messages, each followed by their deletion by ids:"
  echo
  table work embedded
}
