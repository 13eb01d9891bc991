# (d) Posts to a queue picked at random among few and among many; and a page of
# the list of queues.
# shellcheck shell=bash

measure_part() {
  local round name
  start few embedded
  start many embedded
  say "making 10 and $QUEUES queues"
  fill few --prefill "$QUEUES" --queues 10 >/dev/null
  fill many --prefill "$QUEUES" --queues "$QUEUES" >/dev/null
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    random_posts few 10
    random_posts many "$QUEUES"
    for name in few many; do
      wrk_on queue_list "$(queues_variant "$name")" "$name" \
        '/v2/queues?limit=5&marker=nusku-bench-4'
    done
  done
  stop few
  stop many
}

random_posts() {
  bench_on queues "$(queues_variant "$1")" "$1" --producers "$CONNS" --queues "$2" \
    --spread random --duration "$SECONDS_EACH"
}

queues_variant() {
  if [[ $1 == few ]]; then echo "10 queues"; else echo "$QUEUES queues"; fi
}

report_part() {
  echo "## (d) Posts of one message of 1 KiB to random queues"
  echo
  table queues "10 queues"
  echo
  echo "A page of five of the list of queues:"
  echo
  table queue_list "10 queues"
}
