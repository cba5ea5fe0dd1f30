#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The TC programs that attach adds stand beside other people's filters and go
# with detach; the qdisc goes only if it was ours and nobody else needs it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --detached

pins=/sys/fs/bpf/$XLVS_INSTANCE
programs() {
  director tc filter show dev "$1" "$2" |
    awk '{for (i = 1; i < NF; i++) if ($i == "name") print $(i + 1)}' |
    sort | xargs
}
has_clsact() { director tc qdisc show dev "$1" | grep -q clsact; }
may_hand_over() {
  bpftool -j map dump pinned "$pins/control" |
    jq -e '.[0].formatted.value.handover == "XLVS_HANDOVER_cut"' >/dev/null
}

cat >"$scratch/other.bpf.c" <<'C'
__attribute__((section("tc"), used)) int other_tc(void *skb) { return -1; }
char _license[] __attribute__((section("license"), used)) = "GPL";
C
clang -O2 -g -target bpf -c "$scratch/other.bpf.c" -o "$scratch/other.o"
mkdir -p "/sys/fs/bpf/$XLVS_INSTANCE-other"
trap 'rm -rf "/sys/fs/bpf/${XLVS_INSTANCE:?}-other"; cleanup' EXIT
bpftool prog load "$scratch/other.o" \
  "/sys/fs/bpf/$XLVS_INSTANCE-other/program" type classifier
add_other() {
  director tc filter add dev "$1" ingress prio "$2" \
    bpf direct-action object-pinned "/sys/fs/bpf/$XLVS_INSTANCE-other/program"
}

check "attach" x attach eth0 eth1 --conns 20000
is "arriving packets meet a program" "$(programs eth0 ingress)" xlvs_handover
is "leaving packets meet a program" "$(programs eth1 egress)" xlvs_local_repl
check "XDP may hand packets over" may_hand_over
x detach eth0
is "detach removes it" "$(programs eth0 ingress)$(programs eth0 egress)" ''
check "and the qdisc that was ours" fails has_clsact eth0
check "the other device keeps both" may_hand_over
x detach --purge
check "purge removes the qdisc, too" fails has_clsact eth1

director tc qdisc add dev eth0 clsact
x attach eth0 eth1 --conns 20000 >/dev/null
add_other eth1 1
is "another filter stands beside ours" "$(programs eth1 ingress)" \
  "other_tc xlvs_handover"
x detach --purge
check "a qdisc that was there before stays" has_clsact eth0
is "without our program" "$(programs eth0 ingress)" ''
check "a qdisc of ours that others use stays" has_clsact eth1
is "with their filter only" "$(programs eth1 ingress)" other_tc

# As a killed attach leaves it: the filter is there, the link is not.
x attach eth0 --conns 20000 >/dev/null
rm "$pins/link:eth0"
check "the next attach replaces what was left" x attach eth0
is "by one program" "$(programs eth0 ingress)" xlvs_handover
rm "$pins/link:eth0"
x detach --purge
is "and purge removes it" "$(programs eth0 ingress)" ''

start=${EPOCHREALTIME/[.,]/}
x attach eth0 --conns 20000 >/dev/null
took=$((${EPOCHREALTIME/[.,]/} - start))
x detach --purge
left=''
killed=0
for ((round = 0; round < 20; round++)); do
  us=$((RANDOM * took / 32768 + 500))
  rc=0
  director timeout -s KILL "$(printf '%d.%06d' $((us / 1000000)) \
    $((us % 1000000)))" "$xlvs" attach eth0 --conns 20000 >/dev/null 2>&1 ||
    rc=$?
  ((rc != 137)) || killed=$((killed + 1))
  [[ ! -d $pins ]] || x detach --purge || left+=" $round: no purge"
  left+=$(programs eth0 ingress)$(programs eth0 egress)
done
is "attach killed anywhere ($killed of 20 times) leaves no filter after purge" \
  "$left" ''

x attach eth0 --conns 20000 >/dev/null
service rr 1
refuses "from another namespace nothing is changed" 'another network namespace' \
  client "$xlvs" -a -t "$vip:80" -r 192.168.1.77 -m
director tc qdisc del dev eth0 clsact
director tc qdisc del dev eth1 clsact
check "status says when somebody removed them" \
  grep -q 'no TC programs' <(x status)
x -Z
check "and the next command stops handing over" fails may_hand_over
end
