// kernels/structures/leaves.h.
#include "kernels/structures/leaves.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace dyad::kernels {

std::string Quoted(std::string_view text) {
  constexpr size_t kLongest = 200;
  std::string result = "'";
  for (const char c : text.substr(0, kLongest)) result += c >= ' ' && c <= '~' ? c : '?';
  return result.append(text.size() > kLongest ? "'..." : "'");
}

int64_t Leaf::elements() const {
  int64_t product = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(product, size, &product)) return 0;
  }
  return product;
}

std::string ShapeText(std::span<const int64_t> shape) {
  std::string text = "[";
  for (const int64_t size : shape)
    text.append(text.size() > 1 ? ", " : "").append(std::to_string(size));
  return text.append("]");
}

std::string SizesText(std::initializer_list<std::string> sizes) {
  std::string text = "[";
  for (const std::string& size : sizes) text.append(text.size() > 1 ? ", " : "").append(size);
  return text.append("]");
}

Fault WrongShape(const Leaf& leaf, std::string_view expected) {
  return leaf.name + " has shape " + ShapeText(leaf.shape) + "; expected " + std::string(expected);
}

std::string SizeText(int64_t size, std::string_view name) {
  return size > 0 ? std::to_string(size) : std::string(name);
}

std::vector<double> ValuesOf(const Leaf& leaf) {
  const Weights all = RowMajor(leaf);
  std::vector<double> values(static_cast<size_t>(leaf.elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = ValueAt(all, static_cast<int64_t>(i));
  return values;
}

const float* KeepFold(std::vector<float> values, Plan& plan) {
  plan.folds.push_back(std::make_shared<const std::vector<float>>(std::move(values)));
  return plan.folds.back()->data();
}

Weights From(Weights weights, int64_t first) {
  if (weights.data != nullptr) {
    weights.data = static_cast<const char*>(weights.data) + first * ElementBytes(weights.element);
  }
  weights.elements -= first;
  return weights;
}

Weights RowMajor(const Leaf& leaf) {
  const int64_t depth = leaf.shape.empty() ? 1 : leaf.shape.back();
  return {.data = leaf.data,
          .elements = leaf.elements(),
          .element = leaf.element,
          .block = leaf.rank() < 3 ? 0 : leaf.shape[leaf.shape.size() - 2] * depth,
          .output = depth};
}

std::string Leaves::Names() const {
  std::string text;
  for (const auto& [leaf, entry] : leaves_) text.append(text.empty() ? "" : ", ").append(leaf);
  return text.empty() ? "none" : text;
}

Leaves Leaves::Under(const std::string& path) const {
  const std::string prefix = path + ".";
  Leaves result(prefix_ + prefix, suffix_);
  for (auto it = leaves_.lower_bound(prefix); it != leaves_.end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    result.Add(it->first.substr(prefix.size()), it->second.value);
  }
  return result;
}

void Leaves::TakeUnder(const std::string& path, const Leaves& taken) {
  for (const auto& [leaf, use] : taken.taken()) Take(path + "." + leaf, use);
}

const Leaf* Leaves::Take(std::string_view leaf, LeafUse use) {
  const auto found = leaves_.find(leaf);
  if (found == leaves_.end()) return nullptr;
  found->second.taken = true;
  found->second.use = use;
  return &found->second.value;
}

Fault Leaves::Missing(std::string_view leaf, std::string_view expected_shape) const {
  return prefix_ + std::string(leaf) + suffix_ + " is missing; expected shape " +
         std::string(expected_shape);
}

std::vector<Leaves::Taken> Leaves::taken() const {
  std::vector<Taken> result;
  for (const auto& [leaf, entry] : leaves_) {
    if (entry.taken) result.push_back({leaf, entry.use});
  }
  return result;
}

std::vector<std::string> Leaves::untaken() const {
  std::vector<std::string> result;
  for (const auto& [leaf, entry] : leaves_) {
    if (!entry.taken) result.push_back(leaf);
  }
  return result;
}

Options::Option* Options::Take(std::string_view option) {
  const auto found = options_.find(option);
  if (found == options_.end()) return nullptr;
  found->second.taken = true;
  return &found->second;
}

void Options::WrongType(const Option& option, std::string_view expected) {
  static constexpr std::string_view kTypes[] = {"of another type", "a boolean", "a number",
                                                "a number", "a string"};
  if (!fault_.empty()) return;
  fault_.append(option.name).append(" is ").append(kTypes[option.value.index()]);
  fault_.append("; expected ").append(expected);
}

std::string_view Options::Word(std::string_view option, std::span<const std::string_view> words) {
  const Option* const found = Take(option);
  if (found == nullptr) return words.front();
  const auto* const text = std::get_if<OptionText>(&found->value);
  if (text == nullptr) {
    WrongType(*found, "a string");
    return words.front();
  }
  const auto word = std::find(words.begin(), words.end(), text->text);
  if (word != words.end()) return *word;
  if (fault_.empty()) {
    fault_.append(found->name).append(" is ").append(Quoted(text->text)).append("; expected ");
    for (size_t i = 0; i < words.size(); ++i) {
      fault_.append(i == 0 ? "" : i + 1 < words.size() ? ", " : " or ").append(words[i]);
    }
  }
  return words.front();
}

std::optional<Options::Named<int64_t>> Options::WholeNumber(std::string_view option) {
  const Option* const found = Take(option);
  if (found == nullptr) return std::nullopt;
  if (const auto* const value = std::get_if<int64_t>(&found->value)) {
    return Named<int64_t>{found->name, *value};
  }
  WrongType(*found, "a whole number");
  return std::nullopt;
}

std::optional<Options::Named<double>> Options::Number(std::string_view option) {
  const Option* const found = Take(option);
  if (found == nullptr) return std::nullopt;
  if (const auto* const whole = std::get_if<int64_t>(&found->value)) {
    return Named<double>{found->name, static_cast<double>(*whole)};
  }
  if (const auto* const value = std::get_if<double>(&found->value)) {
    return Named<double>{found->name, *value};
  }
  WrongType(*found, "a number");
  return std::nullopt;
}

std::optional<Options::Named<std::string>> Options::String(std::string_view option) {
  const Option* const found = Take(option);
  if (found == nullptr) return std::nullopt;
  if (const auto* const value = std::get_if<OptionText>(&found->value)) {
    return Named<std::string>{found->name, value->text};
  }
  WrongType(*found, "a string");
  return std::nullopt;
}

std::optional<bool> Options::Switch(std::string_view option) {
  const Option* const found = Take(option);
  if (found == nullptr) return std::nullopt;
  if (const auto* const value = std::get_if<bool>(&found->value)) return *value;
  WrongType(*found, "true or false");
  return std::nullopt;
}

Fault Options::RefuseTheRest(std::string_view kind) const {
  for (const auto& [option, entry] : options_) {
    if (entry.taken) continue;
    return where_ + " has the member " + Quoted(option) + "; kind '" + std::string(kind) +
           "' has no such option";
  }
  return {};
}

}  // namespace dyad::kernels
