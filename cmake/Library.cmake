# SPDX-License-Identifier: Apache-2.0
# xlvs_library(NAME SRCS ... DEPS ...)  a static library of loader/, C++20
# xlvs_executable(NAME SRCS ... DEPS ...)
# xlvs_test(NAME SRCS ... DEPS ... LABEL unit|packet)  a GoogleTest program; the target
# LABEL_tests builds all of a label
function(xlvs_target_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wshadow $<$<BOOL:${XLVS_WERROR}>:-Werror>)
endfunction()

function(xlvs_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(xlvs_${name} STATIC ${ARG_SRCS})
  add_library(xlvs::${name} ALIAS xlvs_${name})
  xlvs_target_options(xlvs_${name})
  target_link_libraries(xlvs_${name} PUBLIC ${ARG_DEPS})
endfunction()

function(xlvs_executable name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  xlvs_target_options(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
endfunction()

function(xlvs_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SRCS;DEPS" ${ARGN})
  xlvs_executable(${name} SRCS ${ARG_SRCS}
    DEPS ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(NOT TARGET ${ARG_LABEL}_tests)
    add_custom_target(${ARG_LABEL}_tests)
  endif()
  add_dependencies(${ARG_LABEL}_tests ${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL})
endfunction()
