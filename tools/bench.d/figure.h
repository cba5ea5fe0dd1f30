// SPDX-License-Identifier: Apache-2.0
//
// What was measured of one thing, one sample a round. Things of the same rounds
// are compared sample by sample: what the machine did meanwhile is in both.
#ifndef XLVS_TOOLS_BENCH_D_FIGURE_H_
#define XLVS_TOOLS_BENCH_D_FIGURE_H_

#include <vector>

namespace xlvs::bench {

using Samples = std::vector<double>;  // by round

Samples Minus(const Samples& a, const Samples& b);
Samples Over(const Samples& a, const Samples& b);
Samples Mean(const Samples& a, const Samples& b);
Samples Times(double factor, Samples a);

struct Figure {
  double min = 0;
  double p10 = 0;
  double median = 0;
  double p90 = 0;
  double max = 0;
};
Figure FigureOf(Samples samples);  // all zero of none

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_FIGURE_H_
