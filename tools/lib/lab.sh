# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The lab: one client, one director, N real servers with nginx, each in its own
# network namespace, all with IPv4 and IPv6. Everything forwards by the plain
# kernel until somebody attaches xlvs to the director's interfaces. Needs
# common.sh.
#
#   lab_check NAME OPTION...   lab_up NAME OPTION...   lab_down NAME
#   lab_exists NAME            lab_get NAME KEY        lab_set NAME KEY VALUE
#   lab_address NUMBER [6]     lab_server NUMBER       lab_method NAME NUMBER
#   lab_tell_vlans NAME        lab_picture: see lab_picture.sh
#
#   --servers N    1 to 200; default 29
#   --arms 1|2     the director's interfaces; default 2
#   --method M,..  how the servers are prepared, one after the other and again
#                  from the first: nat (the default): routes by the director;
#                  dr, tun: has the VIP, routes past the director; plain: routes
#                  past the director, and that is all. tun servers still need
#                  something that takes packets out of their tunnels.
#   --router       a way of 1400 bytes between the client and all others; with
#                  all but nat always, as replies need a way past the director
#   --vlan         the director's arms are VLANs 10 and 20 on one trunk, eth0
#   --jumbo        an MTU of 9000 bytes among director and servers
#   --udp          dnsmasq and iperf3 on every server
#
# What is where:
#   /run/netns/NAME-client, NAME-dir, NAME-net (the switch), NAME-rs01 ...
#              NAME-isp, NAME-router: with --router
#   /run/xlvs-lab/NAME/lab            key=value: options, devices, instance
#   /run/xlvs-lab/NAME/rsNN/          configuration, pids, logs of the servers
#   /var/tmp/xlvs-lab-NAME/files/     what every server serves under /files/
#   /var/tmp/xlvs-lab-NAME/upload/NN/ what was PUT to server NN under /upload/
#
# With --router a packet goes
#
#   client --- isp --1400-- router --- director --- switch --- rsNN
#                              +-------------------- switch
#
# so both directions meet a hop of 1400 bytes that neither end knows of, and
# what a dr or tun server answers does not pass the director.
#
# Why veth ends are set up as they are:
#   tx off    a local stack leaves checksums to the device ("partial"); XDP
#             would rewrite such a packet into a wrong one. Real NICs deliver
#             complete checksums, so here the senders must compute them.
#   xdp pass  frames that XDP sends (XDP_TX) are delivered only if the veth's
#             other end has an XDP program too: without one they wait in its
#             ring until something else comes. (For redirected frames, NAPI is
#             enough, which GRO switches on; a NIC needs neither.)
#   tso, gso  off: an skb of 64 kB does not fit one XDP frame.
#   vlan off  tags stay in the frame, where XDP sees them.

lab_run=/run/xlvs-lab
lab_data=/var/tmp/xlvs-lab
lab_net=192.168.1 # of the servers, with the VIP; and
lab_net6=2001:db8:b:
lab_vip=$lab_net.100
lab_vip6=$lab_net6:100
lab_client=10.0.0.2
lab_client6=2001:db8:a::2
lab_servers_max=200
lab_slow_every=7   # servers 7, 14, 21 ... are slow at /mixed
lab_slow_ms=100
lab_mtu=1400       # of the hop that --router makes
# shellcheck disable=SC2034  # for those who source this file
lab_gue_port=6080  # where tun servers expect GUE
lab_echo_module=/usr/lib/nginx/modules/ngx_http_echo_module.so

# 1 -> 192.168.1.11, or with a 6 behind it 2001:db8:b::11; the VIP's own number
# is left out.
lab_address() {
  local last=$((10 + $1))
  ((last < 100)) || ((last++))
  if [[ ${2:-4} == 6 ]]; then
    printf '%s:%d\n' "$lab_net6" "$last"
  else
    printf '%s.%d\n' "$lab_net" "$last"
  fi
}

# 7 -> rs07
lab_server() { printf 'rs%02d\n' "$((10#$1))"; }

lab_is_slow() { (($1 % lab_slow_every == 0)); }

lab_exists() { [[ -e $lab_run/$1/lab ]]; }

lab_get() { sed -n "s/^$2=//p" "$lab_run/$1/lab" | tail -n 1; }

lab_set() { printf '%s=%s\n' "$2" "$3" >>"$lab_run/$1/lab"; }

