// SPDX-License-Identifier: Apache-2.0
//
// Under which name we were called. As `ipvsadm` the program is ipvsadm and
// nothing else; as `xlvs` it has words and options of its own besides.
#ifndef XLVS_LOADER_CLI_PROGRAM_H_
#define XLVS_LOADER_CLI_PROGRAM_H_

#include <string>

namespace xlvs {

enum class Personality { kXlvs, kIpvsadm, kIpvsadmSave, kIpvsadmRestore };

struct Program {
  std::string argv0;  // as given: ipvsadm prints it as it is
  std::string name;   // without the directory
  Personality personality = Personality::kXlvs;

  static Program FromArgv0(const std::string& argv0);
};

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_PROGRAM_H_
