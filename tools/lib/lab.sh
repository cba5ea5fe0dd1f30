# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The lab: one client, one director, N real servers with nginx, each in its own
# network namespace. Everything forwards by the plain kernel until somebody
# attaches xlvs to the director's interfaces. Needs common.sh.
#
#   lab_check NAME SERVERS ARMS   lab_up NAME SERVERS ARMS   lab_down NAME
#   lab_exists NAME               lab_get NAME KEY           lab_set NAME KEY VALUE
#   lab_picture ARMS SERVERS
#
# What is where:
#   /run/netns/NAME-client, NAME-dir, NAME-net (the switch), NAME-rs01 ...
#   /run/xlvs-lab/NAME/lab            key=value: servers, arms, devices, instance
#   /run/xlvs-lab/NAME/rsNN/          nginx: configuration, pid, error log
#   /var/tmp/xlvs-lab-NAME/files/     what every server serves under /files/
#   /var/tmp/xlvs-lab-NAME/upload/NN/ what was PUT to server NN under /upload/
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

lab_run=/run/xlvs-lab
lab_data=/var/tmp/xlvs-lab
lab_vip=192.168.1.100
lab_servers_max=200
lab_slow_every=7   # servers 7, 14, 21 ... are slow at /mixed
lab_slow_ms=100
lab_echo_module=/usr/lib/nginx/modules/ngx_http_echo_module.so

# 1 -> 192.168.1.11; the VIP's own number is left out.
lab_address() {
  local last=$((10 + $1))
  ((last < 100)) || ((last++))
  printf '192.168.1.%d\n' "$last"
}

# 7 -> rs07
lab_server() { printf 'rs%02d\n' "$((10#$1))"; }

lab_is_slow() { (($1 % lab_slow_every == 0)); }

lab_exists() { [[ -e $lab_run/$1/lab ]]; }

lab_get() { sed -n "s/^$2=//p" "$lab_run/$1/lab" | tail -n 1; }

lab_set() { printf '%s=%s\n' "$2" "$3" >>"$lab_run/$1/lab"; }

_lab_namespaces() {
  ip netns list | awk '{print $1}' |
    grep -E "^$1-(client|dir|net|rs[0-9]+)\$" || true
}

# A namespace with loopback and without IPv6's chatter.
_lab_netns() {
  ip netns add "$1"
  in_netns "$1" sh -c '
    echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 2>/dev/null
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null
    ip link set lo up'
}

# A host's end (see above), or the director's: all senders look alike.
_lab_tune() {
  in_netns "$1" ethtool -K "$2" tx off tso off gso off gro on >/dev/null
}

# A program that passes everything, on the other end of a director's device.
_lab_pass() {
  local name=$1 netns=$2 device=$3 object=$lab_run/$1/pass.bpf.o
  [[ -e $object ]] || clang -O2 -target bpf -x c -c - -o "$object" <<'C'
__attribute__((section("xdp"), used)) int lab_pass(void *ctx) { return 2; }
C
  in_netns "$netns" ip link set dev "$device" xdp obj "$object" sec xdp
  in_netns "$netns" ethtool -K "$device" gro on >/dev/null
}

