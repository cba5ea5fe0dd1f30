#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A real server gets another MAC address under traffic, as one does whose
# address moves to another machine, and announces it once: its connections go on
# within seconds, whether it is masqueraded or routed to.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 2 --method nat,dr

works() { [[ $(visits 4 2>/dev/null) == "$(each 2 1 2)" ]]; }

for either in 4 6; do
  speak "$either"
  service rr 2
  for number in 1 2; do
    what="$(method_words "$number"), IPv$family"
    on "$number" sh -c '
      echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify
      echo 1 >/proc/sys/net/ipv6/conf/eth0/ndisc_notify'
    client_background streams "$helper" stream --to "$vip:80" --count 2 \
      --timeout 20
    ready streams
    ip -n "$lab-$(lab_server "$number")" link set eth0 \
      address "02:00:00:00:0$family:0$number"
    check "$what: new connections are answered within 10 s" within 10 works
    sleep 1.5
    finish streams
    is "$what: no connection breaks" \
      "$(awk 'NF == 3 && $3 != "-"' "$scratch/streams")" ''
  done
done
check_balance
end
