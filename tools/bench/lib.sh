# Shared by tools/bench/run and its parts: servers, generators, figures.
# shellcheck shell=bash

SECONDS_EACH=${BENCH_SECONDS:-10}
ROUNDS=${BENCH_ROUNDS:-3}
CONNS=${BENCH_CONNS:-64}
MESSAGES=${BENCH_MESSAGES:-1000000}
CYCLES=${BENCH_CYCLES:-20000}
QUEUES=${BENCH_QUEUES:-100000}
WAITERS=${BENCH_WAITERS:-10000}
WAKES=${BENCH_WAKES:-1000}
WEBSOCKETS=${BENCH_WEBSOCKETS:-10000}
OUT=${BENCH_OUT:-target/bench/$(date +%Y%m%d-%H%M%S)}
DATA=${BENCH_DATA:-$OUT}
NUSKU=${BENCH_NUSKU:-}

CLIENT=9f1c43a6-52e2-4c8e-9a57-0f4d5b1c7a10
PROJECT=nusku-bench

declare -A pid port dir   # of each server, by its name
declare -A helpers        # servers that work for a server, by its name

say() { echo "bench: $*" >&2; }
die() { say "$*"; exit 1; }

need() {
  local tool missing=()
  for tool in "$@"; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || die "missing: ${missing[*]} (Debian: apt install wrk jq mawk curl)"
}

prepare() {
  if [[ -z $NUSKU ]]; then
    cargo build --release
    NUSKU=${CARGO_TARGET_DIR:-target}/release/nusku
  fi
  [[ -x $NUSKU ]] || die "$NUSKU cannot be run"
  mkdir -p "$OUT" "$DATA"
  : >"$OUT/results.tsv"
  trap stop_all EXIT
  trap 'exit 130' INT TERM
}

# ---------------------------------------------------------------- servers

# start NAME URI [VARIABLE=VALUE...]: a server; URI "embedded" means a fresh
# directory. Request logs are off unless a variable says otherwise.
start() {
  local name=$1 uri=$2
  shift 2
  if [[ $uri == embedded ]]; then
    dir[$name]=$(mktemp -d "$DATA/data-$name-XXXXXX")
    uri=embedded:${dir[$name]}
  fi
  launch "$name" "$uri" "$@"
  await "$name"
}

# launch NAME URI [VARIABLE=VALUE...]: starts the process, does not wait.
launch() {
  local name=$1 uri=$2
  shift 2
  port[$name]=$(free_port)
  env NUSKU_LOG__REQUESTS=false NUSKU_WEBSOCKET__ENABLED=false "$@" \
    "$NUSKU" serve --bind 127.0.0.1 --port "${port[$name]}" --storage "$uri" \
    >>"$OUT/server-$name.log" 2>&1 &
  pid[$name]=$!
}

# await NAME: returns when the server has answered its first ping.
await() {
  local name=$1 tries=0
  until ping_once "$name"; do
    kill -0 "${pid[$name]}" 2>/dev/null || die "server $name died: see $OUT/server-$name.log"
    ((++tries < 30000)) || die "server $name does not answer: see $OUT/server-$name.log"
    sleep 0.002
  done
}

ping_once() {
  local status
  { exec 3<>"/dev/tcp/127.0.0.1/${port[$1]}"; } 2>/dev/null || return 1
  printf 'GET /v2/ping HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n%s\r\n%s\r\n%s\r\n\r\n' \
    "Client-ID: $CLIENT" "X-Project-ID: $PROJECT" "X-Auth-Token: ${BENCH_TOKEN:-none}" >&3
  IFS= read -r status <&3 || status=
  exec 3<&-
  [[ $status == *" 204"* ]]
}

free_port() {
  local candidate
  while :; do
    candidate=$((20000 + RANDOM % 12000))
    { exec 4<>"/dev/tcp/127.0.0.1/$candidate"; } 2>/dev/null || break
    exec 4<&-
  done
  echo "$candidate"
}

