# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# build_bench TARGET: builds what tools/bench and the like run, if it is not up
# to date, and sets $build. What nobody asked to see goes to standard error:
# --json - is for programs. BUILD=DIR uses another build directory. Needs
# common.sh, progress.sh, packages.sh.

build=$(realpath -m "${BUILD:-$XLVS_ROOT/build/dev}")

_bench_configure() {
  if [[ -n ${BUILD:-} ]]; then
    cmake -S "$XLVS_ROOT" -B "$build" -G Ninja -DXLVS_TESTS=ON \
      -DCMAKE_BUILD_TYPE=RelWithDebInfo
  else
    cmake -S "$XLVS_ROOT" --preset dev
  fi
}

build_bench() {
  install_packages "${packages_build[@]}"
  [[ -f $build/build.ninja ]] || step "configure" _bench_configure
  if [[ $(ninja -C "$build" -n "$1") != *'no work to do'* ]]; then
    step "build" cmake --build "$build" --target "$1"
  fi
} >&2
