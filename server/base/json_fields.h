// Reading numbers, texts and switches from a JSON object whose author is not trusted: every value
// has a type and a range, and all faults are reported together, naming key, value and what was
// expected.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json_fwd.hpp"

namespace dyad {

template <typename T>
struct Range {
  T least;
  T most;
};

// Absent and null members have the default. A value of a wrong type or outside its range gives the
// default too, and status() says so.
class JsonFields {
 public:
  // `object` must outlive it; `where` begins every message ("config.json").
  JsonFields(const nlohmann::json& object, std::string_view where)
      : object_(object), where_(where) {}

  int64_t Integer(std::string_view key, int64_t otherwise, Range<int64_t> range);
  double Real(std::string_view key, double otherwise, Range<double> range);
  bool Switch(std::string_view key, bool otherwise);
  std::string String(std::string_view key, std::string_view otherwise);
  // An object or null; absent: null.
  const nlohmann::json& Object(std::string_view key);

  bool Has(std::string_view key) const;  // present and not null
  void Fault(std::string_view key, std::string_view expected);
  // Takes over the faults of an object inside this one.
  void Include(const JsonFields& nested);

  // OK, or InvalidArgument with all faults so far.
  absl::Status status() const;

 private:
  const nlohmann::json& Get(std::string_view key) const;  // null where absent

  const nlohmann::json& object_;
  const std::string where_;
  std::vector<std::string> faults_;
};

}  // namespace dyad