# stop NAME [keep]: ends the server, and its data unless it is to be kept.
stop() {
  local name=$1
  if [[ -n ${pid[$name]:-} ]]; then
    kill "${pid[$name]}" 2>/dev/null || true
    wait "${pid[$name]}" 2>/dev/null || true
    unset "pid[$name]"
  fi
  if [[ ${2:-} != keep && -n ${dir[$name]:-} ]]; then
    rm -rf "${dir[$name]}"
    unset "dir[$name]"
  fi
}

stop_all() {
  local name
  for name in "${!pid[@]}" "${!dir[@]}"; do
    stop "$name"
  done
}

url() { echo "http://127.0.0.1:${port[$1]}"; }

# rss NAME: resident memory of the server, in MiB.
rss() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/${pid[$1]}/status"; }

# cpu_seconds NAME: what the server, with its workers and its helpers, has used
# of the processors so far.
cpu_seconds() {
  local name process
  for name in "$1" ${helpers[$1]:-}; do
    for process in "${pid[$name]}" $(<"/proc/${pid[$name]}/task/${pid[$name]}/children"); do
      cat "/proc/$process/stat"
    done
  done | awk -v hertz="$(getconf CLK_TCK)" \
    '{ sub(/.*\) /, ""); used += $12 + $13 } END { print used / hertz }'
}

# rss_peak NAME: the most it ever was, in MiB.
rss_peak() { awk '/^VmHWM/ { printf "%.1f", $2 / 1024 }' "/proc/${pid[$1]}/status"; }

# ------------------------------------------------------------- generators

# wrk_on PART VARIANT NAME ARG...: wrk against server NAME with the arguments of
# load.lua; records requests/s and latencies, and what a request costs the
# server. Fails loudly if a single request failed.
wrk_on() {
  local part=$1 variant=$2 name=$3 result before
  shift 3
  before=$(cpu_seconds "$name")
  result=$(wrk -t1 -c"$CONNS" -d"${SECONDS_EACH}s" -s tools/bench/load.lua \
    "$(url "$name")" -- "$@" | awk '$1 == "RESULT"')
  local mark rate errors p50 p99 max
  read -r mark rate errors p50 p99 max <<<"$result"
  [[ $mark == RESULT ]] || die "wrk gave no result for $part $variant"
  [[ $errors == 0 ]] || die "$errors requests of $part $variant failed"
  record "$part" "$variant" "requests/s" "$rate"
  record "$part" "$variant" "p50 ms" "$p50"
  record "$part" "$variant" "p99 ms" "$p99"
  record "$part" "$variant" "max ms" "$max"
  record "$part" "$variant" "server CPU us/request" "$(awk -v used="$(cpu_seconds "$name")" \
    -v before="$before" -v requests="$rate" -v seconds="$SECONDS_EACH" \
    'BEGIN { printf "%.2f", (used - before) * 1e6 / (requests * seconds) }')"
}

# bench_on PART VARIANT NAME FLAG...: nusku bench against server NAME; records
# every operation, and what a request costs the server. nusku bench itself
# fails if a single request did.
bench_on() {
  local part=$1 variant=$2 name=$3 json before used
  shift 3
  before=$(cpu_seconds "$name")
  json=$("$NUSKU" bench --url "$(url "$name")" --project "$PROJECT" --no-clean --json "$@") ||
    die "nusku bench failed in $part $variant: $json"
  used=$(cpu_seconds "$name")
  jq -r --arg part "$part" --arg variant "$variant" --argjson used "$used" \
    --argjson before "$before" '
    (.operations[] | .operation as $operation
      | [["requests/s", .requests_per_second], ["messages/s", .messages_per_second],
         ["p50 ms", .latency_ms.p50], ["p99 ms", .latency_ms.p99], ["max ms", .latency_ms.max]][]
      | [$part, $variant, "\($operation) \(.[0])", .[1]]),
    (.elapsed_seconds as $seconds | .operations[] | select(.empty > 0)
      | [$part, $variant, "\(.operation) empty answers/s", .empty / $seconds]),
    [$part, $variant, "server CPU us/request",
     ($used - $before) * 1e6 / ([.operations[] | .requests + .empty] | add)]
    | @tsv' <<<"$json" >>"$OUT/results.tsv"
}

