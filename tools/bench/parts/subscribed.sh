# (j) What a subscriber costs those who post: posts of one message of 1 KiB to a queue
# that nobody subscribed to, and to one with a webhook. A second server, which keeps
# nothing, is told.
# shellcheck shell=bash

source tools/bench/receivers.sh

measure_part() {
  local round before after
  start receiver discard:
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    start subscribed embedded
    wrk_on subscribed "nobody subscribed" subscribed /v2/queues/bench/messages 1 1024
    stop subscribed
    start subscribed embedded "$MAY_TELL"
    subscribe subscribed bench receiver
    before=$(received receiver)
    wrk_on subscribed "a webhook" subscribed /v2/queues/bench/messages 1 1024
    after=$(received receiver)
    record subscribed "a webhook" "notifications/s, beside" $(((after - before) / SECONDS_EACH))
    # What was posted is more than could be told meanwhile.
    sleep 2
    record subscribed "a webhook" "notifications/s, after" $((($(received receiver) - after) / 2))
    stop subscribed
  done
  stop receiver
}

report_part() {
  echo "## (j) Posts of one message of 1 KiB to a queue with a subscriber"
  echo
  table subscribed "nobody subscribed"
}
