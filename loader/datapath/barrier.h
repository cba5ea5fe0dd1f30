// SPDX-License-Identifier: Apache-2.0
//
// Waits until every packet that is being handled now is done (an RCU grace
// period): after that, nobody holds what was taken out of the maps before.
#ifndef XLVS_LOADER_DATAPATH_BARRIER_H_
#define XLVS_LOADER_DATAPATH_BARRIER_H_

namespace xlvs {

void WaitForPacketsInFlight();

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_BARRIER_H_
