// The tensors of a checkpoint, taken by name: each expected one exactly once, with its shape
// checked, and at the end nothing may be left over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/string_map.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/stored_tensor.h"

namespace dyad {

// Threads: one at a time. Memory: names only.
class TensorSource {
 public:
  // `root` begins the names of most tensors, and files may leave it out: "model.", "gpt_neox.".
  // `checkpoint` must outlive it.
  TensorSource(const Checkpoint& checkpoint, std::string root)
      : checkpoint_(checkpoint), root_(std::move(root)) {}

  // Looks a tensor up under its full name, then without the root. Does not take it.
  std::optional<NamedTensor> Find(std::string_view name) const;

  // Errors: InvalidArgument: missing; another shape (both are named).
  absl::StatusOr<NamedTensor> Take(std::string_view name, const std::vector<int64_t>& shape);
  // Marks as taken what Find gave, for those who check the shape themselves.
  void Take(const NamedTensor& tensor) { taken_.insert(tensor.name); }

  // Takes a tensor that the network does not need, if it is there: buffers of old library versions.
  void Ignore(std::string_view name);

  // Those that were taken and not ignored, sorted by name.
  std::vector<NamedTensor> Needed() const;

  // The rest of each name that begins with `path` and a dot, sorted: what a module consists of.
  std::vector<std::string> LeavesUnder(std::string_view path) const;

  // Errors: InvalidArgument: some tensor was not taken; the first of them by name.
  absl::Status RefuseTheRest() const;

  // Tells that the pages of this tensor are not needed any more.
  void Release(const NamedTensor& tensor) const { checkpoint_.Release(*tensor.stored); }

  std::string FilesText() const;  // names of the weight files, shortened, for messages

 private:
  std::string WrapperHint() const;  // empty where no name tells of a wrapper

  const Checkpoint& checkpoint_;
  const std::string root_;
  StringSet taken_;
  StringSet ignored_;  // of those
};

absl::Status WrongShape(const NamedTensor& tensor, std::string_view expected);

}  // namespace dyad