_lab_nth_method() {
  local list
  IFS=, read -ra list <<<"$1"
  printf '%s\n' "${list[($2 - 1) % ${#list[@]}]}"
}

# How server NUMBER is prepared: nat, dr, tun or plain.
lab_method() { _lab_nth_method "$(lab_get "$1" methods)" "$2"; }

_lab_namespaces() {
  ip netns list | awk '{print $1}' |
    grep -E "^$1-(client|isp|router|dir|net|rs[0-9]+)\$" || true
}

# --- making it ----------------------------------------------------------------
# lab_up has the options as its local variables; what follows reads them there.

_lab_options() {
  servers=29 arms=2 methods=nat router='' vlan='' jumbo='' udp=''
  while (($#)); do
    case $1 in
      --servers) servers=${2:?--servers N} && shift 2 ;;
      --arms) arms=${2:?--arms 1|2} && shift 2 ;;
      --method) methods=${2:?--method nat|dr|tun} && shift 2 ;;
      --router) router=1 && shift ;;
      --vlan) vlan=1 && shift ;;
      --jumbo) jumbo=1 && shift ;;
      --udp) udp=1 && shift ;;
      *) die "a lab has no option '$1'" ;;
    esac
  done
  [[ $methods == nat ]] || router=1
}

# A namespace with loopback, where IPv6 speaks only when spoken to. `forwards`
# as second argument makes it a router, on which any way in is good.
_lab_netns() {
  ip netns add "$1"
  in_netns "$1" sh -c '
    cd /proc/sys/net
    for conf in all default; do
      for name in accept_dad accept_ra accept_redirects autoconf \
        dad_transmits router_solicitations; do
        echo 0 >ipv6/conf/$conf/$name
      done
      for name in accept_redirects rp_filter send_redirects; do
        echo 0 >ipv4/conf/$conf/$name
      done
    done
    if [ "$0" = forwards ]; then
      echo 1 >ipv4/ip_forward
      echo 1 >ipv6/conf/all/forwarding
    fi
    ip link set lo up' "${2:-}"
}

# A host's end (see above), or the director's: all senders look alike.
_lab_tune() {
  in_netns "$1" ethtool -K "$2" tx off tso off gso off gro on txvlan off \
    rxvlan off >/dev/null
}

# A program that passes everything, on the other end of a director's device.
_lab_pass() {
  local netns=$1 device=$2 object=$lab_run/$name/pass.bpf.o
  [[ -e $object ]] || clang -O2 -target bpf -x c -c - -o "$object" <<'C'
__attribute__((section("xdp.frags"), used)) int lab_pass(void *ctx) { return 2; }
C
  ip -n "$netns" link set dev "$device" xdp obj "$object" sec xdp.frags
  in_netns "$netns" ethtool -K "$device" gro on >/dev/null
}

# _lab_vlan NETNS TRUNK ID: the device TRUNK.ID. On a kernel without 802.1Q two
# TC programs and a veth pair do what it would do: what comes in with the tag
# comes out of TRUNK.ID without, and the other way round. Nobody can know that
# device for a VLAN, so xlvs must be told: lab_tell_vlans.
_lab_vlan() {
  local netns=$1 trunk=$2 id=$3 object
  if ip -n "$netns" link add link "$trunk" name "$trunk.$id" type vlan \
    id "$id" 2>/dev/null; then
    return
  fi
  lab_set "$name" vlan stand-in
  ip -n "$netns" link add "$trunk.$id" \
    address "$(_lab_link_key "$netns" "$trunk" address)" \
    type veth peer name "t-$trunk.$id"
  in_netns "$netns" sh -c "
    echo 1 >/proc/sys/net/ipv6/conf/t-$trunk.$id/disable_ipv6"
  ip -n "$netns" link set "t-$trunk.$id" up
  _lab_tune "$netns" "t-$trunk.$id"
  _lab_tune "$netns" "$trunk.$id"
  object=$lab_run/$name/$netns-$trunk-$id.bpf.o
  clang -O2 -target bpf -I"/usr/include/$(uname -m)-linux-gnu" \
    -DID="$id" -DTRUNK="$(_lab_link_key "$netns" "$trunk" ifindex)" \
    -DINNER="$(_lab_link_key "$netns" "t-$trunk.$id" ifindex)" \
    -x c -c - -o "$object" <<'C'
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
static long (*const push)(void*, __be16, __u16) =
    (void*)BPF_FUNC_skb_vlan_push;
static long (*const pop)(void*) = (void*)BPF_FUNC_skb_vlan_pop;
static long (*const redirect)(__u32, __u64) = (void*)BPF_FUNC_redirect;

__attribute__((section("tag"), used)) int to_trunk(struct __sk_buff* skb) {
  push(skb, __builtin_bswap16(0x8100), ID);
  return redirect(TRUNK, 0);
}
__attribute__((section("untag"), used)) int from_trunk(struct __sk_buff* skb) {
  if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != ID)
    return TC_ACT_UNSPEC; /* the next filter's */
  pop(skb);
  return redirect(INNER, 0);
}
C
  in_netns "$netns" sh -e -c '
    tc qdisc add dev "$1" clsact 2>/dev/null || true
    tc qdisc add dev "t-$1.$2" clsact
    tc filter add dev "$1" ingress pref "$2" bpf da obj "$0" sec untag
    tc filter add dev "t-$1.$2" ingress bpf da obj "$0" sec tag' \
    "$object" "$trunk" "$id"
}

