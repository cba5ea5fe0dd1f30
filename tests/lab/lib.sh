# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the lab's checks share. A test file sources this, calls `begin`, makes
# its checks and calls `end`. Each check prints one line, `ok - SENTENCE` or
# `not ok - SENTENCE: WHY`, and the file goes on after a failure.
#
#   begin [--conns N] [--detached] [OPTION...]
#     a lab with lab_up's options (the one that tests/lab/run made, if it fits,
#     else one of its own), a new instance, attached to all of the director's
#     interfaces; its tun servers take off what tunnels put on. Again: another
#     lab, after the first is put away
#   speak 4|6
#     the family of what follows: $vip, server_port, and what uses them
#   end
#     the balance once more; exit code 1 if any check failed
#
# Whatever happens, an EXIT trap ends the processes that were started here (by
# their pids), purges the instance, and removes the lab if it was made here.

lab_tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$lab_tests/../../tools/lib/common.sh"
source "$lab_tests/../../tools/lib/lab.sh"

vip=$lab_vip    # as in URL and in ADDRESS:PORT: with [] around IPv6
family=4
tunnel=ipip     # of services from now on
methods=()      # of the lab's servers, as in lab_up
# shellcheck disable=SC2034  # used by the test files
helper=$lab_tests/helper.py
shared_servers=29
failed=0
last='' # the sentence of the last check
ended=''
scratch=''
own_lab=''
declare -A started=()

# --- what a check says -------------------------------------------------------

ok() {
  last=$1
  printf 'ok - %s\n' "$1"
}

not_ok() {
  last=$1
  failed=$((failed + 1))
  printf 'not ok - %s: %s\n' "$1" "$(tr -s '\n ' ' ' <<<"${2:-no reason}")"
}

# check SENTENCE COMMAND...: its exit code decides, its output is the reason.
check() {
  local sentence=$1 out
  shift
  if out=$("$@" 2>&1); then
    ok "$sentence"
  else
    not_ok "$sentence" "${out:-\`$*\` failed}"
  fi
}

# is SENTENCE GOT WANTED
is() {
  if [[ $2 == "$3" ]]; then
    ok "$1"
  else
    not_ok "$1" "got '$2', not '$3'"
  fi
}

# refuses SENTENCE PATTERN COMMAND...: the command fails (exit code not 0) with one
# line that matches the extended regular expression.
refuses() {
  local sentence=$1 pattern=$2 out rc=0
  shift 2
  out=$("$@" 2>&1) || rc=$?
  if ((rc == 0)); then
    not_ok "$sentence" "\`$*\` succeeded: $out"
  elif [[ $out == *$'\n'* ]]; then
    not_ok "$sentence" "more than one line: $out"
  elif grep -qE -- "$pattern" <<<"$out"; then
    ok "$sentence"
  else
    not_ok "$sentence" "said '$out' (exit code $rc)"
  fi
}

# fails COMMAND...: for `check`.
fails() { ! "$@"; }

# within SECONDS COMMAND...: until it succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

# --- who runs where ----------------------------------------------------------

client() { in_netns "$lab-client" "$@"; }
director() { in_netns "$lab-dir" "$@"; }
x() { in_netns "$lab-dir" "$xlvs" "$@"; }

# on NUMBER COMMAND...: at that real server.
on() {
  local number=$1
  shift
  in_netns "$lab-$(lab_server "$number")" "$@"
}

speak() {
  family=$1
  if ((family == 6)); then vip=[$lab_vip6]; else vip=$lab_vip; fi
}

# An address as those want it who take no port.
bare() { tr -d '[]' <<<"$1"; }

server_port() {
  if ((family == 6)); then
    printf '[%s]:%s\n' "$(lab_address "$1" 6)" "${2:-80}"
  else
    printf '%s:%s\n' "$(lab_address "$1")" "${2:-80}"
  fi
}

# The options for server NUMBER's method, into $forward.
forward_to() {
  case ${methods[($1 - 1) % ${#methods[@]}]} in
    nat) forward=(-m) ;;
    dr) forward=(-g) ;;
    tun)
      forward=(-i --tun-type "$tunnel")
      [[ $tunnel != gue ]] || forward+=(--tun-port "$lab_gue_port")
      ;;
  esac
}

# background NAME COMMAND...: output in $scratch/NAME, until `finish NAME`.
background() {
  local name=$1
  shift
  : >"$scratch/$name" # not what an earlier one of this name said
  "$@" >>"$scratch/$name" 2>"$scratch/$name.err" </dev/null &
  started[$name]=$!
}

# `client` is a function, whose pid would be a subshell's.
client_background() {
  local name=$1
  shift
  background "$name" nsenter --net="/run/netns/$lab-client" "$@"
}

