// FormatLine of the same value, its keys sorted.
#include "client/canonical_json.h"

#include <map>
#include <string>
#include <utility>

namespace dyad::client {
namespace {

Json Sorted(const Json& value) {
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& part : value) list.push_back(Sorted(part));
    return list;
  }
  if (!value.is_object()) return value;
  std::map<std::string, Json> members;
  for (const auto& [key, member] : value.items()) members.emplace(key, Sorted(member));
  Json object = Json::object();
  for (auto& [key, member] : members) object[key] = std::move(member);
  return object;
}

}  // namespace

std::string CanonicalJson(const Json& value) { return FormatLine(Sorted(value)); }

}  // namespace dyad::client
