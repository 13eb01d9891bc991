# Shared by the comparisons with Zaqar: its servers, what is measured on them,
# and the lines that tell the difference. tools/peers/run takes the servers from
# here. Source tools/bench/lib.sh first.
# shellcheck shell=bash

WARMUP=1
ZAQAR_THREADS=${BENCH_ZAQAR_THREADS:-$CONNS}

# What a script compares: workloads in order, the title of each, the flags of
# `nusku bench` for it, and whether consumers work off what waits (`work`) or
# observers read it (`list`).
workloads=()
declare -A titles flags backlogs

# install_peers NAME...: where tools/provision puts them.
install_peers() {
  local places
  places=$(tools/provision "$@")
  eval "$places"
  MONGOD=${NUSKU_TEST_MONGOD:-} ZAQAR=${NUSKU_TEST_ZAQAR:-}
}

# ---------------------------------------------------------------- servers

# start_mongod: on a fresh directory, unless ${dir[mongod]} is one already. The port
# stays the same, as a replica set knows its members by it.
start_mongod() {
  dir[mongod]=${dir[mongod]:-$(mktemp -d "$DATA/data-mongod-XXXXXX")}
  port[mongod]=${port[mongod]:-$(free_port)}
  "$MONGOD" --bind_ip 127.0.0.1 --port "${port[mongod]}" --dbpath "${dir[mongod]}" \
    --replSet bench --wiredTigerCacheSizeGB 1 --nounixsocket --quiet \
    --setParameter diagnosticDataCollectionEnabled=false >"$OUT/server-mongod.log" 2>&1 &
  pid[mongod]=$!
  on_mongod <<'PYTHON' || die "MongoDB cannot be used: see $OUT/server-mongod.log"
try:
    client.admin.command("replSetGetStatus")
except pymongo.errors.OperationFailure:
    member = {"_id": 0, "host": address}
    client.admin.command("replSetInitiate", {"_id": "bench", "members": [member]})
for _ in range(600):
    if client.admin.command("hello")["isWritablePrimary"]:
        sys.exit()
    time.sleep(0.1)
sys.exit("mongod did not become primary")
PYTHON
}

# on_mongod: runs Python from stdin with `client` connected to `address`.
on_mongod() {
  { printf '%s\n' 'import sys, time, pymongo' 'address = sys.argv[1]' \
      'client = pymongo.MongoClient(address, directConnection=True)' && cat; } |
    "$ZAQAR/bin/python" - "127.0.0.1:${port[mongod]}"
}

# drop_databases NAME: all of a server's.
drop_databases() {
  on_mongod <<PYTHON
for name in client.list_database_names():
    if name.startswith("$1_"):
        client.drop_database(name)
PYTHON
}

# start_zaqar DATABASE [SETTINGS]: with more lines for its file. Zaqar reads its settings from ~/.zaqar only, when a WSGI
# server runs it. It refuses a replica set in the URI with a current pymongo, and
# a single node unless it is called unreliable; durable it is all the same, by
# the URI.
start_zaqar() {
  local uri="mongodb://127.0.0.1:${port[mongod]}/?w=majority&journal=true"
  dir[zaqar]=$(mktemp -d "$DATA/data-zaqar-XXXXXX")
  mkdir "${dir[zaqar]}/.zaqar"
  cat >"${dir[zaqar]}/.zaqar/zaqar.conf" <<SETTINGS
[DEFAULT]
unreliable = true
auth_strategy =
[profiler]
enabled = false
[drivers:message_store:mongodb]
uri = $uri
database = $1
[drivers:management_store:mongodb]
uri = $uri
database = $1
${2:-}
SETTINGS
  port[zaqar]=$(free_port)
  HOME=$(realpath "${dir[zaqar]}") "$ZAQAR/bin/gunicorn" --bind "127.0.0.1:${port[zaqar]}" \
    --workers 2 --worker-class gthread --threads "$ZAQAR_THREADS" --keep-alive 75 \
    --no-control-socket zaqar.transport.wsgi.app:app >>"$OUT/server-zaqar.log" 2>&1 &
  pid[zaqar]=$!
  helpers[zaqar]=mongod
  await zaqar
}