is_ready() {
  grep -q '^ready$' "$scratch/$1" || ! kill -0 "${started[$1]}" 2>/dev/null
}

ready() {
  if ! within 30 is_ready "$1" || ! grep -q '^ready$' "$scratch/$1"; then
    not_ok "$1 starts" "$(cat "$scratch/$1.err")"
    return 1
  fi
}

finish() {
  kill -TERM "${started[$1]}" 2>/dev/null || true
  wait "${started[$1]}" 2>/dev/null || true
  unset "started[$1]"
}

# --- begin and end -----------------------------------------------------------

cleanup() {
  local rc=$?
  set +e
  trap '' PIPE # who reads us may be gone; the rest is to be done all the same
  [[ -n $ended ]] ||
    not_ok "$(basename "$0" .sh) runs to its end" \
      "stopped with exit code $rc after '$last'"
  put_away
  rm -rf "$scratch"
}

put_away() {
  local name
  for name in "${!started[@]}"; do finish "$name"; done
  ((${#methods[@]} == 0)) ||
    decapsulate detach eth0 >/dev/null 2>&1 || true
  methods=()
  if [[ -d /sys/fs/bpf/$XLVS_INSTANCE ]]; then
    x detach --purge >/dev/null 2>&1 || true
    rm -rf "/sys/fs/bpf/${XLVS_INSTANCE:?}"
  fi
  rm -rf "/sys/fs/bpf/${XLVS_INSTANCE:?}"-rs*-decap
  # The names are never used again.
  rm -f "/run/xlvs/${XLVS_INSTANCE:?}.lock" "/run/xlvs/$XLVS_INSTANCE"-rs*.lock
  [[ -z $own_lab ]] || lab_down "$own_lab" >/dev/null 2>&1
  own_lab=''
}

# decap NUMBER WORD...: `xlvs decap` at that real server. The pins of all are in
# one place here, so each has an instance of its own.
decap() {
  local number=$1
  shift
  XLVS_INSTANCE=$XLVS_INSTANCE-$(lab_server "$number") \
    on "$number" "$xlvs" decap "$@"
}

# decapsulate WORD...: the same at all tun servers.
decapsulate() {
  local number servers
  servers=$(lab_get "$lab" servers)
  for ((number = 1; number <= servers; number++)); do
    [[ ${methods[(number - 1) % ${#methods[@]}]} == tun ]] || continue
    decap "$number" "$@"
  done
}

begin() {
  local servers=$shared_servers conns=20000 detached='' options=()
  while (($#)); do
    case $1 in
      --servers) servers=$2 && shift 2 ;;
      --conns) conns=$2 && shift 2 ;;
      --detached) detached=1 && shift ;;
      --arms | --method) options+=("$1" "$2") && shift 2 ;;
      *) options+=("$1") && shift ;;
    esac
  done
  need_root
  mount_bpffs
  xlvs=$(find_xlvs)
  [[ -n $xlvs ]] || die "there is no xlvs: build it, or set XLVS=PATH"
  export XLVS_INSTANCE=xlvs-test-$$
  [[ -z $scratch ]] || put_away
  [[ -n $scratch ]] || scratch=$(mktemp -d "${TMPDIR:-/tmp}/xlvs-lab-test.XXXXXX")
  trap cleanup EXIT
  trap 'exit 130' INT TERM
  if [[ -n ${XLVS_TEST_LAB:-} ]] && ((${#options[@]} == 0)) &&
    ((servers <= $(lab_get "$XLVS_TEST_LAB" servers))); then
    lab=$XLVS_TEST_LAB
  else
    lab=xt$$
    own_lab=$lab
    lab_up "$lab" --servers "$servers" "${options[@]}"
  fi
  IFS=, read -ra methods <<<"$(lab_get "$lab" methods)"
  read -ra devices <<<"$(lab_get "$lab" devices)"
  if [[ -z $detached ]]; then
    x attach "${devices[@]}" --conns "$conns" >"$scratch/attach" 2>&1 || {
      not_ok "xlvs attaches to ${devices[*]}" "$(cat "$scratch/attach")"
      end
    }
    lab_tell_vlans "$lab" "$XLVS_INSTANCE"
    decapsulate attach eth0 --from "$lab_net.1,$lab_net6:1" \
      --tun-port "$lab_gue_port" >/dev/null
  fi
}

end() {
  ended=1
  ((failed == 0)) || exit 1
  exit 0
}

# --- what the checks ask -----------------------------------------------------

# One request a connection, one after the other: prints `rs01 10` a line.
# visits COUNT [PATH] [ADDRESS]
visits() {
  local count=$1 path=${2:-/} to=${3:-$vip}
  client curl -sS --fail-early --max-time 5 -H 'Connection: close' \
    "http://$to$path?[1-$count]" | sort | uniq -c | awk '{print $2, $1}'
}

# servers 1 2 3 as `visits` would print them if each was asked COUNT times.
each() {
  local count=$1 number
  shift
  for number in "$@"; do printf '%s %d\n' "$(lab_server "$number")" "$count"; done
}

# `each` for all servers of the shared lab.
everyone() {
  local numbers
  mapfile -t numbers < <(seq 1 "$shared_servers")
  each "$1" "${numbers[@]}"
}

# One visit that must be answered within SECONDS.
# answers SECONDS [ADDRESS]
answers() { client curl -sS --max-time "$1" -o /dev/null "http://${2:-$vip}/"; }

# The method of server NUMBER in words, with the tunnel's kind.
method_words() {
  case ${methods[($1 - 1) % ${#methods[@]}]} in
    nat) echo Masq ;;
    dr) echo Route ;;
    tun) echo "Tunnel ($tunnel)" ;;
  esac
}

# The path MTU that a host has learned towards ADDRESS; 0 if none.
# learned_mtu NETNS ADDRESS
learned_mtu() {
  in_netns "$1" ip -o route get "$2" |
    sed -nE 's/.* mtu (lock )?([0-9]+).*/\2/p' | grep . || echo 0
}

# Client and servers know no path MTU any more. A host that knows one tells it
# to its peer as its MSS, so that the peer has nothing to learn.
forget_mtus() {
  local netns family
  for netns in $(_lab_namespaces "$lab"); do
    for family in 4 6; do
      in_netns "$netns" ip "-$family" route flush cache
    done
  done
}

has_xdp() { ip -n "$lab-dir" -d link show "$1" | grep -q prog/xdp; }

# The visitors' result into $answers, $failures, $kinds.
read_visits() {
  # shellcheck disable=SC2034  # used by the test files
  read -r answers failures kinds < <(grep -v ready "$scratch/visits")
}

# Sum of a column of -L -n over all servers: active_conns, inactive_conns.
_column() {
  x -L -n | awk -v c="$1" '$1 == "->" && $2 ~ /^[0-9[]/ {n += $c}
                           END {print n + 0}'
}
active_conns() { _column 5; }
inactive_conns() { _column 6; }
no_conns() { [[ "$(active_conns) $(inactive_conns)" == "0 0" ]]; }

# Lines of -L -n -c, of one state if it is named.
listed_conns() {
  x -L -n -c | awk -v state="${1:-}" '
    ($1 == "TCP" || $1 == "UDP") && (state == "" || $3 == state) {n++}
    END {print n + 0}'
}

# `ADDRESS:PORT CONNS` of every real server of the only service.
conns_by_server() {
  x -L -n --stats --exact | awk '$1 == "->" && $2 ~ /^[0-9[]/ {print $2, $3}'
}

# One ending's counter, or the sum of those whose names match.
ending() {
  x status --json --all |
    jq --arg re "$1" \
      '[.endings[] | select(.name | test($re)) | .packets] | add // 0'
}

balances() {
  local line
  line=$(x status | grep '^balance: ') || {
    echo "no balance line"
    return 1
  }
  awk '{
    if ($2 == "rx" && $3 == $6 + $9 + $12 + $15 && $3 > 0) exit 0
    print; exit 1
  }' <<<"$line"
}

# rx = tx + redirect + pass + drop, exactly. Packets may be in flight (a late
# FIN): those that count rx and ending a microsecond apart.
check_balance() { check "rx = tx + redirect + pass + drop" within 3 balances; }

retransmits() {
  in_netns "$1" cat /proc/net/snmp |
    awk '/^Tcp:/ {if (!n++) split($0, h); else split($0, v)}
         END {for (i in h) if (h[i] == "RetransSegs") print v[i]}'
}

# service [SCHEDULER] [COUNT] [PORT]: a TCP service on the VIP with the first
# COUNT servers, weight 1, each by its method.
service() {
  local scheduler=${1:-rr} count=${2:-$shared_servers} port=${3:-80} number
  x -A -t "$vip:$port" -s "$scheduler"
  for ((number = 1; number <= count; number++)); do
    server -a -t "$port" "$number"
  done
}

# server -a|-e|-d -t|-u PORT NUMBER [OPTION...]: one real server of a service,
# by its method. Only masquerading can ask another port than its own.
server() {
  local action=$1 protocol=$2 port=$3 number=$4 to=$3 forward=()
  shift 4
  [[ $action == -d ]] || forward_to "$number"
  [[ ${forward[*]} != -m || $protocol != -t ]] || to=80
  x "$action" "$protocol" "$vip:$port" -r "$(server_port "$number" "$to")" \
    "${forward[@]}" "$@"
}
