// Bookkeeping of names.
#include "server/checkpoint/tensor_source.h"

#include <algorithm>
#include <utility>

#include "server/base/message_text.h"

namespace dyad {

namespace {

std::string_view WithoutRoot(std::string_view name, std::string_view root) {
  return name.starts_with(root) ? name.substr(root.size()) : name;
}

}  // namespace

// The full name wins; a second spelling in the same file stays untaken and is refused at the end.
std::optional<NamedTensor> TensorSource::Find(std::string_view name) const {
  const auto& tensors = checkpoint_.tensors();
  for (std::string_view candidate : {name, WithoutRoot(name, root_)}) {
    const auto it = tensors.find(candidate);
    if (it != tensors.end()) return NamedTensor{it->first, &it->second};
  }
  return std::nullopt;
}

absl::StatusOr<NamedTensor> TensorSource::Take(std::string_view name,
                                               const std::vector<int64_t>& shape) {
  std::optional<NamedTensor> tensor = Find(name);
  if (!tensor.has_value()) {
    return absl::InvalidArgumentError(Text(FilesText(), ": tensor ", name,
                                           " is missing; expected shape ", ShapeText(shape),
                                           WrapperHint()));
  }
  if (tensor->stored->shape != shape) return WrongShape(*tensor, ShapeText(shape));
  Take(*tensor);
  return *std::move(tensor);
}

// What training wraps a model in puts its own name before all others.
std::string TensorSource::WrapperHint() const {
  for (const std::string_view wrapper :
       {"module.", "_orig_mod.", "model.module.", "model._orig_mod."}) {
    for (const auto& [name, tensor] : checkpoint_.tensors()) {
      if (!name.starts_with(wrapper)) continue;
      return Text("; names in the file begin with '", wrapper,
                  "', as of a model inside a wrapper (",
                  "DataParallel, torch.compile): save the state dict of the model itself");
    }
  }
  return "";
}

void TensorSource::Ignore(std::string_view name) {
  const auto tensor = Find(name);
  if (!tensor.has_value()) return;
  Take(*tensor);
  ignored_.insert(tensor->name);
}

std::vector<NamedTensor> TensorSource::Needed() const {
  std::vector<NamedTensor> needed;
  for (const auto& [name, tensor] : checkpoint_.tensors()) {
    if (taken_.contains(name) && !ignored_.contains(name)) needed.push_back({name, &tensor});
  }
  std::sort(needed.begin(), needed.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  return needed;
}

std::vector<std::string> TensorSource::LeavesUnder(std::string_view path) const {
  const std::string full = Text(path, ".");
  const std::string_view short_form = WithoutRoot(full, root_);
  std::vector<std::string> leaves;
  for (const auto& [name, tensor] : checkpoint_.tensors()) {
    for (std::string_view prefix : {std::string_view(full), short_form}) {
      if (!name.starts_with(prefix)) continue;
      leaves.push_back(name.substr(prefix.size()));
      break;
    }
  }
  std::sort(leaves.begin(), leaves.end());
  return leaves;
}

absl::Status TensorSource::RefuseTheRest() const {
  const std::pair<const std::string, StoredTensor>* first = nullptr;
  int64_t count = 0;
  for (const auto& entry : checkpoint_.tensors()) {
    if (taken_.contains(entry.first)) continue;
    ++count;
    if (first == nullptr || entry.first < first->first) first = &entry;
  }
  if (first == nullptr) return absl::OkStatus();
  const NamedTensor tensor{first->first, &first->second};
  return absl::InvalidArgumentError(
      Text(TensorText(tensor), " ", ShapeText(first->second.shape),
           " is not part of the network that config.json describes; expected no such tensor",
           count > 1 ? Text(" (", count - 1, " more like it)") : ""));
}

std::string TensorSource::FilesText() const {
  const std::vector<std::string>& files = checkpoint_.files();
  if (files.empty()) return "weight files";
  if (files.size() == 1) return files.front();
  return Text(files.front(), " and ", files.size() - 1, " more");
}

absl::Status WrongShape(const NamedTensor& tensor, std::string_view expected) {
  return absl::InvalidArgumentError(Text(TensorText(tensor), " has shape ",
                                         ShapeText(tensor.stored->shape), "; expected ", expected));
}

}  // namespace dyad
