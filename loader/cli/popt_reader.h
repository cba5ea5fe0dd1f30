// SPDX-License-Identifier: Apache-2.0
//
// One pass of libpopt over a command line. It is the library that ipvsadm uses,
// so bundles (-Ln), attached values (-p600) and the texts of its complaints are
// the same without effort.
#ifndef XLVS_LOADER_CLI_POPT_READER_H_
#define XLVS_LOADER_CLI_POPT_READER_H_

#include <popt.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xlvs {

class PoptReader {
 public:
  // `args[0]` is the program. `table` ends with POPT_TABLEEND and must outlive
  // the reader.
  PoptReader(std::vector<std::string> args, const poptOption* table);

  // The `val` of the next option; -1 at the end; below -1 an error, which
  // ErrorText() puts into words.
  int Next();
  std::string ErrorText(int error) const;

  // The value of the option that Next() returned, if it has one.
  std::optional<std::string> Value();
  // That option, spelled as the user did.
  std::string Spelling() const;
  // The next word that is no option. After the last Next() only.
  std::optional<std::string> Word();

 private:
  struct Free {
    void operator()(poptContext_s* context) const { poptFreeContext(context); }
  };

  std::vector<std::string> args_;
  std::vector<const char*> argv_;  // popt keeps pointers into it
  std::unique_ptr<poptContext_s, Free> context_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_POPT_READER_H_
