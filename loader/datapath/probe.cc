// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdint>
#include <memory>

#include "probe.skel.h"

namespace xlvs {

bool FibTellsSource() {
  const std::unique_ptr<xlvs_probe, decltype(&xlvs_probe__destroy)> object(
      xlvs_probe__open_and_load(), xlvs_probe__destroy);
  if (object == nullptr) return false;
  const uint8_t frame[64] = {};  // it wants a packet, of whatever content
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame;
  options.data_size_in = sizeof(frame);
  const int program = bpf_program__fd(object->progs.xlvs_probe_fib_source);
  return bpf_prog_test_run_opts(program, &options) == 0 && options.retval == 1;
}

}  // namespace xlvs
