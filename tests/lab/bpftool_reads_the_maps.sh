#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# bpftool shows the pinned maps by name, with enum texts and host-order ports,
# and our names on programs, links and interfaces.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --conns 100
service wlc 2
visits 4 >/dev/null
client_background hold "$helper" hold --to "$vip:80" --count 1
ready hold

pins=/sys/fs/bpf/$XLVS_INSTANCE
# matches MAP FILTER: some entry's BTF view satisfies the jq filter.
matches() {
  bpftool -j map dump pinned "$pins/$1" |
    jq -e "[.[].formatted | $2] | any" >/dev/null ||
    bpftool map dump pinned "$pins/$1" | head -n 40
}
shows() { [[ -z $(matches "$@") ]] || { matches "$@"; return 1; }; }

# An IPv4 address is the last 4 of 16 bytes.
address_is() { printf '(.%s.byte[12:16] | map(tonumber)) == [%s]' "$1" "$2"; }

check "services: VIP, port, protocol, scheduler's name" shows services \
  ".key.vport == 80 and .key.l4_proto == 6 and
   .value.scheduler == \"XLVS_SCHED_wlc\" and
   ($(address_is key.vaddr 192,168,1,100))"
for last in 11 12; do
  check "dests: 192.168.1.$last with port, weight, method, state" shows dests \
    ".value | .dport == 80 and .weight == 1 and
     .method == \"XLVS_METHOD_masq\" and .state == \"XLVS_DEST_available\" and
     ($(address_is daddr "192,168,1,$last"))"
done
is "counters: 5 connections over all servers and CPUs" \
  "$(bpftool -j map dump pinned "$pins/counters" |
    jq '[.[].formatted.values[].value.conns] | add')" 5
check "conns: the client's address, ports, state's name" shows conns \
  ".value.conn[] | .life.state == \"XLVS_CONN_tcp_established\" and
   .ports.vport == 80 and .ports.cport >= 1024 and
   ($(address_is caddr 10,0,0,2))"
check "conns: those that are over" shows conns \
  ".value.conn[] | .life.state == \"XLVS_CONN_tcp_time_wait\""
is "steps: every ending has its name" \
  "$(bpftool -j map dump pinned "$pins/steps" |
    jq '[.[].formatted.values[].value
         | .redirect_client_to_dest + .tx_client_to_dest] | add > 10')" true

check "bpftool map shows our names" \
  grep -q 'name xlvs_services' <(bpftool map show pinned "$pins/services")
check "bpftool net shows our program on eth0" \
  grep -qE '^eth0\(' <(director bpftool net show)
check "bpftool prog shows our name" \
  grep -qE ' name xlvs_' <(bpftool prog show)
check "bpftool link shows the interfaces" \
  grep -qE 'xdp' <(bpftool link show)
finish hold
check_balance
end
