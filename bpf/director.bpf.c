/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The director: what happens to a packet, stage by stage.
 *
 *   parse -> lookup -> schedule -> forward -> emit
 *
 * What a stage does is in its folder, the order of the stages in bpf/path/, and
 * the ways a packet can end in maps/step.h. The same paths stand in two
 * programs: in xlvs_director for the commonest shape of a packet, where every
 * offset is a constant, and in xlvs_director_any for all others; ICMP has one
 * of its own. */
#include "bpf/emit/icmp_error.h"
#include "bpf/expire/timer.h"
#include "bpf/lib/finish.h"
#include "bpf/lookup/local.h"
#include "bpf/parse/frame.h"
#include "bpf/path/icmp.h"
#include "bpf/path/local_reply.h"
#include "bpf/path/to_client.h"
#include "bpf/path/to_dest.h"

int xlvs_director_any(struct xdp_md* ctx);
int xlvs_director_icmp(struct xdp_md* ctx);

/* The other programs. No user process writes it; it is pinned, because the
 * kernel empties such a map when no descriptor and no pin is left. */
enum xlvs_program { XLVS_PROGRAM_any, XLVS_PROGRAM_icmp, XLVS_PROGRAM_max };
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __type(key, __u32);
  __uint(max_entries, XLVS_PROGRAM_max);
  __array(values, int(void*));
} xlvs_programs SEC(".maps") = {
    .values = {[XLVS_PROGRAM_any] = (void*)&xlvs_director_any,
               [XLVS_PROGRAM_icmp] = (void*)&xlvs_director_icmp},
};

/* Which side a packet comes from decides what the table is asked for: one
 * probe. */
static __always_inline enum xlvs_step xlvs_dispatch(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_shape shape,
    const struct xlvs_control* control) {
  if (xlvs_local_roles(&pkt->daddr) & XLVS_LOCAL_virtual) {
    __u32 mtu = 0;
    const enum xlvs_step step = xlvs_to_dest(ctx, pkt, shape, control, &mtu);
    if (step >= XLVS_STEP_tx_icmp_port_unreach &&
        step <= XLVS_STEP_tx_icmp_frag_needed)
      return (enum xlvs_step)xlvs_icmp_error(ctx, pkt, step, mtu);
    return step;
  }
  if (xlvs_local_roles(&pkt->saddr) & XLVS_LOCAL_dest)
    return xlvs_to_client(ctx, pkt, shape, control);
  return XLVS_STEP_pass_not_ours;
}

/* A later fragment gets its first's ports, or is the kernel's. */
static __always_inline enum xlvs_step xlvs_complete(struct xlvs_packet* pkt) {
  if (pkt->fragment != XLVS_FRAGMENT_later) return XLVS_STEP_next;
  if (!(xlvs_local_roles(&pkt->daddr) & XLVS_LOCAL_virtual) &&
      !(xlvs_local_roles(&pkt->saddr) & XLVS_LOCAL_dest))
    return XLVS_STEP_pass_not_ours;
  return xlvs_fragment_recall(pkt) ? XLVS_STEP_next : XLVS_STEP_pass_fragment;
}

/* Not on the stack, which the paths need for themselves. */
static __always_inline struct xlvs_packet* xlvs_blank_packet(void) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!scratch || !clock) return NULL;
  __builtin_memset(&scratch->packet, 0, sizeof(scratch->packet));
  scratch->packet.now_ticks = XLVS_READ_ONCE(clock->now_ticks);
  return &scratch->packet;
}

static __always_inline int xlvs_direct(struct xdp_md* ctx) {
  xlvs_count_rx();
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!control || !clock) return xlvs_finish(XLVS_STEP_drop_internal);
  if (!control->services) return xlvs_finish(XLVS_STEP_pass_no_services);
  struct xlvs_packet pkt = {.now_ticks = XLVS_READ_ONCE(clock->now_ticks)};
  const enum xlvs_step step = xlvs_parse_plain(xlvs_cursor(ctx), &pkt);
  if (step == XLVS_STEP_next)
    return xlvs_finish(xlvs_dispatch(ctx, &pkt, XLVS_SHAPE_PLAIN_V4, control));
  if (step == XLVS_STEP_other_shape)
    bpf_tail_call(ctx, &xlvs_programs, XLVS_PROGRAM_any);
  return xlvs_finish(step);
}

SEC("xdp.frags")
int xlvs_director(struct xdp_md* ctx) {
  return xlvs_direct(ctx);
}

SEC("xdp.frags")
int xlvs_director_any(struct xdp_md* ctx) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  struct xlvs_packet* pkt = xlvs_blank_packet();
  if (!control || !pkt) return xlvs_finish(XLVS_STEP_drop_internal);
  enum xlvs_step step = (enum xlvs_step)xlvs_parse(ctx, pkt);
  if (step != XLVS_STEP_next) return xlvs_finish(step);
  if (xlvs_is_icmp(pkt)) {
    bpf_tail_call(ctx, &xlvs_programs, XLVS_PROGRAM_icmp);
    return xlvs_finish(XLVS_STEP_drop_internal);
  }
  step = xlvs_complete(pkt);
  if (step != XLVS_STEP_next) return xlvs_finish(step);
  return xlvs_finish(xlvs_dispatch(ctx, pkt, xlvs_shape_of(pkt), control));
}

SEC("xdp.frags")
int xlvs_director_icmp(struct xdp_md* ctx) {
  struct xlvs_packet* pkt = xlvs_blank_packet();
  if (!pkt) return xlvs_finish(XLVS_STEP_drop_internal);
  const enum xlvs_step step = (enum xlvs_step)xlvs_parse(ctx, pkt);
  if (step != XLVS_STEP_next) return xlvs_finish(step);
  return xlvs_finish(xlvs_icmp_path(ctx, pkt));
}

char xlvs_license[] SEC("license") = "Dual BSD/GPL";
