# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What tools/bench live and tools/bench ipvs need built, in $build (BUILD=DIR,
# or build/dev). Needs common.sh, progress.sh.

build=$(realpath -m "${BUILD:-$XLVS_ROOT/build/dev}")

_live_configure() {
  if [[ -n ${BUILD:-} ]]; then
    cmake -S "$XLVS_ROOT" -B "$build" -G Ninja -DXLVS_TESTS=ON \
      -DCMAKE_BUILD_TYPE=RelWithDebInfo
  else
    cmake -S "$XLVS_ROOT" --preset dev
  fi
}

live_build() {
  [[ -f $build/build.ninja ]] || step "configure" _live_configure
  if [[ $(ninja -C "$build" -n xlvs xlvs_bench_live) != *'no work to do'* ]]; then
    step "build" cmake --build "$build" --target xlvs xlvs_bench_live
  fi
}

# The commit, and whether what is measured differs from it.
live_commit() {
  local commit
  commit=$(git -C "$XLVS_ROOT" rev-parse --short HEAD 2>/dev/null) ||
    commit=unknown
  if [[ $commit != unknown && -n $(git -C "$XLVS_ROOT" status --porcelain \
    bpf maps loader 2>/dev/null) ]]; then
    commit+=', changed'
  fi
  printf '%s\n' "$commit"
}
