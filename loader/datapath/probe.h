// SPDX-License-Identifier: Apache-2.0
//
// What this kernel can do, asked of the kernel itself: versions lie where
// features were backported.
#ifndef XLVS_LOADER_DATAPATH_PROBE_H_
#define XLVS_LOADER_DATAPATH_PROBE_H_

namespace xlvs {

// Whether bpf_fib_lookup() tells the source address (BPF_FIB_LOOKUP_SRC). If it
// cannot be found out, it does not.
bool FibTellsSource();

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_PROBE_H_
