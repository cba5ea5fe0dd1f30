#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# xlvs real-setup on a real server: --apply does what the script would do, does
# it once, all or nothing, and --undo leaves the server as it was.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --detached --servers 1 --arms 1

server() { in_netns "$lab-rs01" "$@"; }
# With an instance of its own, as real servers have in the lab.
x_server() { XLVS_INSTANCE=$XLVS_INSTANCE-rs01 server "$xlvs" "$@"; }
setup() { x_server real-setup "$@"; }
# All that real-setup may touch.
snapshot() {
  server sysctl -a 2>/dev/null |
    grep -E '^net\.ipv4\.conf\..*\.(arp_ignore|arp_announce|rp_filter) '
  server ip -o addr show dev lo | sed 's/ valid_lft.*//'
  server ip -4 route show
  server ip -6 route show
  server ip -br link
  server ip -json link show dev eth0 | jq -c '.[0].xdp'
}
notes() { find /run/xlvs -name 'real-setup-*.json*' 2>/dev/null | sort; }

server sysctl -qw net.ipv6.conf.all.disable_ipv6=0
server sysctl -qw net.ipv6.conf.lo.disable_ipv6=0
before=$(snapshot)
notes_before=$(notes)

check "dr is applied" setup dr 192.0.2.1 2001:db8::1 --device eth0 --apply
check "the IPv4 address is there" \
  grep -q 192.0.2.1/32 <(server ip -4 addr show dev lo)
check "the IPv6 address, too" \
  grep -q 2001:db8::1/128 <(server ip -6 addr show dev lo)
is "ARP is not answered for it" \
  "$(server sysctl -n net.ipv4.conf.eth0.arp_ignore)" 1
applied=$(snapshot)
is "again there is nothing to do" \
  "$(setup dr 192.0.2.1 2001:db8::1 --device eth0 --apply)" "all is so already"
is "and nothing changed" "$(snapshot)" "$applied"
check "one more service" setup dr 192.0.2.2 --apply
check "undo" setup --undo
is "takes back both" "$(snapshot)" "$before"
is "and its note" "$(notes)" "$notes_before"
is "undo again has nothing to do" "$(setup --undo)" "nothing to take back"

setup dr 192.0.2.1 2001:db8::1 --device eth0 >"$scratch/script"
check "the script runs" server sh "$scratch/script"
is "and does the same as --apply" "$(snapshot)" "$applied"
setup dr 192.0.2.1 2001:db8::1 --device eth0 --apply >/dev/null
check "undo after it" setup --undo
is "leaves what the script did" "$(snapshot)" "$applied"
server ip addr del 192.0.2.1/32 dev lo
server ip addr del 2001:db8::1/128 dev lo
for device in all eth0; do
  for name in arp_ignore arp_announce; do
    server sysctl -qw "net.ipv4.conf.$device.$name=$(
      sed -n "s/^net.ipv4.conf.$device.$name = //p" <<<"$before")"
  done
done

refuses "a step that fails takes the rest back" 'nothing was changed' \
  setup dr 192.0.2.1 --device nosuch0 --apply
is "all of it" "$(snapshot)" "$before"
refuses "a tunnel without a decapsulator to start does, too" \
  'nothing was changed' \
  setup tun 192.0.2.1 --director 192.168.1.1 --device nosuch0 --apply
is "nothing is left of it" "$(snapshot)" "$before"

route=$(server ip -4 route show default)
check "nat is applied" setup nat --director 192.168.1.77 --apply
check "replies go through the director" \
  grep -q 'via 192.168.1.77 ' <(server ip -4 route show default)
setup --undo >/dev/null
is "undo brings the old default route back" \
  "$(server ip -4 route show default)" "$route"

tun=(tun 192.0.2.1 2001:db8::1 --director "192.168.1.2,192.168.1.1"
  --device eth0 --tun-type gue --tun-port 6090)
decap_of() {
  x_server decap status --json |
    jq -c '[[.devices[].name], .from, .vips, .tun_port]'
}
check "tun is applied" setup "${tun[@]}" --apply
is "the decapsulator is on, for these directors, addresses and port" \
  "$(decap_of)" '[["eth0"],["192.168.1.1","192.168.1.2"],'\
'["192.0.2.1","2001:db8::1"],6090]'
check "on the device itself" \
  grep -q '"name":"xlvs_decapsulat' <(snapshot)
check "the address is there" \
  grep -q 192.0.2.1/32 <(server ip -4 addr show dev lo)
applied=$(snapshot)
is "again there is nothing to do" "$(setup "${tun[@]}" --apply)" \
  "all is so already"
is "and nothing changed" "$(snapshot)" "$applied"
refuses "one more service is not left out in silence" \
  'nothing was changed: .*decap detach eth0' \
  setup tun 192.0.2.2 --director 192.168.1.1,192.168.1.2 --device eth0 --apply
refuses "nor one more director" 'nothing was changed: .*decap detach eth0' \
  setup tun 192.0.2.1 2001:db8::1 --director 192.168.1.1,192.168.1.3 \
  --device eth0 --apply
is "and nothing changed" "$(snapshot)" "$applied"
check "undo" setup --undo
is "takes back all" "$(snapshot)" "$before"
refuses "the decapsulator, too" 'no decapsulator' x_server decap status
is "and its pins" "$(find /sys/fs/bpf -name "$XLVS_INSTANCE-rs01*")" ''

check "a decapsulator that was there before" x_server decap attach eth0 \
  --from 192.168.1.1,192.168.1.2 --vip 192.0.2.1,2001:db8::1 --tun-port 6090
check "tun is applied around it" setup "${tun[@]}" --apply
check "undo" setup --undo
check "leaves it" x_server decap status
check "until it is detached" x_server decap detach eth0
is "then all is as before" "$(snapshot)" "$before"

if server ip link add probe0 type ipip remote 192.168.1.1 2>/dev/null; then
  server ip link del probe0
  # The module makes devices of its own the first time.
  before=$(snapshot)
  check "tun by the kernel's devices is applied" \
    setup tun 192.0.2.1 --director 192.168.1.1 --kernel --apply
  check "the default route leaves room for the tunnel" \
    grep -q 'advmss 1440' <(server ip -4 route show default)
  is "again there is nothing to do" \
    "$(setup tun 192.0.2.1 --director 192.168.1.1 --kernel --apply)" \
    "all is so already"
  check "undo" setup --undo
  is "takes all back" "$(snapshot)" "$before"
else
  echo "skipped: this kernel has no ipip devices"
  refuses "without ipip devices --kernel changes nothing" 'nothing was changed' \
    setup tun 192.0.2.1 --director 192.168.1.1 --kernel --apply
  is "nothing is left of it" "$(snapshot)" "$before"
fi

killed=0
for ((round = 0; round < 30; round++)); do
  rc=0
  server timeout -s KILL "$(printf '0.%06d' $((RANDOM % 20000 + 500)))" "$xlvs" \
    real-setup dr 192.0.2.1 2001:db8::1 --device eth0 --apply \
    >/dev/null 2>&1 || rc=$?
  ((rc != 137)) || killed=$((killed + 1))
  setup --undo >"$scratch/undo" 2>&1 || break
  [[ $(snapshot) == "$before" ]] || break
done
is "after a kill in the middle ($killed times) undo leaves nothing" "$round" 30
is "and no note" "$(notes)" "$notes_before"
end
