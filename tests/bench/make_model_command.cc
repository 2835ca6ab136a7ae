// dyad-bench make_model FOLDER: tests/bench/make_model.h.
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/commands.h"
#include "tests/bench/make_model.h"

ABSL_FLAG(std::string, arch, "opt", "make_model: opt or gpt_neox");
ABSL_FLAG(std::string, size, "125m",
          "make_model: 125m, 350m or 1.3b of opt; 70m, 160m or 410m of gpt_neox");
ABSL_DECLARE_FLAG(std::string, kind);
ABSL_DECLARE_FLAG(int64_t, blocks);

namespace dyad::bench {

absl::Status RunMakeModel(Operands operands) {
  const std::string kind = absl::GetFlag(FLAGS_kind);
  const kernels::Structure* const structure = kernels::FindStructure(kind);
  if (structure == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("--kind is '", kind, "'; it must be one of: ", kernels::StructureKinds()));
  }
  return MakeModel({.architecture = absl::GetFlag(FLAGS_arch),
                    .size = absl::GetFlag(FLAGS_size),
                    .structure = structure,
                    .detail = absl::GetFlag(FLAGS_blocks)},
                   operands[0]);
}

}  // namespace dyad::bench
