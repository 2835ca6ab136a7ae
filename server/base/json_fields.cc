// Type and range checks.
#include "server/base/json_fields.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "server/base/json.h"
#include "server/base/message_text.h"

namespace dyad {
namespace {

const nlohmann::json& Null() {
  static const nlohmann::json* null = new nlohmann::json();
  return *null;
}

}  // namespace

const nlohmann::json& JsonFields::Get(std::string_view key) const {
  const auto it = object_.find(key);
  return it == object_.end() ? Null() : *it;
}

bool JsonFields::Has(std::string_view key) const { return !Get(key).is_null(); }

void JsonFields::Fault(std::string_view key, std::string_view expected) {
  faults_.push_back(Text(key, " is ", JsonText(Get(key)), ", expected ", expected));
}

void JsonFields::Include(const JsonFields& nested) {
  for (const std::string& fault : nested.faults_) {
    faults_.push_back(Text(nested.where_, ".", fault));
  }
}

int64_t JsonFields::Integer(std::string_view key, int64_t otherwise, Range<int64_t> range) {
  const nlohmann::json& value = Get(key);
  if (value.is_null()) return otherwise;
  if (value.is_number_integer()) {
    constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
    const int64_t number = value.is_number_unsigned()
                               ? static_cast<int64_t>(std::min(value.get<uint64_t>(), kMost))
                               : value.get<int64_t>();
    if (number >= range.least && number <= range.most) return number;
  }
  Fault(key, Text("an integer in [", range.least, ", ", range.most, "]"));
  return otherwise;
}

double JsonFields::Real(std::string_view key, double otherwise, Range<double> range) {
  const nlohmann::json& value = Get(key);
  if (value.is_null()) return otherwise;
  if (value.is_number()) {
    const double number = value.get<double>();
    if (number >= range.least && number <= range.most) return number;
  }
  Fault(key, Text("a number in [", range.least, ", ", range.most, "]"));
  return otherwise;
}

bool JsonFields::Switch(std::string_view key, bool otherwise) {
  const nlohmann::json& value = Get(key);
  if (value.is_null()) return otherwise;
  if (value.is_boolean()) return value.get<bool>();
  Fault(key, "true or false");
  return otherwise;
}

std::string JsonFields::String(std::string_view key, std::string_view otherwise) {
  const nlohmann::json& value = Get(key);
  if (value.is_null()) return std::string(otherwise);
  if (value.is_string()) return value.get<std::string>();
  Fault(key, "a string");
  return std::string(otherwise);
}

const nlohmann::json& JsonFields::Object(std::string_view key) {
  const nlohmann::json& value = Get(key);
  if (value.is_null() || value.is_object()) return value;
  Fault(key, "an object");
  return Null();
}

absl::Status JsonFields::status() const {
  if (faults_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(Text(where_, ": ", absl::StrJoin(faults_, "; ")));
}

}  // namespace dyad
