#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Traceroute through masquerading: the director is a hop, which answers with the
# address that was asked, as IPVS does; the real server behind it answers as the
# service. Nobody learns its own address.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 2 --router

hops() {
  client traceroute -n -q 1 -N 1 -w 2 -m 8 "$@" "$(bare "$vip")" |
    awk 'NR > 1 {print $2}' | xargs
}

for either in 4 6; do
  speak "$either"
  if ((family == 6)); then
    way="2001:db8:a::254 2001:db8:c::2"
  else
    way="10.0.0.254 10.0.1.2"
  fi
  service rr 1
  x -A -u "$vip:5300" -s rr
  server -a -u 5300 1
  is "IPv$family, TCP: routers, the director, the server" \
    "$(hops -T -p 80)" "$way $(bare "$vip") $(bare "$vip")"
  # Nothing listens there: the server says so, and what it says is passed on.
  is "IPv$family, UDP: routers, the director, the server" \
    "$(hops -U -p 5300)" "$way $(bare "$vip") $(bare "$vip")"
done
check "the director answered what ended there" \
  test "$(ending '^tx_icmp_ttl_exceeded$')" -ge 4
check_balance
end
