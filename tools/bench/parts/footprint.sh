# (e) Memory, and the time from the start of the process to its first answer:
# with nothing stored and with many messages waiting.
# shellcheck shell=bash

measure_part() {
  local round json
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    dir[empty]=$(mktemp -d "$DATA/data-empty-XXXXXX")
    timed_start "nothing stored" empty
    sleep 2
    record footprint "nothing stored" "memory idle MiB" "$(rss empty)"
    under_load "nothing stored" empty
    stop empty
  done

  say "filling in $MESSAGES messages"
  start full embedded
  json=$(fill full --prefill "$MESSAGES" --ttl 86400)
  record footprint "$MESSAGES messages wait" "filling messages/s" \
    "$(jq '.filled.messages / .filled.seconds' <<<"$json")"
  record footprint "$MESSAGES messages wait" "memory after filling MiB" "$(rss full)"
  record footprint "$MESSAGES messages wait" "disk MiB" "$(du -sm "${dir[full]}" | cut -f1)"
  for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round of $ROUNDS"
    stop full keep
    timed_start "$MESSAGES messages wait" full
    sleep 2
    record footprint "$MESSAGES messages wait" "memory idle MiB" "$(rss full)"
    under_load "$MESSAGES messages wait" full
  done
  stop full
}

# timed_start VARIANT NAME: starts a server on the directory it has.
timed_start() {
  local variant=$1 name=$2 began ended
  began=$EPOCHREALTIME
  launch "$name" "embedded:${dir[$name]}"
  await "$name"
  ended=$EPOCHREALTIME
  record footprint "$variant" "start ms" \
    "$(awk -v a="$began" -v b="$ended" 'BEGIN { printf "%.1f", (b - a) * 1000 }')"
}

under_load() {
  fill "$2" --cyclers "$CONNS" --batch 10 --claim-limit 10 --duration "$SECONDS_EACH" --rest 0 \
    >/dev/null
  record footprint "$1" "memory peak under load MiB" "$(rss_peak "$2")"
}

report_part() {
  echo "## (e) Memory and start"
  echo
  echo "Start is from the launch of the process to the answer to its first ping,"
  echo "asked for every 2 ms. Load is the work of part (c)."
  echo
  table footprint "nothing stored"
}
