#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `xlvs decap` on a real server: a request that comes in a tunnel is answered
# from the VIP, straight to the client. The director here is a script that only
# encapsulates, and the links take jumbo frames.
#
#   client ---- 203.0.113.0/24 ---- dir ---- 192.0.2.0/24 ---- rs (VIP on lo)
#     .1                         .254 .1                    .2
#   IPv6 alike: 2001:db8:1::/64, 2001:db8:2::/64
set -euo pipefail
source "$(dirname "$0")/lib.sh"

need_root
mount_bpffs
xlvs=$(find_xlvs)
[[ -n $xlvs ]] || die "there is no xlvs: build it, or set XLVS=PATH"
export XLVS_INSTANCE=xlvs-test-$$
own_lab=''
lab=xt$$
scratch=$(mktemp -d "${TMPDIR:-/tmp}/xlvs-lab-test.XXXXXX")
pins=/sys/fs/bpf/$XLVS_INSTANCE-decap
vip4=198.51.100.1
vip6=2001:db8:100::1

take_down() {
  local rc=$? name
  set +e
  for name in client dir rs; do ip netns del "$lab-$name" 2>/dev/null; done
  rm -rf "${pins:?}" "${pins:?}~new"
  rm -f "/run/xlvs/${XLVS_INSTANCE:?}-decap.lock"
  (exit "$rc")
  cleanup
}
trap take_down EXIT
trap 'exit 130' INT TERM

dir() { in_netns "$lab-dir" "$@"; }
rs() { in_netns "$lab-rs" "$@"; }
decap() { rs "$xlvs" decap "$@"; }

# cable NETNS DEVICE NETNS DEVICE: complete checksums and packets as they are on
# the wire, for a script that copies them.
cable() {
  ip link add "$2" netns "$1" mtu 9000 type veth peer name "$4" netns "$3" \
    mtu 9000
  local netns device
  for _ in 1 2; do
    netns=$1 device=$2
    in_netns "$netns" ethtool -K "$device" tx off tso off gso off gro off \
      >/dev/null
    ip -n "$netns" link set "$device" up
    shift 2
  done
}

# addr NETNS DEVICE ADDRESS...
addr() {
  local netns=$1 device=$2 address
  shift 2
  for address in "$@"; do
    if [[ $address == *:* ]]; then
      ip -n "$netns" addr add "$address" dev "$device" nodad
    else
      ip -n "$netns" addr add "$address" dev "$device"
    fi
  done
}

for name in client dir rs; do
  ip netns add "$lab-$name"
  ip -n "$lab-$name" link set lo up
done
cable "$lab-client" eth0 "$lab-dir" eth0
cable "$lab-dir" eth1 "$lab-rs" eth0
ip -n "$lab-client" link set eth0 mtu 8900 # room for the outer headers
addr "$lab-client" eth0 203.0.113.1/24 2001:db8:1::1/64
addr "$lab-dir" eth0 203.0.113.254/24 2001:db8:1::fe/64
addr "$lab-dir" eth1 192.0.2.1/24 2001:db8:2::1/64
addr "$lab-rs" eth0 192.0.2.2/24 2001:db8:2::2/64
addr "$lab-rs" lo "$vip4/32" "$vip6/128"
ip -n "$lab-client" route add default via 203.0.113.254
ip -n "$lab-client" -6 route add default via 2001:db8:1::fe
ip -n "$lab-rs" route add default via 192.0.2.1
ip -n "$lab-rs" -6 route add default via 2001:db8:2::1
# The script takes what is for the VIP, not the kernel.
ip -n "$lab-dir" route add blackhole "$vip4"
ip -n "$lab-dir" -6 route add blackhole "$vip6"
dir sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
mac=$(ip -n "$lab-rs" -j link show eth0 | jq -r '.[0].address')

