# (j) What a subscriber costs those who post: posts of one message of 1 KiB to a queue
# that nobody subscribed to, and to one with a webhook. A second server, which keeps
# nothing, is told.
# shellcheck shell=bash

measure_part() {
  local round before after
  start receiver discard:
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    start subscribed embedded
    wrk_on subscribed "nobody subscribed" subscribed /v2/queues/bench/messages 1 1024
    stop subscribed
    start subscribed embedded NUSKU_NOTIFICATION__WEBHOOK__ALLOWED_NETWORKS=127.0.0.1
    subscribe subscribed receiver
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

# subscribe NAME RECEIVER: the queue of the posts, with RECEIVER's queue as its webhook.
subscribe() {
  local options='{"post_headers": {"Client-ID": "'$CLIENT'", "X-Project-ID": "'$PROJECT'"},
    "post_data": "{\"messages\": [{\"body\": \"$zaqar_message$\"}]}"}'
  curl -fsS -o /dev/null "$(url "$1")/v2/queues/bench/subscriptions" \
    -H "Client-ID: $CLIENT" -H "X-Project-ID: $PROJECT" -H "Content-Type: application/json" \
    -d "{\"subscriber\": \"$(url "$2")/v2/queues/told/messages\", \"options\": $options}" ||
    die "server $1 takes no subscription"
}

# received NAME: how many messages a server has seen that keeps nothing; it numbers them.
received() {
  local id
  id=$(curl -fsS "$(url "$1")/v2/queues/told/messages" -H "Client-ID: $CLIENT" \
    -H "X-Project-ID: $PROJECT" -H "Content-Type: application/json" \
    -d '{"messages": [{"body": 1}]}' | jq -r '.resources[0]') || die "server $1 takes no message"
  echo $((16#${id: -16}))
}

report_part() {
  echo "## (j) Posts of one message of 1 KiB to a queue with a subscriber"
  echo
  table subscribed "nobody subscribed"
}
