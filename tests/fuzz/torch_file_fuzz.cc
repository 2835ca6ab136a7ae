// By the first byte: a file of torch.save, or the pickle inside one, in an archive that is in
// order.
#include <cstdint>
#include <string>

#include "server/checkpoint/torch_file.h"
#include "tests/fuzz/stored_tensors.h"
#include "tests/server/checkpoint/built_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  if (size == 0) return 0;
  const std::string rest(testing::AsText(data + 1, size - 1));
  const std::string file =
      data[0] % 2 == 0 ? rest : testing::MakeTorchFile(rest, {{"0", std::string(96, 'x')}});
  const testing::HeapBytes bytes(file);
  const auto tensors = ReadTorchFile(bytes.view(), "file");
  if (tensors.ok()) testing::Touch(*tensors, file.size());
  return 0;
}