# Serves a file, and says what it was sent.
mkdir "$scratch/www"
head -c 300000 /dev/urandom >"$scratch/www/file"
want=$(sha256sum <"$scratch/www/file")
cat >"$scratch/server.py" <<'PYTHON'
import functools, hashlib, http.server, ipaddress, socket, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = hashlib.sha256(body).hexdigest().encode() + b"  -\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

class Server(http.server.ThreadingHTTPServer):
    if ipaddress.ip_address(sys.argv[1]).version == 6:
        address_family = socket.AF_INET6

Server((sys.argv[1], 80), functools.partial(
    Handler, directory=sys.argv[2])).serve_forever()
PYTHON
for vip in "$vip4" "$vip6"; do
  background "server-$vip" nsenter --net="/run/netns/$lab-rs" \
    python3 "$scratch/server.py" "$vip" "$scratch/www"
done
listens() { [[ $(rs ss -Hltn 'sport = :80' | wc -l) == 2 ]]; }
within 30 listens || not_ok "the server starts" "$(cat "$scratch"/server*.err)"

# tunnel OUTER-FAMILY TYPE [OPTION...]: out of the director's $way.
way=eth1
tunnel() {
  local ends=(192.0.2.1 192.0.2.2)
  [[ $1 == 4 ]] || ends=(2001:db8:2::1 2001:db8:2::2)
  background tunnel nsenter --net="/run/netns/$lab-dir" \
    python3 "$lab_tests/encapsulator.py" --into eth0 --out "$way" --mac "$mac" \
    --type "$2" "${@:3}" "${ends[@]}" "$vip4" "$vip6"
  ready tunnel
}

# fetch ADDRESS [SECONDS]
fetch() {
  client curl -sS --max-time "${2:-10}" "http://$1/file" | sha256sum
}

# A request so long that its packets fill the jumbo frames; the server's word for
# what came.
post() {
  client curl -sS --max-time 10 --data-binary @"$scratch/www/file" \
    "http://$1/"
}

count_of() {
  decap status --json --all |
    jq --arg re "$1" \
      '[.endings[] | select(.name | test($re)) | .packets] | add // 0'
}

balanced() {
  decap status | awk '/^balance: /{ok = $3 == $6 + $9 + $12 + $15 && $3 > 0}
                      END {exit !ok}'
}

# --- what it says ------------------------------------------------------------

refuses "without a decapsulator, status says how to get one" \
  'decap attach' decap status
refuses "the first attach must name the directors" '[-]-from' decap attach eth0
refuses "an interface that does not exist is refused by name" 'nosuch0' \
  decap attach nosuch0 --from 192.0.2.1
check "refusals leave no pins" test ! -e "$pins"
check "attach" decap attach eth0 --from 192.0.2.1,2001:db8:2::1
refuses "attach twice says so" 'eth0.*attached already' decap attach eth0
refuses "other directors than it has are refused" '[-]-from.*192.0.2.1' \
  decap attach lo --from 192.0.2.9
check "status names the interface and the directors" \
  grep -qzE 'eth0 \(native\).*from +192.0.2.1 2001:db8:2::1' \
  <(decap status)

# --- requests ----------------------------------------------------------------

for outer in 4 6; do
  for type in ipip gue 'gue --csum' gre 'gre --csum'; do
    before=$(count_of '^pass_decap_')
    # shellcheck disable=SC2086  # a type and its option
    tunnel "$outer" $type
    for vip in "$vip4" "[$vip6]"; do
      is "$vip answers, $type in IPv$outer" "$(fetch "$vip")" "$want"
    done
    is "jumbo frames arrive unchanged" "$(post "$vip4")" "$want"
    check "which came out of the tunnel" test "$(count_of '^pass_decap_')" \
      -gt "$before"
    finish tunnel
  done
done

