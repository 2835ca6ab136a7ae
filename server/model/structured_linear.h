// config.json's `structured_linear`: which linear layers have which structure, by module path.
//
//   {"model.decoder.layers.*.fc1": {"kind": KIND, OPTION: VALUE, …}, …}
//
// A key is a path in which a component `*` stands for any layer index. Kinds and their options are
// those of kernels/structures. Layers that no key names are told by their tensors.
//
// Low-rank checkpoints have `truncation_ranks` instead, {PATH: RANK, …}: it names all low-rank
// layers, and no other.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/structures/structures.h"
#include "nlohmann/json_fwd.hpp"

namespace dyad {

// What a key says. Options are checked when the layer is compiled.
struct LinearStructure {
  const kernels::Structure* structure = nullptr;
  kernels::Options options{""};
};

class StructuredLinear {
 public:
  // Keys may leave out `root`, as tensor names may.
  // Errors: InvalidArgument: key, what was found, what is supported.
  static absl::StatusOr<StructuredLinear> Parse(const nlohmann::json& value, std::string_view root);

  // Adds what `truncation_ranks` says. Errors: as Parse.
  absl::Status AddRanks(const nlohmann::json& ranks, std::string_view root);
  bool has_ranks() const { return has_ranks_; }

  // The structure that a key gives to the layer at `path`; absent: no key names it.
  // Errors: InvalidArgument: two keys name it.
  absl::StatusOr<std::optional<LinearStructure>> Find(std::string_view path) const;

  // Errors: InvalidArgument: a key names none of the linear layers `paths`.
  absl::Status RefuseUnusedKeys(const std::vector<std::string>& paths) const;

 private:
  struct Entry {
    std::string where;                 // "config.json: structured_linear['KEY']"
    std::vector<std::string> pattern;  // components
    LinearStructure structure;
  };
  std::vector<Entry> entries_;
  bool has_ranks_ = false;
};

}  // namespace dyad
