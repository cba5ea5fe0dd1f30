#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a dest gets from where it is, of either family: whether its address is
# the director's own, and which source address tunnels to it have.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 1 --arms 1

pins=/sys/fs/bpf/$XLVS_INSTANCE
director sysctl -qw net.ipv6.conf.all.disable_ipv6=0
director sysctl -qw net.ipv6.conf.default.disable_ipv6=0
director sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0
director ip -6 addr add 2001:db8:1::1/64 dev eth0 nodad
own=192.168.1.1

# dest ADDRESS JQ-FILTER: of the dest's record.
dest() {
  bpftool -j map dump pinned "$pins/dests" | jq -c --argjson addr "$(
    python3 -c 'import ipaddress, sys
a = ipaddress.ip_address(sys.argv[1])
b = a.packed if a.version == 6 else bytes(10) + b"\xff\xff" + a.packed
print(list(b))' "$1")" \
    ".[].formatted.value
     | select(.state == \"XLVS_DEST_available\" and
              (.daddr.byte | map(tonumber)) == \$addr) | $2"
}
source_of() { dest "$1" '.tunnel_saddr.byte | map(tonumber)'; }
mapped() { printf '[0,0,0,0,0,0,0,0,0,0,255,255,%s]' "${1//./,}"; }

x -A -t "$vip:80" -s rr
for server in 192.168.1.11 2001:db8:1::11 "$own" 203.0.113.9; do
  x -a -t "$vip:80" -r "$server" -i
done
is "a neighbour is remote" "$(dest 192.168.1.11 .flags)" 0
is "tunnels to it come from the address beside it" \
  "$(source_of 192.168.1.11)" "$(mapped "$own")"
is "by IPv6, too" "$(source_of 2001:db8:1::11)" \
  '[32,1,13,184,0,1,0,0,0,0,0,0,0,0,0,1]'
is "the director's own address is local" "$(dest "$own" .flags)" 1
x -A -t '[2001:db8:9::1]:80'
x -a -t '[2001:db8:9::1]:80' -r '[2001:db8:1::1]:80' -m
is "by IPv6, too" "$(dest 2001:db8:1::1 .flags)" 1

director ip route add unreachable 203.0.113.0/24
x -a -t "$vip:80" -r 203.0.113.10 -i
is "without a route it is added, without a source" \
  "$(source_of 203.0.113.10)" '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]'
director ip route del unreachable 203.0.113.0/24
director ip addr add 203.0.113.10/32 dev lo
is "a record is as of its last command" "$(dest 203.0.113.10 .flags)" 0
x -e -t "$vip:80" -r 203.0.113.10 -i --tun-type gue --tun-port 6080 --tun-csum
is "editing looks again" "$(dest 203.0.113.10 .flags)" 1
is "and brings the tunnel" \
  "$(dest 203.0.113.10 '[.tunnel_type, .tunnel_port, .tunnel_flags]')" \
  '["XLVS_TUNNEL_gue",6080,1]'
x -d -t "$vip:80" -r 203.0.113.10
director ip addr del 203.0.113.10/32 dev lo
x -a -t "$vip:80" -r 203.0.113.10
is "so does adding it again" \
  "$(dest 203.0.113.10 '[.flags, .method, .tunnel_type, .tunnel_port]')" \
  '[0,"XLVS_METHOD_route","XLVS_TUNNEL_ipip",0]'
refuses "an address for all hosts of a network is refused" 'not unicast' \
  x -a -t "$vip:80" -r 192.168.1.255 -m
refuses "a link-local address is refused" 'not unicast' \
  x -a -t '[2001:db8:9::1]:80' -r '[fe80::77]:80' -m
end
