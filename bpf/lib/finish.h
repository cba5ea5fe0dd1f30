/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The one way in and the one way out: a packet is counted as received here and
 * by its ending here, so rx = tx + redirect + pass + drop holds exactly. */
#ifndef XLVS_BPF_LIB_FINISH_H
#define XLVS_BPF_LIB_FINISH_H

#include "bpf/tables.h"

static const __u8 xlvs_step_action[XLVS_STEP_max] = {
#define XLVS_X(name, action, text) XDP_##action,
    XLVS_STEPS(XLVS_X)
#undef XLVS_X
};

static __always_inline void xlvs_count_rx(void) {
  struct xlvs_step_counters* counters = XLVS_ONLY(xlvs_steps);
  if (counters) counters->rx++;
}

/* Counts the ending; returns its XDP action. */
static __always_inline int xlvs_finish(enum xlvs_step step) {
  __u32 index = step;
  asm volatile("" : "+r"(index)); /* else clang checks a copy of it */
  if (index >= XLVS_STEP_max) index = XLVS_STEP_drop_internal;
  struct xlvs_step_counters* counters = XLVS_ONLY(xlvs_steps);
  if (counters) ((__u64*)counters)[1 + index]++;
  return xlvs_step_action[index];
}

#endif
