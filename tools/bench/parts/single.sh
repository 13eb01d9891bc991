# (k) One client that waits for each answer: what a durable post takes, beside
# what the disk takes for the same bytes.
# shellcheck shell=bash

measure_part() {
  local round
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    disk_floor single
    single_on embedded embedded
    single_on discard discard:
  done
}

single_on() {
  start single "$2"
  CONNS=1 wrk_on single "$1" single /v2/queues/bench/messages 1 1024
  stop single
}

report_part() {
  echo "## (k) Posts of one message of 1 KiB by one client"
  echo
  table single "disk: append 1 KiB, fdatasync"
}
