#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `xlvs real-setup dr VIP --apply` on a host that knows nothing of load balancing
# makes a real server for direct routing of it, silent about the VIP; --undo
# leaves it as it was.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 1 --method plain

state() {
  on 1 ip -o addr show | awk '{$1 = ""; print}' | sed 's/valid_lft.*//'
  on 1 sh -c 'cd /proc/sys/net/ipv4/conf && grep . */arp_ignore */arp_announce'
}
setup() { on 1 "$xlvs" real-setup dr "$(bare "$vip")" "$@"; }

# Who says to the router that it has the VIP: MAC addresses, sorted.
claims() {
  local mac
  ip -n "$lab-router" neigh flush dev lan
  for _ in 1 2 3; do
    in_netns "$lab-router" ping -c 1 -W 1 -I lan "$(bare "$vip")" \
      >/dev/null 2>&1 || true
    mac=$(ip -n "$lab-router" -json neigh show dev lan "$(bare "$vip")" |
      jq -r '.[0].lladdr // "nobody"')
    printf '%s\n' "$mac"
    ip -n "$lab-router" neigh flush dev lan
  done | sort -u | xargs
}
director_mac=$(ip -n "$lab-dir" -json link show eth1 | jq -r '.[0].address')

for either in 4 6; do
  speak "$either"
  x -A -t "$vip:80" -s rr
  x -a -t "$vip:80" -r "$(server_port 1)" -g
  plain=$(state)
  check "IPv$family: a plain host does not answer as the VIP" fails answers 1
  setup >"$scratch/lines"
  is "IPv$family: real-setup alone changes nothing" "$(state)" "$plain"
  check "IPv$family: it prints lines with the VIP" \
    grep -qF "$(bare "$vip")" "$scratch/lines"
  check "IPv$family: --apply succeeds" setup --apply
  is "IPv$family: then 10 requests are answered" "$(visits 10)" "$(each 10 1)"
  is "IPv$family: only the director claims the VIP" "$(claims)" "$director_mac"
  check "IPv$family: --apply again succeeds" setup --apply
  is "IPv$family: and all is as before" "$(visits 3)" "$(each 3 1)"
  check "IPv$family: --undo succeeds" on 1 "$xlvs" real-setup --undo
  is "IPv$family: the host is as it was" "$(state)" "$plain"
  check "IPv$family: and answers no more" fails answers 1
  x -D -t "$vip:80"
done

# What is printed is what a person may type.
speak 4
x -A -t "$vip:80" -s rr
x -a -t "$vip:80" -r "$(server_port 1)" -g
setup >"$scratch/lines"
check "the printed lines run in a shell" on 1 sh -e "$scratch/lines"
is "and do the same" "$(visits 10)" "$(each 10 1)"
check_balance
end
