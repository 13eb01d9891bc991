# (f) What the disk does by itself, for scale.
# shellcheck shell=bash

measure_part() {
  local round
  for ((round = 1; round <= ROUNDS; round++)); do
    disk_floor disk
  done
}

report_part() {
  echo "## (f) The disk by itself"
  echo
  table disk "disk: append 1 KiB, fdatasync"
}
