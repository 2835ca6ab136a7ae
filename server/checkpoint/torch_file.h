// A file of torch.save (PyTorch 1.6 and later): a zip with NAME/data.pkl, a state dict whose
// storages are the entries NAME/data/KEY.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/checkpoint/stored_tensor.h"

namespace dyad {

// The tensors of one file; they point into `bytes`. `file` is for messages. Tensors may share
// storages (tied weights) and need not be contiguous.
//
// Checked for each tensor: its storage is an entry of the archive and long enough for what it
// claims; offset, shape and strides stay inside it; the shape has no more elements than the
// storage. The older format that is no zip is refused by name. Nothing is executed
// (pickle_machine.h). Cost: reads directory and pickle only; memory for the table only. Errors:
// InvalidArgument, or DataLoss where something is cut short: file, tensor, found, expected.
absl::StatusOr<TensorMap> ReadTorchFile(std::span<const std::byte> bytes, std::string_view file);

}  // namespace dyad
