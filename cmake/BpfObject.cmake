# SPDX-License-Identifier: Apache-2.0
# xlvs_bpf_object(NAME SOURCE x.bpf.c): compiles NAME.bpf.o for the BPF target and
# generates NAME.skel.h, which embeds it. Header dependencies come from the compiler
# (-MMD), so touching maps/step.h rebuilds the object. Paths are mapped away, so
# the object is the same wherever it is built.
function(xlvs_bpf_object name)
  cmake_parse_arguments(ARG "" "SOURCE" "" ${ARGN})
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SOURCE})
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra
      $<$<BOOL:${XLVS_WERROR}>:-Werror>
      -I${PROJECT_SOURCE_DIR} -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
      -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
      -MMD -MF ${object}.d -MT ${object} -c ${source} -o ${object}
    COMMAND ${LLVM_STRIP} -g ${object}
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMAND_EXPAND_LISTS
    VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND sh -c "${BPFTOOL} gen skeleton ${object} name xlvs_${name} > ${skeleton}.tmp && mv ${skeleton}.tmp ${skeleton}"
    DEPENDS ${object}
    VERBATIM)
  add_custom_target(xlvs_${name}_generate DEPENDS ${object} ${skeleton})
  add_library(xlvs_${name}_skeleton INTERFACE)
  add_library(xlvs::${name}_skeleton ALIAS xlvs_${name}_skeleton)
  add_dependencies(xlvs_${name}_skeleton xlvs_${name}_generate)
  target_include_directories(xlvs_${name}_skeleton SYSTEM INTERFACE
    ${CMAKE_CURRENT_BINARY_DIR})
  target_link_libraries(xlvs_${name}_skeleton INTERFACE PkgConfig::LIBBPF)
  install(FILES ${object} DESTINATION ${CMAKE_INSTALL_LIBDIR}/xlvs)
endfunction()