# describe_peers: the line of a report that tells who was compared with whom.
describe_peers() {
  echo "- Zaqar $(version_of zaqar), gunicorn $(version_of gunicorn) (2 workers of $ZAQAR_THREADS threads)," \
    "pymongo $(version_of pymongo), MongoDB $("$MONGOD" --version | sed -n 's/^db version v//p')" \
    "(a replica set of one node)"
}

version_of() { "$ZAQAR/bin/pip" --disable-pip-version-check show "$1" | sed -n 's/^Version: //p'; }

# --------------------------------------------------------------- measuring

# measure WORKLOAD VARIANT NAME MESSAGES: one workload on server NAME, which has
# MESSAGES waiting for each second of it if somebody works them off.
measure() {
  local workload=$1 variant=$2 name=$3 backlog=0 load
  read -ra load <<<"${flags[$workload]} --rest 0"
  case ${backlogs[$workload]:-} in
    work) backlog=$(($4 * (SECONDS_EACH + WARMUP))) ;;
    list) backlog=$LIST_BACKLOG ;;
  esac
  # A warm-up of its own, so that the server's processor time is counted right.
  fill "$name" "${load[@]}" --prefill "$backlog" --duration "$WARMUP" >/dev/null
  bench_on "$workload" "$variant" "$name" "${load[@]}" --duration "$SECONDS_EACH"
  case ${backlogs[$workload]:-} in
    work) check_backlog "$workload" "$name" "$(queues_of "$workload")" ;;
    list) check_pages "$workload" "$variant" ;;
  esac
}

queues_of() { sed -n 's/.*--queues \([0-9]*\).*/\1/p' <<<"${flags[$1]}"; }

# check_backlog WORKLOAD NAME QUEUES: fails if a queue ran dry, as the figures
# would then say how fast a server finds nothing.
check_backlog() {
  local claims
  claims=$(fill "$2" --queues "$3" --consumers 1 --requests "$3" --rest 0 |
    jq '[.operations[] | select(.operation == "claim") | .requests] | add')
  ((claims == $3)) || die "consumers ran out of messages in $1 on $2: raise what waits for them"
}

# check_pages WORKLOAD VARIANT: the same for observers.
check_pages() {
  ! grep -qP "^\Q$1\E\t\Q$2\E\tlist empty" "$OUT/results.tsv" ||
    die "observers came to the end in $1 on $2: raise LIST_BACKLOG"
}

# --------------------------------------------------------------- reporting

# digest VARIANT UNIT: a line for each kind of request of each workload: the
# medians in UNIT (messages/s or requests/s), and how many times as much VARIANT
# did as Zaqar in the same round: median (least - most).
digest() {
  local variant=$1 unit=$2 workload
  echo "| workload | request | Zaqar $unit | $variant $unit | ratio | Zaqar p50 ms | $variant p50 ms | Zaqar p99 ms | $variant p99 ms |"
  echo "|---|---|---:|---:|---:|---:|---:|---:|---:|"
  for workload in "${workloads[@]}"; do
    jq -rRs --arg part "$workload" --arg title "${titles[$workload]}" \
      --arg variant "$variant" --arg unit "$unit" '
      def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;
      def figure: if . >= 100 then round elif . >= 10 then . * 10 | round / 10
                  else . * 100 | round / 100 end;
      [split("\n")[] | split("\t") | select(.[0] == $part)] as $lines
      | def rounds($who; $name):
          [$lines[] | select(.[1] == $who and .[2] == $name) | .[3] | tonumber];
      ("post", "list", "claim", "delete") as $request
      | "\($request) \($unit)" as $rate
      | select(any($lines[]; .[2] == $rate))
      | ([rounds("Zaqar"; $rate), rounds($variant; $rate)] | transpose | map(.[1] / .[0])) as $ratios
      | [$title, $request,
         (rounds("Zaqar", $variant; $rate) | median | figure),
         "**x \($ratios | median | figure)** (\($ratios | min | figure) - \($ratios | max | figure))",
         (("p50 ms", "p99 ms") as $latency
          | rounds("Zaqar", $variant; "\($request) \($latency)") | median | figure)]
      | "| \(map(tostring) | join(" | ")) |"' "$OUT/results.tsv"
  done
}

# tables BASE: everything that was measured.
tables() {
  local workload
  echo "The disk alone:"
  echo
  table disk "disk: append 1 KiB, fdatasync"
  for workload in "${workloads[@]}"; do
    printf '\n## %s\n\n' "${titles[$workload]}"
    table "$workload" "$1"
  done
}
