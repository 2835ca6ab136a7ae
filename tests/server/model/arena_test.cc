// Tensors out of one piece of memory.
#include "server/model/arena.h"

#include <gtest/gtest.h>

#include "c10/core/InferenceMode.h"

namespace dyad {
namespace {

TEST(ArenaTest, TensorsAreAlignedAndDoNotOverlap) {
  const c10::InferenceMode inference;
  Arena arena(3, 5 + 7 + 16);
  const at::Tensor a = arena.Take(5), b = arena.Take(7), c = arena.Take(16);
  for (const at::Tensor& tensor : {a, b, c}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data_ptr<float>()) % 64, 0u);
    EXPECT_EQ(tensor.size(0), 3);
    EXPECT_TRUE(tensor.is_contiguous());
  }
  EXPECT_GE(b.data_ptr<float>(), a.data_ptr<float>() + 15);
  EXPECT_GE(c.data_ptr<float>(), b.data_ptr<float>() + 21);
  // The sanitizer for memory sees it if the last one ends past the arena.
  c.fill_(1);
  EXPECT_EQ(c.sum().item<float>(), 48);
}

}  // namespace
}  // namespace dyad
