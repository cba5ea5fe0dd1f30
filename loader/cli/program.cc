// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/program.h"

namespace xlvs {

Program Program::FromArgv0(const std::string& argv0) {
  Program program;
  program.argv0 = argv0;
  program.name = argv0.substr(argv0.rfind('/') + 1);
  if (program.name == "ipvsadm")
    program.personality = Personality::kIpvsadm;
  else if (program.name == "ipvsadm-save")
    program.personality = Personality::kIpvsadmSave;
  else if (program.name == "ipvsadm-restore")
    program.personality = Personality::kIpvsadmRestore;
  return program;
}

}  // namespace xlvs
