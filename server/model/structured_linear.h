// config.json's `structured_linear`: which linear layers have which structure, by module path.
//
//   {"model.decoder.layers.*.fc1": {"kind": "dyad", "variant": "it"}, …}
//
// A key is a path in which a component `*` stands for any layer index. It settles what shapes
// cannot tell (DYAD's variants have equal tensors); layers that no key names are told by their
// tensors.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/linear.h"
#include "nlohmann/json_fwd.hpp"

namespace dyad {

enum class LinearKind { kDense, kDyad };

struct LinearStructure {
  LinearKind kind = LinearKind::kDense;
  kernels::DyadVariant variant = kernels::DyadVariant::kIt;  // of kDyad
};

std::string_view VariantName(kernels::DyadVariant variant);  // "it", "ot", "dt"

class StructuredLinear {
 public:
  // Keys may leave out `root`, as tensor names may.
  // Errors: InvalidArgument: key, what was found, what is supported.
  static absl::StatusOr<StructuredLinear> Parse(const nlohmann::json& value, std::string_view root);

  // The structure that a key gives to the layer at `path`; absent: no key names it.
  // Errors: InvalidArgument: two keys name it.
  absl::StatusOr<std::optional<LinearStructure>> Find(std::string_view path) const;

  // Errors: InvalidArgument: a key names none of the linear layers `paths`.
  absl::Status RefuseUnusedKeys(const std::vector<std::string>& paths) const;

 private:
  struct Entry {
    std::string key;
    std::vector<std::string> pattern;  // components
    LinearStructure structure;
  };
  std::vector<Entry> entries_;
};

}  // namespace dyad