_lab_link_key() { ip -n "$1" -json link show "$2" | jq -r ".[0].$3"; }

_lab_nginx_conf() {
  local mixed
  if lab_is_slow "$number"; then
    mixed="echo_sleep 0.$(printf %03d "$lab_slow_ms"); echo $server;"
  else
    mixed="return 200 \"$server\\n\";"
  fi
  cat <<CONF
load_module $lab_echo_module;
user www-data;
worker_processes 1;
pid $lab_run/$name/$server/nginx.pid;
error_log $lab_run/$name/$server/error.log;
events { worker_connections 8192; }
http {
  access_log off;
  default_type text/plain;
  sendfile on;
  keepalive_timeout 600;
  keepalive_requests 1000000;
  client_max_body_size 0;
  client_body_temp_path $lab_data-$name/upload/$number;
  proxy_temp_path $lab_run/$name/$server/t1;
  fastcgi_temp_path $lab_run/$name/$server/t2;
  uwsgi_temp_path $lab_run/$name/$server/t3;
  scgi_temp_path $lab_run/$name/$server/t4;
  server {
    listen 80 backlog=4096;
    listen [::]:80 backlog=4096 ipv6only=on;
    location / { return 200 "$server\n"; }
    location = /mixed { $mixed }
    location = /slow { echo_sleep 1; echo $server; }
    location /files/ { alias $lab_data-$name/files/; }
    location /upload/ {
      alias $lab_data-$name/upload/$number/;
      dav_methods PUT DELETE;
    }
  }
}
CONF
}


# A DNS server that knows one name, its own, and iperf3 on each address that a
# client may use: iperf3 answers UDP from the address that a route prefers, not
# from the one that was asked, unless it listens on one only.
_lab_udp_up() {
  local address listen=("$address4" "$address6")
  [[ $method != dr && $method != tun ]] || listen=("$lab_vip" "$lab_vip6")
  in_netns "$netns" dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --user=nobody \
    --pid-file="$dir/dnsmasq.pid" --log-facility="$dir/dnsmasq.log" \
    --txt-record="name.lab,$server" --local=/lab/
  for address in "${listen[@]}"; do
    in_netns "$netns" iperf3 --server --daemon --bind "$address" \
      --pidfile "$dir/iperf3-${address//[.:]/-}.pid" \
      --logfile "$dir/iperf3.log"
  done
}

_lab_server_up() {
  local number=$1 method server netns address4 address6 dir gateway=1
  method=$(_lab_nth_method "$methods" "$number")
  server=$(lab_server "$number")
  address4=$(lab_address "$number")
  address6=$(lab_address "$number" 6)
  netns=$name-$server
  dir=$lab_run/$name/$server
  mkdir -p "$dir" "$lab_data-$name/upload/$number"
  chown www-data "$lab_data-$name/upload/$number"
  _lab_nginx_conf >"$dir/nginx.conf"
  _lab_netns "$netns"
  ip -n "$name-net" link add "$server" mtu "$mtu" type veth \
    peer name eth0 mtu "$mtu" netns "$netns"
  ip -n "$name-net" link set "$server" master br0 up
  [[ $method == nat ]] || gateway=254
  if [[ $method == dr || $method == tun ]]; then
    # Has the VIP, and keeps quiet about it: for IPv6 it is enough that it is on
    # another device than the one that is asked.
    ip -n "$netns" -batch - <<BATCH
addr add $lab_vip/32 dev lo
addr add $lab_vip6/128 dev lo nodad preferred_lft 0
BATCH
    in_netns "$netns" sh -c '
      echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
      echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
  fi
  ip -n "$netns" -batch - <<BATCH
addr add $address4/24 dev eth0
addr add $address6/64 dev eth0 nodad
link set eth0 up
route add default via $lab_net.$gateway
route add default via $lab_net6:$gateway
BATCH
  _lab_tune "$netns" eth0
  in_netns "$netns" sh -c "
    echo 4096 >/proc/sys/net/core/somaxconn
    exec nginx -p '$dir/' -c '$dir/nginx.conf' -e '$dir/error.log'"
  [[ -z $udp ]] || _lab_udp_up
}

