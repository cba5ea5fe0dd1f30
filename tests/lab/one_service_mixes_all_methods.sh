#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Masq, Route and Tunnel in one service, two servers of each: rr does not care.
# A real server whose method is edited keeps the connections it has as they are;
# new ones go the new way, and fail where the server is not prepared for it, as
# with IPVS.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 6 --method nat,dr,tun

for either in 4 6; do
  speak "$either"
  service rr 6
  is "IPv$family: 60 requests, 10 for each of 6 servers" \
    "$(visits 60)" "$(each 10 1 2 3 4 5 6)"
  is "IPv$family: -L -n names the methods" \
    "$(x -L -n -t "$vip:80" | awk '$1 == "->" && $2 ~ /^[0-9[]/ {print $3}' |
      sort | uniq -c | xargs)" \
    "2 Masq 2 Route 2 Tunnel"
done

# 6 long connections, one to each server.
load() {
  client_background streams "$helper" stream --to "$vip:80" --count 6
  ready streams
  sleep 0.3
}
broken() {
  sleep 1
  finish streams
  awk 'NF == 3 && $3 != "-" {print $1, $3}' "$scratch/streams"
}
unpacked() {
  decap 3 status --json --all |
    jq '[.endings[] | select(.name | startswith("pass_decap_")) | .packets] |
        add'
}

for either in 4 6; do
  speak "$either"
  load
  before=$(unpacked)
  x -e -t "$vip:80" -r "$(server_port 3)" -g
  sleep 1
  check "IPv$family, rs03 from Tunnel to Route: long connections stay in theirs" \
    test "$(unpacked)" -gt "$before"
  is "IPv$family, rs03 from Tunnel to Route: all servers answer new ones" \
    "$(visits 12)" "$(each 2 1 2 3 4 5 6)"
  is "IPv$family, rs03 from Tunnel to Route: no long connection breaks" \
    "$(broken)" ''
  before=$(unpacked)
  is "IPv$family: and again" "$(visits 12)" "$(each 2 1 2 3 4 5 6)"
  is "IPv$family: no new connection is tunnelled to rs03" "$(unpacked)" "$before"
  server -e -t 80 3

  load
  x -e -t "$vip:80" -r "$(server_port 2)" -m
  # rs02 has no way back through the director: its answers come as its own.
  answered=0
  for _ in 1 2 3 4 5 6; do ! answers 1 "$vip" 2>/dev/null || ((++answered)); done
  is "IPv$family, rs02 from Route to Masq: 5 of 6 new connections are answered" \
    "$answered" 5
  is "IPv$family, rs02 from Route to Masq: no long connection breaks" \
    "$(broken)" ''
  server -e -t 80 2
  is "IPv$family, rs02 to Route again: all answer" \
    "$(visits 12)" "$(each 2 1 2 3 4 5 6)"
done
check_balance
end
