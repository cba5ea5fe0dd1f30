#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each of the director's interfaces is down for a second under traffic: what the
# kernel forgets then, routes and neighbours, it finds again, and so do we. Long
# connections go on.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 3
# Else Linux takes IPv6 addresses for gone for good.
director sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/keep_addr_on_down'

works() { [[ $(visits 6 2>/dev/null) == "$(each 2 1 2 3)" ]]; }

down_and_up() {
  local device=$1 what
  what="IPv$family, $device"
  client_background streams "$helper" stream --to "$vip:80" --count 3 \
    --timeout 20
  ready streams
  ip -n "$lab-dir" link set "$device" down
  check "$what is down: nobody is answered" fails answers 1
  ip -n "$lab-dir" link set "$device" up
  check "$what is up again: all are answered within 10 s" within 10 works
  sleep 1.5
  finish streams
  is "$what was down: no connection breaks" \
    "$(awk 'NF == 3 && $3 != "-"' "$scratch/streams")" ''
  check "$what still has the program" has_xdp "$device"
}

for either in 4 6; do
  speak "$either"
  service rr 3
  for each_device in "${devices[@]}"; do down_and_up "$each_device"; done
done
check_balance
end
