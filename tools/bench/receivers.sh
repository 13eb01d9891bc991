# Shared by the measurements of notifications: a server that keeps nothing is told, as
# it numbers what it is posted. Source tools/bench/lib.sh first.
# shellcheck shell=bash

# What a nusku needs to tell somebody on this machine.
MAY_TELL=NUSKU_NOTIFICATION__WEBHOOK__ALLOWED_NETWORKS=127.0.0.1

# subscribe NAME QUEUE RECEIVER: RECEIVER's queue as a webhook of that queue of NAME's.
subscribe() {
  local options='{"post_headers": {"Client-ID": "'$CLIENT'", "X-Project-ID": "'$PROJECT'"},
    "post_data": "{\"messages\": [{\"body\": \"$zaqar_message$\"}]}"}'
  curl -fsS -o /dev/null "$(url "$1")/v2/queues/$2/subscriptions" \
    -H "Client-ID: $CLIENT" -H "X-Project-ID: $PROJECT" -H "Content-Type: application/json" \
    -d "{\"subscriber\": \"$(url "$3")/v2/queues/told/messages\", \"options\": $options}" ||
    die "server $1 takes no subscription"
}

# received NAME: how many messages a server has seen that keeps nothing, with the one
# that asks.
received() {
  local id
  id=$(curl -fsS "$(url "$1")/v2/queues/told/messages" -H "Client-ID: $CLIENT" \
    -H "X-Project-ID: $PROJECT" -H "Content-Type: application/json" \
    -d '{"messages": [{"body": 1}]}' | jq -r '.resources[0]') || die "server $1 takes no message"
  echo $((16#${id: -16}))
}
