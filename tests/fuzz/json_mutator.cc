// Half of the mutants of an input with JSON in it are JSON again, with one value, key or element
// changed: among mutants of bytes those are rare, and a reader refuses the others at once.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

class Mutation {
 public:
  explicit Mutation(unsigned seed) : random_(seed) {}

  // A value of `root`, itself among them, becomes another.
  void Change(Json& root) {
    std::vector<Json*> nodes;
    Collect(root, nodes);
    Json& node = *nodes[Below(nodes.size())];
    const Json other = Other(nodes, node);
    switch (Below(5)) {
      case 0:
        node = Edge();
        break;
      case 1:
        node = other;
        break;
      case 2:
        Drop(node);
        break;
      case 3:
        Add(node, other);
        break;
      default:
        Nudge(node);
    }
  }

  size_t Below(size_t count) { return random_() % count; }

 private:
  static void Collect(Json& node, std::vector<Json*>& nodes) {
    nodes.push_back(&node);
    if (!node.is_structured()) return;
    for (Json& child : node) Collect(child, nodes);
  }

  // A copy, as `node` may hold it; more often than not of the same kind.
  Json Other(const std::vector<Json*>& nodes, const Json& node) {
    std::vector<const Json*> alike;
    std::ranges::copy_if(nodes, std::back_inserter(alike),
                         [&](const Json* other) { return other->type() == node.type(); });
    return Below(3) == 0 ? *nodes[Below(nodes.size())] : *alike[Below(alike.size())];
  }

  Json Edge() {
    static const Json kEdges = {nullptr,          true,  false, 0,  1,   -1,   2147483648,
                                9007199254740993, 1e300, -0.5,  "", "x", "\n", Json::array(),
                                Json::object()};
    return kEdges[Below(kEdges.size())];
  }

  void Drop(Json& node) {
    if (node.is_structured() && !node.empty()) {
      node.erase(std::next(node.begin(), static_cast<std::ptrdiff_t>(Below(node.size()))));
    }
  }

  void Add(Json& node, const Json& value) {
    if (node.is_array()) node.push_back(value);
    if (!node.is_object()) return;
    std::string key = "x";
    if (!node.empty()) {
      key = std::next(node.begin(), static_cast<std::ptrdiff_t>(Below(node.size()))).key();
      key = Below(2) == 0 ? key + "s" : Bytes(key);
    }
    node[key] = value;
  }

  void Nudge(Json& node) {
    if (node.is_boolean()) {
      node = !node.get<bool>();
    } else if (node.is_number_integer()) {
      const auto number = node.get<uint64_t>();
      const uint64_t choices[] = {number + 1, number - 1, number * 2, number / 2, ~number};
      node = static_cast<int64_t>(choices[Below(std::size(choices))]);
    } else if (node.is_number()) {
      node = node.get<double>() * (Below(2) == 0 ? 1.5 : -1);
    } else if (node.is_string()) {
      node = Bytes(node.get<std::string>());
    } else {
      Drop(node);
    }
  }

  static std::string Bytes(std::string text) {
    const size_t size = text.size();
    text.resize(size + 8);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size, text.size()));
    return text;
  }

  std::minstd_rand random_;
};

// Where parts of `text` that may be JSON stand: from a brace to the part's end.
std::vector<std::string_view> Objects(std::string_view text) {
  std::vector<std::string_view> objects;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find_first_of(std::string_view("\0\n", 2)));
    const size_t brace = part.find('{');
    if (brace != part.npos) objects.push_back(part.substr(brace));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
  return objects;
}

}  // namespace
}  // namespace dyad

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  dyad::Mutation mutation(seed);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string_view> objects = dyad::Objects(text);
  if (objects.empty() || mutation.Below(2) == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string_view object = objects[mutation.Below(objects.size())];
  dyad::Json json = dyad::Json::parse(object, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return LLVMFuzzerMutate(data, size, max_size);
  mutation.Change(json);
  const std::string changed = json.dump(-1, ' ', false, dyad::Json::error_handler_t::replace);
  const auto begin = static_cast<size_t>(object.data() - text.data());
  std::string whole(text.substr(0, begin));
  whole += changed;
  whole += text.substr(begin + object.size());
  if (whole.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, whole.data(), whole.size());
  return whole.size();
}
