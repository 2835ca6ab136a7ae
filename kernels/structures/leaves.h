// What a layer is compiled from: its tensors, and what a configuration says of it. Both remember
// what was taken, so that whoever reads a checkpoint can refuse the rest by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/plan.h"

namespace dyad::kernels {

// A tensor of a layer, row-major.
struct Leaf {
  std::string name;  // as messages write it: "model.safetensors: tensor model.fc.weight"
  Element element = Element::kFloat32;  // of data
  std::vector<int64_t> shape;
  const void* data = nullptr;  // null while only shapes are checked

  int64_t rank() const { return std::ssize(shape); }
  int64_t elements() const;  // a shape whose product does not fit has 0
};

// Text from a configuration of unknown origin, fit for one line of a message.
std::string Quoted(std::string_view text);
std::string ShapeText(std::span<const int64_t> shape);  // "[2, 3]"
// The same of what need not be numbers: "[blocks, out/blocks]".
std::string SizesText(std::initializer_list<std::string> sizes);
// "TENSOR has shape [3, 2]; expected …"
Fault WrongShape(const Leaf& leaf, std::string_view expected);
// A size where it is known, else what it stands for: "32", "out".
std::string SizeText(int64_t size, std::string_view name);

// The numbers of a leaf that has data.
std::vector<double> ValuesOf(const Leaf& leaf);
// A tensor made at load: kept by the plan, [elements]; zeros while the leaf has no data.
const float* KeepFold(std::vector<float> values, Plan& plan);
// Weights whose first element is element `first` of these.
Weights From(Weights weights, int64_t first);

// All of a tensor [output, depth] or [block, output, depth].
Weights RowMajor(const Leaf& leaf);

// What a taken leaf is read as: weights in the type that the layer is kept in, or float32. kSizes:
// float32, of which steps of the plan depend; whoever checks shapes reads these, too, and compiles
// once more.
enum class LeafUse { kWeights, kFloats, kSizes };

class Leaves {
 public:
  // A leaf that is not there is called prefix + leaf + suffix in messages.
  Leaves(std::string prefix, std::string suffix)
      : prefix_(std::move(prefix)), suffix_(std::move(suffix)) {}

  void Add(std::string leaf, Leaf value) { leaves_[std::move(leaf)].value = std::move(value); }

  bool Has(std::string_view leaf) const { return leaves_.contains(leaf); }
  bool empty() const { return leaves_.empty(); }
  std::string Names() const;  // "bias, weight", or "none"
  // A layer within the layer: the leaves below `path`, by their names there. Whoever compiles it
  // takes them from it, and TakeUnder takes the same ones here.
  Leaves Under(const std::string& path) const;
  void TakeUnder(const std::string& path, const Leaves& taken);

  // Null where it is missing.
  const Leaf* Take(std::string_view leaf, LeafUse use);
  Fault Missing(std::string_view leaf, std::string_view expected_shape) const;

  struct Taken {
    std::string leaf;
    LeafUse use;
  };
  std::vector<Taken> taken() const;  // in the order of their names
  std::vector<std::string> untaken() const;
  Leaf& at(std::string_view leaf) { return leaves_.find(leaf)->second.value; }  // REQUIRES: Has
  const Leaf& at(std::string_view leaf) const { return leaves_.find(leaf)->second.value; }

 private:
  struct Entry {
    Leaf value;
    bool taken = false;
    LeafUse use = LeafUse::kWeights;
  };
  std::string prefix_, suffix_;
  std::map<std::string, Entry, std::less<>> leaves_;
};

// A text in a variant. libstdc++ 12 destroys a bare string there that was never made, when there is
// no memory for its copy.
struct OptionText {
  OptionText(std::string value) : text(std::move(value)) {}  // NOLINT: implicit
  OptionText(const char* value) : text(value) {}             // NOLINT: implicit
  std::string text;
};
// A value of a configuration. monostate: of a type that no option has.
using OptionValue = std::variant<std::monostate, bool, int64_t, double, OptionText>;

// Remembers the first fault: ask fault() once all were taken.
class Options {
 public:
  // Names in messages: where + ": " + option.
  explicit Options(std::string where) : where_(std::move(where)) {}

  void Add(std::string option, OptionValue value) {
    AddNamed(option, where_ + ": " + option, value);
  }
  // An option that stands elsewhere, `name` in messages.
  void AddNamed(std::string option, std::string name, OptionValue value) {
    options_[std::move(option)] = {std::move(name), std::move(value)};
  }

  // One of `words`, the first where it is missing.
  std::string_view Word(std::string_view option, std::span<const std::string_view> words);
  // A value, and the name of its option for messages.
  template <typename Value>
  struct Named {
    std::string name;
    Value value;
  };
  // Nothing where it is missing, or of another type.
  std::optional<Named<int64_t>> WholeNumber(std::string_view option);
  std::optional<Named<double>> Number(std::string_view option);
  std::optional<Named<std::string>> String(std::string_view option);
  std::optional<bool> Switch(std::string_view option);

  const Fault& fault() const { return fault_; }
  // Of an option that nobody took. `kind`: of the layer.
  Fault RefuseTheRest(std::string_view kind) const;

 private:
  struct Option {
    std::string name;
    OptionValue value;
    bool taken = false;
  };
  Option* Take(std::string_view option);  // null where it is missing
  void WrongType(const Option& option, std::string_view expected);

  std::string where_;
  std::map<std::string, Option, std::less<>> options_;
  Fault fault_;
};

}  // namespace dyad::kernels