_lab_nginx_conf() {
  local name=$1 number=$2 server=$3 mixed
  if lab_is_slow "$number"; then
    mixed="echo_sleep 0.$(printf %03d $lab_slow_ms); echo $server;"
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

_lab_server_up() {
  local name=$1 number=$2 gateway=192.168.1.1
  local server netns address dir
  server=$(lab_server "$number")
  address=$(lab_address "$number")
  netns=$name-$server
  dir=$lab_run/$name/$server
  mkdir -p "$dir" "$lab_data-$name/upload/$number"
  chown www-data "$lab_data-$name/upload/$number"
  _lab_nginx_conf "$name" "$number" "$server" >"$dir/nginx.conf"
  _lab_netns "$netns"
  ip -n "$name-net" link add "$server" type veth peer name eth0 netns "$netns"
  ip -n "$name-net" link set "$server" master br0 up
  ip -n "$netns" -batch - <<BATCH
addr add $address/24 dev eth0
link set eth0 up
route add default via $gateway
BATCH
  _lab_tune "$netns" eth0
  in_netns "$netns" sh -c "
    echo 4096 >/proc/sys/net/core/somaxconn
    exec nginx -p '$dir/' -c '$dir/nginx.conf' -e '$dir/error.log'"
}

_lab_core_up() {
  local name=$1 arms=$2 devices
  mkdir -p "$lab_data-$name/files"
  _lab_netns "$name-net"
  _lab_netns "$name-dir"
  _lab_netns "$name-client"
  ip -n "$name-net" link add br0 type bridge
  ip -n "$name-net" link set br0 up
  if ((arms == 2)); then
    devices="eth0 eth1"
    ip -n "$name-dir" link add eth0 type veth \
      peer name eth0 netns "$name-client"
    ip -n "$name-dir" link add eth1 type veth peer name dir netns "$name-net"
  else
    devices="eth0"
    ip -n "$name-dir" link add eth0 type veth peer name dir netns "$name-net"
    ip -n "$name-net" link add client type veth \
      peer name eth0 netns "$name-client"
    ip -n "$name-net" link set client master br0 up
  fi
  ip -n "$name-net" link set dir master br0 up
  lab_set "$name" devices "$devices"

  local private=${devices##* }
  in_netns "$name-dir" sh -c '
    cd /proc/sys/net/ipv4
    echo 1 >ip_forward
    echo 0 >conf/all/rp_filter
    echo 0 >conf/all/send_redirects
    echo 0 >conf/default/send_redirects
    for f in conf/*/rp_filter conf/*/send_redirects; do echo 0 >$f; done'
  ip -n "$name-dir" -batch - <<BATCH
addr add 10.0.0.1/24 dev eth0
addr add 192.168.1.1/24 dev $private
addr add $lab_vip/32 dev $private
link set eth0 up
link set $private up
BATCH
  ip -n "$name-client" -batch - <<BATCH
addr add 10.0.0.2/24 dev eth0
link set eth0 up
route add default via 10.0.0.1
BATCH
  # Load makes a connection each request: all ports there are.
  in_netns "$name-client" sh -c '
    echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range'
  _lab_tune "$name-client" eth0
  local device
  for device in $devices; do _lab_tune "$name-dir" "$device"; done
  ((arms == 1)) || _lab_pass "$name" "$name-client" eth0
  _lab_pass "$name" "$name-net" dir
}

# Directly to every server, by plain forwarding through the director.
_lab_answers() {
  local name=$1 servers=$2 number url=() expected='' got
  for ((number = 1; number <= servers; number++)); do
    url+=("http://$(lab_address "$number")/")
    expected+=$(lab_server "$number")$'\n'
  done
  got=$(in_netns "$name-client" curl -sS --max-time 5 "${url[@]}")$'\n'
  [[ $got == "$expected" ]] || {
    printf 'answers are not those of the %d servers:\n%s' "$servers" "$got" >&2
    return 1
  }
}

# Before anything is made: what makes lab_up impossible ends the script here.
lab_check() {
  local name=$1 servers=$2 arms=$3
  [[ $name =~ ^[a-z][a-z0-9-]{0,30}$ ]] ||
    die "a lab's name is letters, digits and -, not '$name'"
  [[ $arms == 1 || $arms == 2 ]] || die "--arms is 1 or 2, not '$arms'"
  if [[ ! $servers =~ ^[0-9]+$ ]] ||
    ((servers < 1 || servers > lab_servers_max)); then
    die "--servers is 1 to $lab_servers_max, not '$servers'"
  fi
  lab_exists "$name" &&
    die "lab '$name' exists: tools/lab down --name $name removes it"
  [[ -z $(_lab_namespaces "$name") ]] ||
    die "namespaces $name-... exist: tools/lab down --name $name removes them"
}

lab_up() {
  local name=$1 servers=$2 arms=$3 number
  mkdir -p "$lab_run/$name"
  printf 'servers=%d\narms=%d\n' "$servers" "$arms" >>"$lab_run/$name/lab"
  _lab_core_up "$name" "$arms"
  for ((number = 1; number <= servers; number++)); do
    _lab_server_up "$name" "$number"
  done
  _lab_answers "$name" "$servers"
}

# Only processes that lab_up started: by their pid files, and only while the
# process still is an nginx of this lab.
_lab_kill() {
  local name=$1 file pid pids=() i
  for file in "$lab_run/$name"/rs*/nginx.pid; do
    [[ -s $file ]] || continue
    pid=$(<"$file")
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
  fi
  _lab_kill "$name"
  for netns in $(_lab_namespaces "$name"); do ip netns del "$netns"; done
  rm -rf "${lab_run:?}/${name:?}" "${lab_data:?}-${name:?}"
  rmdir "$lab_run" 2>/dev/null || true
}

lab_picture() {
  local arms=$1 servers=$2 last address
  last=$(lab_server "$servers")
  address=$(lab_address "$servers")
  if ((arms == 2)); then
    cat <<PICTURE
      client                    director                      real servers
   +-----------+       +-----------------------+           +----------------+
   | 10.0.0.2  |       | 10.0.0.1  192.168.1.1 |     +-----| rs01  .1.11    |
   |     eth0 -+-------+- eth0           eth1 -+-----+     +----------------+
   +-----------+       |                       |  switch         ...
    default via        |  VIP 192.168.1.100    |     |     +----------------+
    10.0.0.1           +-----------------------+     +-----| $(
      printf '%-5s %-8s' "$last" ".${address#192.168.}"
    ) |
                                                           +----------------+
                                                            default via
                                                            192.168.1.1
PICTURE
  else
    cat <<PICTURE
      client                    director                      real servers
   +-----------+       +-----------------------+           +----------------+
   | 10.0.0.2  |       | 10.0.0.1  192.168.1.1 |     +-----| rs01  .1.11    |
   +-----+-----+       |  VIP 192.168.1.100    |     |     +----------------+
    eth0 |             |         eth0          |     |           ...
         |             +-----------+-----------+     |     +----------------+
         |                         |                 +-----| $(
      printf '%-5s %-8s' "$last" ".${address#192.168.}"
    ) |
   ------+----------- switch ------+-----------------+     +----------------+
    default via                                             default via
    10.0.0.1                                                192.168.1.1
PICTURE
  fi
}
