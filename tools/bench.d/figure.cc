// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/figure.h"

#include <algorithm>

namespace xlvs::bench {
namespace {

template <typename Operation>
Samples Pairs(const Samples& a, const Samples& b, Operation operation) {
  Samples result(std::min(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) result[i] = operation(a[i], b[i]);
  return result;
}

}  // namespace

Samples Minus(const Samples& a, const Samples& b) {
  return Pairs(a, b, [](double x, double y) { return x - y; });
}

Samples Over(const Samples& a, const Samples& b) {
  return Pairs(a, b, [](double x, double y) { return x / y; });
}

Samples Mean(const Samples& a, const Samples& b) {
  return Pairs(a, b, [](double x, double y) { return (x + y) / 2; });
}

Samples Times(double factor, Samples a) {
  for (double& value : a) value *= factor;
  return a;
}

Figure FigureOf(Samples samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const size_t last = samples.size() - 1;
  const auto at = [&](double part) {
    return samples[static_cast<size_t>(part * last + 0.5)];
  };
  return {.min = samples.front(),
          .p10 = at(0.1),
          .median = at(0.5),
          .p90 = at(0.9),
          .max = samples.back()};
}

}  // namespace xlvs::bench
