# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Frames on the lab's wires, for people to look at: what tcpdump caught, in at
# most 80 columns. Needs common.sh, lab.sh, tcpdump.
#
#   wire_listen NETNS DEVICE COUNT FILTER...   begins, in the background
#   wire_take                                  waits for COUNT frames, 5 s at most
#   wire_frames                                who to whom: MAC and IP addresses
#   wire_headers OUTER SHIM INNER              the first frame's first bytes
#
# One capture at a time, in $scratch/wire*.

wire_pid=''

wire_listen() {
  local netns=$1 device=$2 count=$3
  shift 3
  : >"$scratch/wire.err"
  # Its own file: -w is unaffected by how lines are printed.
  in_netns "$netns" timeout 20 tcpdump -nn -U -c "$count" -i "$device" \
    -w "$scratch/wire.pcap" "$*" 2>"$scratch/wire.err" >/dev/null &
  wire_pid=$!
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    ! grep -q '^tcpdump: listening on' "$scratch/wire.err" || return 0
    sleep 0.05
  done
  cat "$scratch/wire.err"
  return 1
}

# 1 if there were fewer.
wire_take() {
  local tries rc=1
  for ((tries = 0; tries < 100; tries++)); do
    if ! kill -0 "$wire_pid" 2>/dev/null; then
      rc=0
      break
    fi
    sleep 0.05
  done
  ((rc == 0)) || kill -TERM "$wire_pid" 2>/dev/null || true
  wait "$wire_pid" 2>/dev/null || true
  return "$rc"
}

# MAC NAME a line: who is at the switch.
_wire_names() {
  local name=$1 netns device number
  {
    for device in $(lab_get "$name" devices); do
      printf '%s-dir %s director\n' "$name" "$device"
    done
    printf '%s-client eth0 client\n' "$name"
    [[ -z $(lab_get "$name" router) ]] ||
      printf '%s-router lan router\n' "$name"
    for ((number = 1; number <= $(lab_get "$name" servers); number++)); do
      printf '%s-%s eth0 %s\n' "$name" "$(lab_server "$number")" \
        "$(lab_server "$number")"
    done
  } | while read -r netns device who; do
    printf '%s %s\n' \
      "$(ip -n "$netns" -json link show "$device" | jq -r '.[0].address')" \
      "$who"
  done
}

# Two lines a frame: MAC addresses with their owners' names; what is in it.
# wire_frames LAB
wire_frames() {
  _wire_names "$1" >"$scratch/wire.names"
  tcpdump -nn -e -t -r "$scratch/wire.pcap" 2>/dev/null |
    awk '
      NR == FNR { who[$1] = $2; next }
      {
        from = $1; to = $3; sub(",", "", to)
        text = $0; sub(/^[^:]*(:[^:]+)* length [0-9]+: /, "", text)
        sub(/, (seq|length) .*/, "", text)
        printf "  %-8s %s > %-8s %s\n", who[from], from, who[to], to
        for (; text != ""; text = substr(text, 73))
          printf "      %s\n", substr(text, 1, 72)
      }' "$scratch/wire.names" -
}

# The first frame from its IP header on, in three pieces of so many bytes.
# wire_headers OUTER SHIM INNER [NAME-OF-SHIM]
wire_headers() {
  local hex
  hex=$(tcpdump -nn -t -x -c 1 -r "$scratch/wire.pcap" 2>/dev/null |
    sed -n 's/^[[:space:]]*0x[0-9a-f]*: *//p' | tr -d ' \n')
  _wire_piece "outer IP" "${hex:0:$((2 * $1))}"
  (($2 == 0)) || _wire_piece "${4:-}" "${hex:$((2 * $1)):$((2 * $2))}"
  _wire_piece "inner IP" "${hex:$((2 * ($1 + $2))):$((2 * $3))}"
}

_wire_piece() {
  local name=$1 line
  fold -w 4 <<<"$2" | xargs -n 8 | while read -r line; do
    printf '    %-10s %s\n' "$name" "$line"
    name=''
  done
}
