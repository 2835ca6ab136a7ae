// Globs over module paths.
#include "server/model/structured_linear.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "server/base/json.h"
#include "server/base/json_fields.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

// Component by component: no component spans a dot.
bool Matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return false;
  for (size_t i = 0; i < path.size(); ++i) {
    const bool index = !path[i].empty() && std::all_of(path[i].begin(), path[i].end(), [](char c) {
      return absl::ascii_isdigit(static_cast<unsigned char>(c));
    });
    if (pattern[i] == "*" ? !index : pattern[i] != path[i]) return false;
  }
  return true;
}

kernels::OptionValue OptionOf(const nlohmann::json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  return std::monostate();
}

absl::StatusOr<LinearStructure> ParseStructure(const std::string& where,
                                               const nlohmann::json& value) {
  if (!value.is_object()) {
    return absl::InvalidArgumentError(
        Text(where, " is ", JsonText(value), "; expected an object with \"kind\""));
  }
  JsonFields fields(value, where);
  const std::string kind = fields.String("kind", "");
  RETURN_IF_ERROR(fields.status());
  LinearStructure result = {kernels::FindStructure(kind), kernels::Options(where)};
  if (result.structure == nullptr) {
    return absl::InvalidArgumentError(
        Text(where, ": kind is ", kind.empty() ? "missing" : Quoted(kind),
             ", which is unknown; expected one of: ", kernels::StructureKinds()));
  }
  for (const auto& [member, option] : value.items()) {
    if (member == "kind") continue;
    if (member == result.structure->network_option) {
      return absl::InvalidArgumentError(Text(where, " has the member ", Quoted(member),
                                             "; expected it beside structured_linear"));
    }
    result.options.Add(member, OptionOf(option));
  }
  return result;
}

std::vector<std::string> PatternOf(std::string_view key, std::string_view root) {
  return absl::StrSplit(key.starts_with(root) ? std::string(key) : Text(root, key), '.');
}

}  // namespace

absl::StatusOr<StructuredLinear> StructuredLinear::Parse(const nlohmann::json& value,
                                                         std::string_view root) {
  StructuredLinear result;
  if (value.is_null()) return result;
  if (!value.is_object()) {
    return absl::InvalidArgumentError(
        Text("config.json: structured_linear is ", JsonText(value), "; expected an object"));
  }
  for (const auto& [key, structure] : value.items()) {
    const std::string where = Text("config.json: structured_linear[", Quoted(key), "]");
    std::vector<std::string> pattern = PatternOf(key, root);
    for (const std::string& component : pattern) {
      if (component == "*" || component.find('*') == std::string::npos) continue;
      return absl::InvalidArgumentError(Text(where, " has the component ", Quoted(component),
                                             "; expected * alone, for a layer index"));
    }
    ASSIGN_OR_RETURN(LinearStructure parsed, ParseStructure(where, structure));
    result.entries_.push_back({where, std::move(pattern), std::move(parsed)});
  }
  return result;
}

absl::Status StructuredLinear::AddRanks(const nlohmann::json& ranks, std::string_view root) {
  if (ranks.is_null()) return absl::OkStatus();
  if (!ranks.is_object()) {
    return absl::InvalidArgumentError(Text("config.json: truncation_ranks is ", JsonText(ranks),
                                           "; expected an object of paths and ranks"));
  }
  has_ranks_ = true;
  for (const auto& [path, rank] : ranks.items()) {
    const std::string where = Text("config.json: truncation_ranks[", Quoted(path), "]");
    LinearStructure structure = {kernels::FindStructure("low_rank"), kernels::Options(where)};
    structure.options.AddNamed("rank", where, OptionOf(rank));
    entries_.push_back({where, PatternOf(path, root), std::move(structure)});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<LinearStructure>> StructuredLinear::Find(std::string_view path) const {
  const std::vector<std::string> components = absl::StrSplit(AbslView(path), '.');
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (!Matches(entry.pattern, components)) continue;
    if (found != nullptr) {
      return absl::InvalidArgumentError(Text(path, " is named by two keys, ", found->where, " and ",
                                             entry.where, "; expected one"));
    }
    found = &entry;
  }
  if (found == nullptr) return std::nullopt;
  return found->structure;
}

absl::Status StructuredLinear::RefuseUnusedKeys(const std::vector<std::string>& paths) const {
  for (const Entry& entry : entries_) {
    const bool used = std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
      return Matches(entry.pattern, absl::StrSplit(path, '.'));
    });
    if (used) continue;
    return absl::InvalidArgumentError(Text(entry.where, " names no linear layer of this network"));
  }
  return absl::OkStatus();
}

}  // namespace dyad
