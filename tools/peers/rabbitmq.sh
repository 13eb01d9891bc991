# RabbitMQ with a quorum queue.
# shellcheck shell=bash

title[rabbitmq]="RabbitMQ"
protocol[rabbitmq]=rabbitmq
packages[rabbitmq]=rabbitmq
consumes[rabbitmq]=60000
servers[rabbitmq]="rabbitmq epmd"

# rabbitmq_home: where its scripts are.
rabbitmq_home() { echo "$NUSKU_TEST_RABBITMQ"/usr/lib/rabbitmq/lib/rabbitmq_server-*; }

# Erlang looks for its other nodes by a daemon of its own, which the first node would
# leave behind; so that is started here. Without an environment that is not ours:
# RabbitMQ is set by variables as well as by files.
serve_rabbitmq() {
  local erlang=$NUSKU_TEST_RABBITMQ/usr/lib/erlang
  port[epmd]=$(free_port)
  "$erlang"/erts-*/bin/epmd -address 127.0.0.1 -port "${port[epmd]}" >>"$OUT/server-epmd.log" 2>&1 &
  pid[epmd]=$!
  await_port epmd
  port[rabbitmq]=$(free_port)
  cat >"$1/rabbitmq.conf" <<SETTINGS
listeners.tcp.default = 127.0.0.1:${port[rabbitmq]}
vm_memory_high_watermark.relative = 0.6
disk_free_limit.absolute = 100MB
log.file.level = warning
SETTINGS
  # Under systemd its script becomes the server, instead of waiting for it.
  env -i HOME="$1" PATH="$erlang/bin:$PATH" LANG=C.UTF-8 RUNNING_UNDER_SYSTEMD=true \
    ERL_EPMD_PORT="${port[epmd]}" ERL_EPMD_ADDRESS=127.0.0.1 \
    RABBITMQ_NODENAME=peers@localhost RABBITMQ_DIST_PORT="$(free_port)" \
    RABBITMQ_CONFIG_FILE="$1/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_MNESIA_BASE="$1/mnesia" RABBITMQ_LOG_BASE="$1/log" \
    RABBITMQ_GENERATED_CONFIG_DIR="$1/config" RABBITMQ_ENABLED_PLUGINS_FILE="$1/plugins" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none" \
    "$(rabbitmq_home)/sbin/rabbitmq-server" >>"$OUT/server-rabbitmq.log" 2>&1 &
  pid[rabbitmq]=$!
  await_port rabbitmq
}

describe_rabbitmq() {
  echo "- RabbitMQ $(rabbitmq_home | sed 's/.*-//'): a quorum queue of one node, which flushes its log before it confirms;" \
    "AMQP has no answer to an acknowledgement, so none is waited for"
}
