// By the first byte: a file of safetensors, its header alone, or the index of a sharded checkpoint.
#include <cstdint>
#include <string>

#include "server/checkpoint/safetensors.h"
#include "server/checkpoint/shard_index.h"
#include "tests/fuzz/stored_tensors.h"
#include "tests/server/checkpoint/built_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  if (size == 0) return 0;
  const std::string_view rest = testing::AsText(data + 1, size - 1);
  if (data[0] % 3 == 2) {
    const auto index = ReadShardIndex(rest, "index");
    if (!index.ok()) return 0;
    for (const auto& [tensor, shard] : *index) {
      testing::Require(!shard.empty() && shard.find('/') == shard.npos, "a shard is a plain name");
    }
    return 0;
  }
  const std::string file =
      data[0] % 3 == 0 ? std::string(rest) : testing::MakeSafetensors(rest, std::string(96, 'x'));
  const testing::HeapBytes bytes(file);
  const auto tensors = ReadSafetensors(bytes.view(), "file");
  if (tensors.ok()) testing::Touch(*tensors, file.size());
  return 0;
}
