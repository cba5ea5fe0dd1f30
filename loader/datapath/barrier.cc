// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/time/clock.h"

namespace xlvs {

void WaitForPacketsInFlight() {
  // MEMBARRIER_CMD_GLOBAL is synchronize_rcu(). Where it is not built in (or
  // CPUs run tickless), time does: a packet takes microseconds.
  if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
    absl::SleepFor(absl::Milliseconds(50));
}

}  // namespace xlvs
