# NATS with a work queue of JetStream, flushed at every write.
# shellcheck shell=bash

title[nats]="NATS JetStream"
protocol[nats]=nats
packages[nats]=nats
consumes[nats]=15000
servers[nats]=nats
fills_apart[nats]=yes

serve_nats() {
  local flushes="sync_interval: always"
  [[ $2 == durable ]] || flushes=
  port[nats]=$(free_port)
  cat >"$1/nats.conf" <<SETTINGS
listen: 127.0.0.1:${port[nats]}
jetstream {
  store_dir: "$1/data"
  $flushes
}
SETTINGS
  "$NUSKU_TEST_NATS/bin/nats-server" -c "$1/nats.conf" >>"$OUT/server-nats.log" 2>&1 &
  pid[nats]=$!
  await_port nats
}

describe_nats() {
  echo "- NATS $("$NUSKU_TEST_NATS/bin/nats-server" --version | sed 's/.*: v//'): a JetStream work queue of one replica in" \
    "files; every message and every acknowledgement is flushed (\`sync_interval: always\`) and answered"
}