# vlan NETNS DEVICE
vlan() {
  ip -n "$1" link add link "$2" name "$2.7" up type vlan id 7 2>/dev/null
}
if vlan "$lab-dir" eth1 && vlan "$lab-rs" eth0; then
  way=eth1.7
  for offload in on off; do # the tag beside the frame, and in it
    dir ethtool -K eth1 txvlan "$offload" >/dev/null
    before=$(count_of '^pass_decap_')
    tunnel 4 gre
    is "$vip4 answers over a VLAN, tags offloaded: $offload" \
      "$(fetch "$vip4")" "$want"
    check "which came out of the tunnel" test "$(count_of '^pass_decap_')" \
      -gt "$before"
    finish tunnel
  done
  way=eth1
else
  echo "# no VLAN over the lab's links: this kernel has no VLAN devices"
fi
is "nothing was dropped" "$(count_of '^drop_')" 0

tunnel 4 gue --csum --spoil 1
check "a wrong UDP checksum is not answered" fails fetch "$vip4" 1
finish tunnel
check "and counted" test "$(count_of '^drop_udp_checksum')" -gt 0
tunnel 4 gre --csum --spoil 1
check "a wrong GRE checksum is not answered" fails fetch "$vip4" 1
finish tunnel
check "and counted" test "$(count_of '^drop_gre_checksum')" -gt 0
check "rx = sum of all endings" within 3 balanced

# --- configuration -----------------------------------------------------------

ip -n "$lab-rs" link set eth0 address 02:00:00:00:00:02
check "a changed MAC address is warned of" \
  grep -q 'MAC address has changed' <(decap status)
ip -n "$lab-rs" link set eth0 address "$mac"
ip -n "$lab-rs" link add eth1 type veth peer name eth2
check "a second interface, without --from" decap attach eth1
check "detach of one" decap detach eth1
check "leaves the other" test -e "$pins/link:eth0"
refuses "detach of what is not attached is refused" 'eth1.*not attached' \
  decap detach eth1
check "detach of the last" decap detach eth0
check "leaves nothing pinned" test ! -e "$pins"
check "and no program" fails grep -q prog/xdp <(ip -n "$lab-rs" link show eth0)

check "with --vip, another port, other director, generic mode" \
  decap attach eth0 --from 192.0.2.1 --vip "$vip4" --tun-port 6081 \
  --mode generic
tunnel 4 gue --port 6081
is "$vip4 answers" "$(fetch "$vip4")" "$want"
check "an address that is not in --vip does not" fails fetch "[$vip6]" 1
check "and is counted" test "$(count_of '^drop_not_vip')" -gt 0
finish tunnel
tunnel 6 ipip
check "nor does one by a director that is not in --from" fails fetch "$vip4" 1
check "and is counted" test "$(count_of '^pass_not_director')" -gt 0
finish tunnel
check "rx = sum of all endings" within 3 balanced
check "detach" decap detach eth0

# --- killed ------------------------------------------------------------------

start=${EPOCHREALTIME/[.,]/}
decap attach eth0 --from 192.0.2.1 >/dev/null
took=$((${EPOCHREALTIME/[.,]/} - start))
decap detach eth0
for ((round = 0; round < 30; round++)); do
  nsenter --net="/run/netns/$lab-rs" "$xlvs" decap attach eth0 \
    --from 192.0.2.9 >/dev/null 2>&1 &
  victim=$!
  sleep "$(awk "BEGIN {print $took * $round / 30 / 1e6}")"
  kill -KILL "$victim" 2>/dev/null || true
  wait "$victim" 2>/dev/null || true
  if [[ -e $pins/link:eth0 ]]; then
    decap detach eth0
    continue
  fi
  decap attach eth0 --from 192.0.2.1 >/dev/null 2>"$scratch/again" || {
    not_ok "attach after a killed attach" "$(cat "$scratch/again")"
    break
  }
  decap detach eth0
done
is "after 30 killed attaches all still works" "$round" 30
check "nothing is left" test ! -e "$pins" -a ! -e "$pins~new"
end
