#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 in the middle of commands, again and again: the next command works,
# traffic does not notice, and the table becomes what is asked for.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
service rr
rounds=120

# One of the commands that change something, on :80 (weights only, which must
# hurt nobody) and on :81 (everything), into $words.
edit() {
  local server weight=$((RANDOM % 9 + 1))
  server=$(server_port $((RANDOM % 5 + 1)))
  case $((RANDOM % 7)) in
    0) words=(-A -t "$vip:81" -s wrr) ;;
    1) words=(-D -t "$vip:81") ;;
    2) words=(-E -t "$vip:81" -s lc) ;;
    3) words=(-a -t "$vip:81" -r "$server" -m -w "$weight") ;;
    4) words=(-e -t "$vip:81" -r "$server" -m -w "$weight") ;;
    5) words=(-d -t "$vip:81" -r "$server") ;;
    6) words=(-e -t "$vip:80" -r "$server" -m -w "$weight") ;;
  esac
}

# How long a command takes, so that kills fall all over it.
start=${EPOCHREALTIME/[.,]/}
x -e -t "$vip:80" -r "$(server_port 1)" -m -w 1
took=$((${EPOCHREALTIME/[.,]/} - start))

client_background streams "$helper" stream --to "$vip:80" --count 29
ready streams
client_background visits "$helper" visit --to "$vip:80" --count 2
ready visits
killed=0
unusable=''
for ((round = 0; round < rounds; round++)); do
  us=$((RANDOM * took / 32768 + 200))
  rc=0
  edit
  director timeout -s KILL "$(printf '0.%06d' $us)" "$xlvs" "${words[@]}" \
    >/dev/null 2>&1 || rc=$?
  ((rc != 137)) || killed=$((killed + 1))
  x -L -n >"$scratch/list" 2>&1 || unusable=$(cat "$scratch/list")
done
finish visits
finish streams
if ((killed >= rounds / 10)); then
  ok "$killed of $rounds commands were killed on the way"
else
  not_ok "at least a tenth of the commands is killed on the way" \
    "$killed of $rounds, a command takes $took us"
fi
is "after each of them the table can be listed" "$unusable" ''
is "no long connection broke" \
  "$(awk 'NF == 3 && $3 != "-" {print $1, $3}' "$scratch/streams")" ''
read_visits
is "no visit failed (of $answers)" "$failures" 0

# What is asked for now is what there is then.
x -D -t "$vip:81" 2>/dev/null || true
x -A -t "$vip:81" -s rr
for number in 1 2 3; do
  x -a -t "$vip:81" -r "$(server_port $number)" -m -w $number
done
for number in 1 2 3 4 5; do
  x -e -t "$vip:80" -r "$(server_port $number)" -m -w 1
done
wanted=$(
  echo "-A -t $vip:80 -s rr"
  for ((number = 1; number <= shared_servers; number++)); do
    echo "-a -t $vip:80 -r $(server_port $number) -m -w 1"
  done
  echo "-A -t $vip:81 -s rr"
  for number in 1 2 3; do
    echo "-a -t $vip:81 -r $(server_port $number) -m -w $number"
  done
)
is "afterwards the table is what was configured" \
  "$(x -S -n | grep "^-[Aa]" | sort)" "$(sort <<<"$wanted")"
is "and traffic follows it" "$(visits 58)" "$(everyone 2)"
check "status works" x status
check_balance
end
