# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# step TEXT COMMAND...: runs a command (or a function) whose output nobody needs
# to see while it works, and shows that it is alive: a spinner with the elapsed
# time on a terminal, plain lines elsewhere. If it fails, its whole output is
# shown and the script ends. `attempt` does the same but goes on; the exit code
# is then in $step_rc. Needs common.sh.
#
# Do not call them inside a condition: bash would ignore errors in COMMAND.

_progress_spin() {
  local text=$1 start=$SECONDS frames=$'|/-\\' i=0
  while kill -0 $$ 2>/dev/null; do # not longer than the script
    printf '\r  %s %-58.58s %s%4d s%s' "${frames:i++%4:1}" "$text" \
      "$dim" "$((SECONDS - start))" "$plain"
    sleep 0.2
  done
}

# elapsed START_US: seconds since then, as 3.4
elapsed() {
  local us=$((${EPOCHREALTIME/[.,]/} - $1))
  printf '%d.%d' $((us / 1000000)) $((us / 100000 % 10))
}

attempt() {
  local text=$1 log write read spinner='' start=${EPOCHREALTIME/[.,]/}
  shift
  # Without a name from the start: nothing stays behind, however this ends.
  log=$(mktemp "${TMPDIR:-/tmp}/xlvs-step.XXXXXX")
  exec {write}>"$log"
  exec {read}<"$log"
  rm -f "$log"
  if [[ -t 1 ]]; then
    _progress_spin "$text" &
    spinner=$!
  else
    printf '  .. %s\n' "$text"
  fi
  set +e
  (
    set -e
    "$@"
  ) >&"$write" 2>&1 </dev/null
  step_rc=$?
  set -e
  if [[ -n $spinner ]]; then
    kill "$spinner" 2>/dev/null || true
    wait "$spinner" 2>/dev/null || true
    printf '\r\e[K'
  fi
  if ((step_rc == 0)); then
    printf '  %sok%s %-57.57s %s%6s s%s\n' "$green" "$plain" "$text" \
      "$dim" "$(elapsed "$start")" "$plain"
    exec {write}>&- {read}<&-
    return 0
  fi
  printf '  %sFAILED%s %s (exit code %d)\n' "$red" "$plain" "$text" \
    "$step_rc"
  sed 's/^/    /' <&"$read"
  exec {write}>&- {read}<&-
}

step() {
  attempt "$@"
  ((step_rc == 0)) || exit "$step_rc"
}