# _lab_cable NETNS DEVICE NETNS DEVICE [MTU]
_lab_cable() {
  ip -n "$1" link add "$2" mtu "${5:-1500}" type veth \
    peer name "$4" mtu "${5:-1500}" netns "$3"
}

# A port of the switch; the other end is DEVICE of NETNS.
# _lab_plug NETNS DEVICE PORT [BRIDGE] [MTU]
_lab_plug() {
  _lab_cable "$1" "$2" "$name-net" "$3" "${5:-1500}"
  ip -n "$name-net" link set "$3" master "${4:-br0}" up
}

# The client's end of the world: isp and router, 1400 bytes between them.
_lab_routers_up() {
  local isp=$name-isp near=$name-router
  _lab_netns "$isp" forwards
  _lab_netns "$near" forwards
  _lab_cable "$isp" eth0 "$name-client" eth0
  _lab_cable "$isp" wan "$near" wan "$lab_mtu"
  _lab_plug "$near" lan router br0 "$mtu"
  ip -n "$isp" -batch - <<BATCH
addr add 10.0.0.254/24 dev eth0
addr add 2001:db8:a::254/64 dev eth0 nodad
addr add 10.0.1.1/24 dev wan
addr add 2001:db8:c::1/64 dev wan nodad
link set eth0 up
link set wan up
route add default via 10.0.1.2
route add default via 2001:db8:c::2
BATCH
  ip -n "$near" -batch - <<BATCH
addr add 10.0.1.2/24 dev wan
addr add 2001:db8:c::2/64 dev wan nodad
addr add $lab_net.254/24 dev lan
addr add $lab_net6:254/64 dev lan nodad
link set wan up
link set lan up
route add 10.0.0.0/24 via 10.0.1.1
route add 2001:db8:a::/64 via 2001:db8:c::1
BATCH
  _lab_tune "$isp" eth0
  _lab_tune "$isp" wan
  _lab_tune "$near" wan
  _lab_tune "$near" lan
}

# Cables between the director, who is next to it towards the client, and the
# switch. Sets `devices` (for xlvs), `outside` and `inside` (for addresses).
_lab_director_cables() {
  local dir=$name-dir net=$name-net next=$name-client next_device=eth0
  [[ -z $router ]] || next=$name-router next_device=dir
  devices=eth0 outside=eth0 inside=eth0
  if [[ -n $vlan ]]; then
    inside=eth0.20 outside=eth0.20
    _lab_cable "$dir" eth0 "$net" dir "$mtu"
    ip -n "$dir" link set eth0 up
    ip -n "$net" link set dir up
    _lab_tune "$net" dir
    _lab_vlan "$dir" eth0 20
    _lab_vlan "$net" dir 20
    ip -n "$net" link set dir.20 master br0 up
  elif ((arms == 2)); then
    devices="eth0 eth1" inside=eth1
    _lab_cable "$next" "$next_device" "$dir" eth0
    _lab_plug "$dir" eth1 dir br0 "$mtu"
  else
    _lab_plug "$dir" eth0 dir br0 "$mtu"
  fi
  if [[ -n $vlan ]] && ((arms == 2)); then
    outside=eth0.10
    _lab_vlan "$dir" eth0 10
    _lab_vlan "$net" dir 10
    ip -n "$net" link add br1 type bridge mcast_snooping 0
    ip -n "$net" link set br1 up
    ip -n "$net" link set dir.10 master br1 up
    _lab_plug "$next" "$next_device" client br1
  elif ((arms == 1)) && [[ -z $router ]]; then
    _lab_plug "$next" "$next_device" client
  fi
}

