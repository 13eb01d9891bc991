# Shared by the parts about connections that wait: what a crowd of them costs, and how
# soon one is told. Source tools/bench/lib.sh first.
# shellcheck shell=bash

# allow_crowd COUNT: lets the servers and clients to come have that many connections.
allow_crowd() {
  need python3
  ulimit -n "$(ulimit -Hn)"
  # The server has two files open for each connection.
  (($(ulimit -n) > 2 * $1 + 500)) || die "$1 connections need more open files (ulimit -n)"
}

# gather PART VARIANT NAME UNIT COUNT COMMAND...: COMMAND has COUNT clients connect to
# server NAME, says "ready" and stays until its input ends, which `disperse` sees to.
# Records what each UNIT of them costs while nothing happens.
gather() {
  local part=$1 variant=$2 name=$3 unit=$4 count=$5 memory used said
  shift 5
  memory=$(rss "$name")
  coproc CROWD { exec "$@"; }
  crowd=$CROWD_PID
  read -r said <&"${CROWD[0]}" || true
  [[ $said == ready ]] || die "no crowd: $*"
  # What came with the last of them is over then.
  sleep 1
  used=$(cpu_seconds "$name")
  sleep 5
  record "$part" "$variant" "idle CPU %" \
    "$(awk -v a="$used" -v b="$(cpu_seconds "$name")" 'BEGIN { printf "%.2f", (b - a) * 20 }')"
  record "$part" "$variant" "memory KiB/$unit" \
    "$(awk -v a="$memory" -v b="$(rss "$name")" -v n="$count" \
      'BEGIN { printf "%.2f", (b - a) * 1024 / n }')"
}

disperse() {
  eval "exec ${CROWD[1]}>&-"
  wait "$crowd" || die "the crowd was not left in peace"
}

# latencies PART VARIANT WHAT COMMAND...: COMMAND prints p50, p99 and max.
latencies() {
  local part=$1 variant=$2 what=$3 said p50 p99 max
  shift 3
  said=$("$@") || die "no figures: $*"
  read -r p50 p99 max <<<"$said"
  record "$part" "$variant" "$what p50 ms" "$p50"
  record "$part" "$variant" "$what p99 ms" "$p99"
  record "$part" "$variant" "$what max ms" "$max"
}
