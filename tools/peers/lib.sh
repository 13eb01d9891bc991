# Shared by the peers of tools/peers/run: what each can do, by its name, and how it is
# waited for. Source tools/bench/lib.sh and tools/bench/peers.sh first.
# shellcheck shell=bash

# Of each peer, by its name: how a table calls it, what the load speaks to it, what
# tools/provision installs for it, how many messages a second it may come to consume in
# batches (more than that are laid out for consumers), and its servers, by their names
# in `pid`. Besides, each has the functions
#   serve_PEER DIRECTORY MODE   starts it; MODE is durable, or filling for peers that
#                               flush each message by itself: they may leave that out
#                               while they are filled, and are started again after it
#   describe_PEER               a line of the report
declare -A title protocol packages consumes servers fills_apart

# await_port NAME: returns when the server accepts connections.
await_port() {
  local tries=0
  until { exec 3<>"/dev/tcp/127.0.0.1/${port[$1]}"; } 2>/dev/null; do
    kill -0 "${pid[$1]}" 2>/dev/null || die "$1 died: see $OUT/server-$1.log"
    ((++tries < 6000)) || die "$1 does not answer: see $OUT/server-$1.log"
    sleep 0.02
  done
  exec 3<&-
}

# serve PEER DIRECTORY MODE
serve() {
  mkdir -p "$2"
  "serve_$1" "$(realpath "$2")" "$3"
}

# stop_peer PEER: its data stay.
stop_peer() {
  local name
  for name in ${servers[$1]}; do
    stop "$name"
  done
}

# processes_of PEER: flags that tell the load which processes are the peer.
processes_of() {
  local name
  for name in ${servers[$1]}; do
    echo "--process=${pid[$name]}"
  done
}

# port_of PEER: where clients connect.
port_of() {
  local names
  read -ra names <<<"${servers[$1]}"
  echo "${port[${names[0]}]}"
}

# unprivileged COMMAND...: as nobody, if this is root; some servers refuse to be root's.
unprivileged() {
  if ((EUID)); then
    exec "$@"
  else
    exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
  fi
}
