# SPDX-License-Identifier: Apache-2.0
# All from Debian 12: libbpf-dev libelf-dev libabsl-dev libpopt-dev libmnl-dev
# nlohmann-json3-dev clang bpftool libgtest-dev libgmock-dev. tools/lib/packages.sh installs them.
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf>=1.1)
pkg_check_modules(POPT REQUIRED IMPORTED_TARGET popt>=1.18)
pkg_check_modules(MNL REQUIRED IMPORTED_TARGET libmnl>=1.0.4)
find_package(absl REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
find_program(CLANG NAMES clang REQUIRED)
find_program(LLVM_STRIP NAMES llvm-strip llvm-strip-14 REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
if(XLVS_TESTS)
  find_package(GTest REQUIRED)
endif()