_lab_core_up() {
  local dir=$name-dir net=$name-net client=$name-client
  local devices outside inside device gateway=1
  mkdir -p "$lab_data-$name/files"
  _lab_netns "$net"
  in_netns "$net" sh -c '
    echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
  _lab_netns "$dir" forwards
  _lab_netns "$client"
  ip -n "$net" link add br0 mtu "$mtu" type bridge mcast_snooping 0
  ip -n "$net" link set br0 up
  [[ -z $router ]] || _lab_routers_up
  _lab_director_cables
  lab_set "$name" devices "$devices"

  ip -n "$dir" -batch - <<BATCH
addr add $lab_net.1/24 dev $inside
addr add $lab_net6:1/64 dev $inside nodad
addr add $lab_vip/32 dev $inside
addr add $lab_vip6/128 dev $inside nodad preferred_lft 0
link set $inside up
link set $outside up
BATCH
  if [[ -z $router ]]; then
    ip -n "$dir" -batch - <<BATCH
addr add 10.0.0.1/24 dev $outside
addr add 2001:db8:a::1/64 dev $outside nodad
BATCH
  elif ((arms == 1)); then
    gateway=254
    ip -n "$dir" -batch - <<BATCH
route add default via $lab_net.254
route add default via $lab_net6:254
BATCH
  else
    gateway=254
    ip -n "$dir" -batch - <<BATCH
addr add 10.0.2.1/24 dev $outside
addr add 2001:db8:d::1/64 dev $outside nodad
route add default via 10.0.2.254
route add default via 2001:db8:d::254
BATCH
    ip -n "$name-router" -batch - <<BATCH
addr add 10.0.2.254/24 dev dir
addr add 2001:db8:d::254/64 dev dir nodad
link set dir up
route add $lab_vip via 10.0.2.1
route add $lab_vip6 via 2001:db8:d::1
BATCH
    _lab_tune "$name-router" dir
  fi
  ip -n "$client" -batch - <<BATCH
addr add $lab_client/24 dev eth0
addr add $lab_client6/64 dev eth0 nodad
link set eth0 up
route add default via 10.0.0.$gateway
route add default via 2001:db8:a::$gateway
BATCH
  # Load makes a connection each request: all ports there are. Timestamps of one
  # base: a server in TIME_WAIT refuses a SYN from a port that it knows from
  # another service if its timestamp is older, and the client's next SYN is
  # scheduled anew (conn_reuse_mode), which "each has its share" would see.
  in_netns "$client" sh -c '
    echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range
    echo 2 >/proc/sys/net/ipv4/tcp_timestamps'
  _lab_tune "$client" eth0
  for device in $devices; do _lab_tune "$dir" "$device"; done
  _lab_pass "$net" dir
  if ((arms == 2)) && [[ -z $vlan ]]; then
    if [[ -n $router ]]; then
      _lab_pass "$name-router" dir
    else
      _lab_pass "$client" eth0
    fi
  fi
}

# Directly to every server, by plain forwarding.
_lab_answers() {
  local number family url=() expected='' got
  for family in 4 6; do
    for ((number = 1; number <= servers; number++)); do
      if ((family == 6)); then
        url+=("http://[$(lab_address "$number" 6)]/")
      else
        url+=("http://$(lab_address "$number")/")
      fi
      expected+=$(lab_server "$number")$'\n'
    done
  done
  got=$(in_netns "$name-client" curl -gsS --max-time 5 "${url[@]}")$'\n'
  [[ $got == "$expected" ]] || {
    printf 'answers are not those of the %d servers:\n%s' "$servers" "$got" >&2
    return 1
  }
}

# Before anything is made: what makes lab_up impossible ends the script here.
lab_check() {
  local name=$1 servers arms methods router vlan jumbo udp
  shift
  _lab_options "$@"
  [[ $name =~ ^[a-z][a-z0-9-]{0,30}$ ]] ||
    die "a lab's name is letters, digits and -, not '$name'"
  [[ $arms == 1 || $arms == 2 ]] || die "--arms is 1 or 2, not '$arms'"
  if [[ ! $servers =~ ^[0-9]+$ ]] ||
    ((servers < 1 || servers > lab_servers_max)); then
    die "--servers is 1 to $lab_servers_max, not '$servers'"
  fi
  [[ $methods =~ ^(nat|dr|tun|plain)(,(nat|dr|tun|plain))*$ ]] ||
    die "--method is nat, dr, tun, plain, or several with commas," \
      "not '$methods'"
  lab_exists "$name" &&
    die "lab '$name' exists: tools/lab down --name $name removes it"
  [[ -z $(_lab_namespaces "$name") ]] ||
    die "namespaces $name-... exist: tools/lab down --name $name removes them"
}

