# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What a tool needs built before it can begin. Needs common.sh, progress.sh,
# packages.sh.
#
#   build_targets TARGET...   configures and builds what is missing, into $build:
#                             BUILD=DIR, else build/dev
#   commit_name               of what was built: 2daac62, or 2daac62, changed

build=$(realpath -m "${BUILD:-$XLVS_ROOT/build/dev}")

_configure() {
  if [[ -n ${BUILD:-} ]]; then
    cmake -S "$XLVS_ROOT" -B "$build" -G Ninja -DXLVS_TESTS=ON \
      -DCMAKE_BUILD_TYPE=RelWithDebInfo
  else
    cmake -S "$XLVS_ROOT" --preset dev
  fi
}

build_targets() {
  install_packages "${packages_build[@]}"
  [[ -f $build/build.ninja ]] || step "configure" _configure
  if [[ $(ninja -C "$build" -n "$@") != *'no work to do'* ]]; then
    step "build" cmake --build "$build" --target "$@"
  fi
}

commit_name() {
  local commit
  commit=$(git -C "$XLVS_ROOT" rev-parse --short HEAD 2>/dev/null) ||
    commit=unknown
  if [[ $commit != unknown && -n $(git -C "$XLVS_ROOT" status --porcelain \
    bpf maps loader 2>/dev/null) ]]; then
    commit+=', changed'
  fi
  printf '%s\n' "$commit"
}
