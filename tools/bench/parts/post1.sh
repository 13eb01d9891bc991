# (a) Posts of one message of 1 KiB: what durability costs, and what sharing a
# commit saves.
# shellcheck shell=bash

measure_part() {
  local round
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    disk_floor post1
    post_to embedded embedded
    post_to "embedded, a commit for each request" embedded \
      NUSKU_STORAGE__EMBEDDED__MAX_REQUESTS_PER_COMMIT=1
    post_to "embedded, with request log" embedded NUSKU_LOG__REQUESTS=true
    post_to discard discard:
  done
}

# post_to VARIANT URI [VARIABLE=VALUE...]: a server of its own for each round.
post_to() {
  local variant=$1
  shift
  start post1 "$@"
  wrk_on post1 "$variant" post1 /v2/queues/bench/messages 1 1024
  stop post1
}

report_part() {
  echo "## (a) Posts of one message of 1 KiB"
  echo
  table post1 embedded
}