lab_up() {
  local name=$1 servers arms methods router vlan jumbo udp number mtu=1500
  shift
  _lab_options "$@"
  [[ -z $jumbo ]] || mtu=9000
  mkdir -p "$lab_run/$name"
  printf '%s=%s\n' servers "$servers" arms "$arms" methods "$methods" \
    router "$router" vlan "$vlan" jumbo "$jumbo" udp "$udp" \
    >>"$lab_run/$name/lab"
  _lab_core_up
  for ((number = 1; number <= servers; number++)); do
    _lab_server_up "$number"
  done
  _lab_answers
}

# For the VLANs that _lab_vlan only plays: writes what xlvs would find out about
# real ones. After every command that changes something, as xlvs writes anew.
# shellcheck disable=SC2046  # bytes are words
lab_tell_vlans() {
  local name=$1 instance=$2 id key trunk
  [[ $(lab_get "$name" vlan) == stand-in ]] || return 0
  trunk=$(_lab_link_key "$name-dir" eth0 ifindex)
  for id in 10 20; do
    key=$(_lab_link_key "$name-dir" "eth0.$id" ifindex 2>/dev/null) || continue
    bpftool map update pinned "/sys/fs/bpf/$instance/links" \
      key $(_lab_u32 "$key") \
      value $(_lab_u32 "$trunk") 0 129 "$id" 0 0 0 0 0
  done
}

_lab_u32() {
  printf '%d %d %d %d' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) \
    $(($1 >> 24 & 255))
}

# --- ending it ----------------------------------------------------------------

# Only processes that lab_up started: by their pid files, and only while the
# process still is one of this lab.
_lab_kill() {
  local name=$1 file pid pids=() i
  for file in "$lab_run/$name"/rs*/*.pid; do
    [[ -s $file ]] || continue
    pid=$(tr -dc '0-9' <"$file")
    [[ $pid =~ ^[0-9]+$ ]] || continue
    grep -qaF "$lab_run/$name/" "/proc/$pid/cmdline" 2>/dev/null || continue
    kill -TERM "$pid" 2>/dev/null && pids+=("$pid")
  done
  for ((i = 0; i < 100; i++)); do
    local alive=0
    for pid in "${pids[@]}"; do [[ -d /proc/$pid ]] && alive=1; done
    ((alive)) || return 0
    sleep 0.05
  done
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
}

# What `xlvs real-setup --apply` did goes with the namespace, its notes do not.
_lab_forget_setups() {
  local name=$1 netns xlvs
  xlvs=$(find_xlvs)
  [[ -n $xlvs ]] && compgen -G '/run/xlvs/real-setup-*.json' >/dev/null ||
    return 0
  for netns in $(_lab_namespaces "$name"); do
    [[ $netns != "$name"-rs* ]] ||
      XLVS_INSTANCE=${instance:-xlvs}-${netns##*-} in_netns "$netns" \
        "$xlvs" real-setup --undo >/dev/null 2>&1 || true
  done
}

# Everything of a lab, however much of it there is. Also the director instance
# that was made for it (lab_set NAME instance ...).
lab_down() {
  local name=$1 instance xlvs netns
  if lab_exists "$name"; then
    instance=$(lab_get "$name" instance)
    if [[ -n $instance && -d /sys/fs/bpf/$instance ]]; then
      xlvs=$(find_xlvs)
      if [[ -z $xlvs || ! -e /run/netns/$name-dir ]] ||
        ! XLVS_INSTANCE=$instance in_netns "$name-dir" \
          "$xlvs" detach --purge >/dev/null 2>&1; then
        rm -rf "/sys/fs/bpf/${instance:?}"
      fi
    fi
    _lab_forget_setups "$name"
    [[ -z $instance ]] || rm -rf "/sys/fs/bpf/${instance:?}"-rs*-decap
  fi
  _lab_kill "$name"
  for netns in $(_lab_namespaces "$name"); do ip netns del "$netns"; done
  rm -rf "${lab_run:?}/${name:?}" "${lab_data:?}-${name:?}"
  rmdir "$lab_run" 2>/dev/null || true
}
