// kernels/cuda/launches.h.
#include "kernels/cuda/launches.h"

#include <cstring>

namespace dyad::kernels::cuda {
namespace {

// Of a launch in the list; sizes and then the bytes of its arguments follow.
struct Header {
  const void* kernel;
  uint64_t grid[3], block[3];
  uint64_t shared_bytes, arguments;
};

constexpr size_t kAlign = 16;
size_t Aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

void Launches::Add(const void* kernel, const LaunchShape& shape,
                   std::span<const LaunchArgument> arguments) {
  begins_.push_back(bytes_.size());
  const Header header = {kernel,
                         {shape.grid.x, shape.grid.y, shape.grid.z},
                         {shape.block.x, shape.block.y, shape.block.z},
                         shape.shared_bytes,
                         arguments.size()};
  bytes_.append(reinterpret_cast<const char*>(&header), sizeof(header));
  for (const LaunchArgument& argument : arguments) {
    const uint64_t bytes = argument.bytes;
    bytes_.append(reinterpret_cast<const char*>(&bytes), sizeof(bytes));
  }
  bytes_.resize(Aligned(bytes_.size()));
  for (const LaunchArgument& argument : arguments) {
    bytes_.append(static_cast<const char*>(argument.data), argument.bytes);
    bytes_.resize(Aligned(bytes_.size()));
  }
}

void Launches::Clear() {
  bytes_.clear();
  begins_.clear();
}

void Launches::ForEach(const Run& run) {
  std::vector<void*> arguments;
  for (const size_t begin : begins_) {
    char* const at = bytes_.data() + begin;
    Header header;
    std::memcpy(&header, at, sizeof(header));
    size_t argument = Aligned(begin + sizeof(header) + header.arguments * sizeof(uint64_t));
    arguments.clear();
    for (uint64_t i = 0; i < header.arguments; ++i) {
      uint64_t bytes = 0;
      std::memcpy(&bytes, at + sizeof(header) + i * sizeof(bytes), sizeof(bytes));
      arguments.push_back(bytes_.data() + argument);
      argument = Aligned(argument + bytes);
    }
    const auto extent = [](const uint64_t(&size)[3]) {
      return Extent{static_cast<unsigned>(size[0]), static_cast<unsigned>(size[1]),
                    static_cast<unsigned>(size[2])};
    };
    run(header.kernel, {extent(header.grid), extent(header.block), header.shared_bytes},
        arguments.data());
  }
}

}  // namespace dyad::kernels::cuda