# fill NAME FLAG...: puts messages into server NAME, or works on them, without
# recording it; prints the report.
fill() {
  local name=$1
  shift
  "$NUSKU" bench --url "$(url "$name")" --project "$PROJECT" --no-clean --json "$@" ||
    die "could not prepare server $name"
}

# disk_floor PART: what the disk does without any server.
disk_floor() {
  local json
  json=$("$NUSKU" bench --disk "$DATA" --duration 3 --json) || die "cannot measure the disk"
  record "$1" "disk: append 1 KiB, fdatasync" "requests/s" "$(jq .flushes_per_second <<<"$json")"
  record "$1" "disk: append 1 KiB, fdatasync" "p50 ms" "$(jq .latency_ms.p50 <<<"$json")"
  record "$1" "disk: append 1 KiB, fdatasync" "p99 ms" "$(jq .latency_ms.p99 <<<"$json")"
  record "$1" "disk: append 1 KiB, fdatasync" "max ms" "$(jq .latency_ms.max <<<"$json")"
}

# ---------------------------------------------------------------- figures

# record PART VARIANT METRIC VALUE
record() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$OUT/results.tsv"; }

# table PART BASE: from results.tsv, or $RESULTS: a column for each variant, BASE first, a row for each figure:
# the median of the rounds (least - most), and its ratio to that of BASE.
table() {
  awk -F'\t' -v part="$1" -v base="$2" '
    function sorted(text, values,   n, i, j, swap) {
      n = split(text, values, " ")
      for (i = 2; i <= n; i++)
        for (j = i; j > 1 && values[j - 1] + 0 > values[j] + 0; j--) {
          swap = values[j]; values[j] = values[j - 1]; values[j - 1] = swap
        }
      return n
    }
    function median(text,   values, n) {
      n = sorted(text, values)
      return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    function figure(value) {
      return value >= 100 ? sprintf("%.0f", value) : sprintf("%.3g", value)
    }
    function cell(variant, name,   text, values, n, middle, other, ratio) {
      text = all[variant, name]
      if (text == "") return "-"
      middle = median(text)
      n = sorted(text, values)
      if (variant != base && (base, name) in all) {
        other = median(all[base, name])
        ratio = other > 0 ? sprintf(", **x %.2f**", middle / other) : ""
      }
      return figure(middle) " (" figure(values[1]) " - " figure(values[n]) ")" ratio
    }
    $1 == part {
      if (!($2 in seen_variant)) { seen_variant[$2]; if ($2 != base) variants[++columns] = $2 }
      if (!($3 in seen_name)) { seen_name[$3]; names[++rows] = $3 }
      all[$2, $3] = all[$2, $3] " " $4
    }
    END {
      head = "| | " base " |"; rule = "|---|---:|"
      for (c = 1; c <= columns; c++) { head = head " " variants[c] " |"; rule = rule "---:|" }
      print head; print rule
      for (r = 1; r <= rows; r++) {
        line = "| " names[r] " | " cell(base, names[r]) " |"
        for (c = 1; c <= columns; c++) line = line " " cell(variants[c], names[r]) " |"
        print line
      }
    }' "${RESULTS:-$OUT/results.tsv}"
}

describe_run() {
  local commit
  commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
  cat <<EOF
# Run of $(date -u '+%Y-%m-%d %H:%M') UTC

- $("$NUSKU" --version), commit $commit
- $(nproc) cores, $(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(awk '/^MemTotal/ { printf "%.0f MiB", $2 / 1024 }' /proc/meminfo), Linux $(uname -r)
- data on $(df --output=fstype,source "$DATA" | tail -1 | tr -s ' '), load before the run $(cut -d' ' -f1-3 /proc/loadavg)
- $ROUNDS rounds of $SECONDS_EACH s, $CONNS connections; generator and server share the machine
EOF
}
