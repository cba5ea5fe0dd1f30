#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Debian's ldirectord, as it comes, watches the real servers and works our
# ipvsadm: a server that is down, or whose page is wrong, gets no more
# connections, and has its share again when it is back. With quiescent=yes it
# stays with weight 0, with quiescent=no it is removed; with none left the
# fallback serves. Servers 1 and 3 are behind NAT, 2 and the fallback (4) are
# reached by direct routing.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 4 --method nat,dr

# With -d ldirectord stays in the foreground, writes no pid file, and takes the
# ipvsadm of the directory where it stands; else it would be /sbin/ipvsadm.
ln -s "$xlvs" "$scratch/ipvsadm"
ipvsadm() { director "$scratch/ipvsadm" "$@"; }

conf() {
  cat <<CONF
checkinterval=1
negotiatetimeout=3
logfile="$scratch/ldirectord.log"
quiescent=$1

virtual=$vip:80
        real=$(server_port 1) masq
        real=$(server_port 2) gate
        real=$(server_port 3) masq
        fallback=$(server_port 4) gate
        service=http
        scheduler=rr
        protocol=tcp
        checktype=negotiate
        request="upload/health"
        receive="well"
CONF
}

ldirectord_up() {
  conf "$1" >"$scratch/ldirectord.cf"
  # shellcheck disable=SC2016  # for the shell that is started
  background ldirectord nsenter --net="/run/netns/$lab-dir" sh -c '
    cd "$0" && exec ldirectord -d "$0/ldirectord.cf" start' "$scratch"
}

# Server NUMBER's health page, which only it has.
page() { printf '%s\n' "$2" >"$lab_data-$lab/upload/$1/health"; }

listens() { on "$1" sh -c 'ss -Hltn sport = 80 | grep -q .'; }
nginx_down() {
  kill -QUIT "$(cat "$lab_run/$lab/$(lab_server "$1")/nginx.pid")"
  within 20 fails listens "$1"
}
nginx_up() {
  local dir
  dir=$lab_run/$lab/$(lab_server "$1")
  on "$1" nginx -p "$dir/" -c "$dir/nginx.conf" -e "$dir/error.log"
}

# `rs01 Masq 1`, in the order of their numbers: who is in the table.
table() {
  local number
  for number in 1 2 3 4; do
    ipvsadm -L -n | awk -v at="$(server_port "$number")" \
      -v name="$(lab_server "$number")" '$2 == at {print name, $3, $4}'
  done | paste -sd ,
}
table_is() {
  table="$(table)"
  [[ $table == "$1" ]]
}
# becomes SENTENCE TABLE: ldirectord sees to it in a few checks.
becomes() {
  within 40 table_is "$2" || true
  is "$1" "$table" "$2"
}

all="rs01 Masq 1,rs02 Route 1,rs03 Masq 1"
for quiescent in yes no; do
  # out NAME METHOD: what is left of a server that is taken out.
  if [[ $quiescent == yes ]]; then
    out() { printf '%s %s 0,' "$1" "$2"; }
  else
    out() { :; }
  fi
  says="quiescent=$quiescent:"
  for number in 1 2 3; do page "$number" well; done

  ldirectord_up "$quiescent"
  becomes "$says servers that answer are added" "$all"
  is "$says clients get all three" "$(visits 6)" "$(each 2 1 2 3)"

  nginx_down 2
  becomes "$says a server that is down is taken out" \
    "rs01 Masq 1,$(out rs02 Route)rs03 Masq 1"
  is "$says clients get the other two" "$(visits 6)" "$(each 3 1 3)"
  nginx_up 2
  becomes "$says it is up and back" "$all"
  is "$says clients get it again" "$(visits 6)" "$(each 2 1 2 3)"

  page 1 ill
  becomes "$says a server with a wrong page is taken out" \
    "$(out rs01 Masq)rs02 Route 1,rs03 Masq 1"
  is "$says though it would answer" "$(visits 6)" "$(each 3 2 3)"

  page 2 ill
  page 3 ill
  becomes "$says with none left there is the fallback" \
    "$(out rs01 Masq)$(out rs02 Route)$(out rs03 Masq)rs04 Route 1"
  is "$says clients get that" "$(visits 6)" "$(each 6 4)"
  for number in 1 2 3; do page "$number" well; done
  becomes "$says they are well, and the fallback is out" "$all"
  is "$says clients get all three again" "$(visits 6)" "$(each 2 1 2 3)"

  finish ldirectord
  is "$says ldirectord ends and takes its service with it" \
    "$(ipvsadm -S -n)" ''
done
check_balance
end
