// Look-ups in every type.
#include "kernels/cpu/table.h"

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/float16.h"

namespace dyad::kernels {
namespace {

constexpr int64_t kRows = 10, kColumns = 6;
const std::vector<int32_t> kIds = {3, 0, 7, 3};

// Distinct multiples of 1/8 in [-4, 4), exact in every floating-point type.
std::vector<float> Eighths() {
  std::vector<float> values;
  uint32_t seed = 1;
  for (int64_t i = 0; i < kRows * kColumns; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values.push_back(static_cast<float>(seed >> 26) / 8.0f - 4.0f);
  }
  return values;
}

// `values` as they are stored in `type`.
std::vector<std::byte> BytesOf(const std::vector<float>& values, Element type) {
  std::vector<std::byte> bytes(values.size() * static_cast<size_t>(ElementBytes(type)));
  for (size_t i = 0; i < values.size(); ++i) {
    if (type == Element::kFloat32) {
      std::memcpy(&bytes[4 * i], &values[i], 4);
    } else {
      const uint16_t half =
          type == Element::kBfloat16 ? ToBfloat16(values[i]) : ToFloat16(values[i]);
      std::memcpy(&bytes[2 * i], &half, 2);
    }
  }
  return bytes;
}

CpuTable Make(const std::vector<float>& values, Element type, Element stored) {
  const std::vector<std::byte> bytes = BytesOf(values, stored);
  TableSource source;
  source.rows = kRows, source.columns = kColumns;
  source.type = type, source.stored = stored;
  source.data = bytes.data();
  ThreadPool pool(2);
  return CpuTable(std::move(source), pool);
}

std::vector<float> LookedUp(const CpuTable& table, int64_t offset) {
  std::vector<float> y(kIds.size() * kColumns, NAN);
  table.LookUp(kIds, offset, Lookup::kCopy, {y.data(), kColumns});
  return y;
}

std::vector<float> RowsOf(const std::vector<float>& values, int64_t offset) {
  std::vector<float> rows;
  for (const int32_t id : kIds) {
    const auto first = values.begin() + (id + offset) * kColumns;
    rows.insert(rows.end(), first, first + kColumns);
  }
  return rows;
}

TEST(TableTest, CopiesAndAddsRowsOfEveryType) {
  const std::vector<float> values = Eighths();
  for (const Element type : {Element::kFloat32, Element::kBfloat16, Element::kFloat16}) {
    const CpuTable table = Make(values, type, type);
    std::vector<float> y = LookedUp(table, 2);
    EXPECT_EQ(y, RowsOf(values, 2));
    table.LookUp(kIds, 1, Lookup::kAdd, {y.data(), kColumns});
    EXPECT_EQ(y[0], values[5 * kColumns] + values[4 * kColumns]);
    EXPECT_EQ(table.bytes(), kRows * kColumns * ElementBytes(type));
  }
}

// Powers of two times 127 in each row make the scale, and the numbers, exact.
TEST(TableTest, Int8HasAScaleForEachRow) {
  std::vector<float> values;
  for (int row = 0; row < kRows; ++row) {
    for (int i = 0; i < kColumns; ++i) {
      values.push_back(std::ldexp(static_cast<float>(i == 5 ? 127 : 7 * i - row), row - 5));
    }
  }
  const CpuTable table = Make(values, Element::kInt8, Element::kFloat32);
  EXPECT_EQ(LookedUp(table, 2), RowsOf(values, 2));
  EXPECT_EQ(table.bytes(), kRows * kColumns + 4 * kRows);
}

TEST(TableTest, Int8IsMadeFromEveryStoredType) {
  const std::vector<float> values = Eighths();
  const std::vector<float> found = LookedUp(Make(values, Element::kInt8, Element::kFloat32), 0);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], RowsOf(values, 0)[i], 4.0 / 127 / 2 * 1.001);
  }
  EXPECT_EQ(LookedUp(Make(values, Element::kInt8, Element::kFloat16), 0), found);
  EXPECT_EQ(LookedUp(Make(values, Element::kInt8, Element::kBfloat16), 0), found);
}

// The memory that it may keep is the memory that it reads.
TEST(TableTest, KeepsMemoryThatItIsGiven) {
  const std::vector<float> values = Eighths();
  const std::vector<std::byte> bytes = BytesOf(values, Element::kFloat32);
  TableSource source;
  source.rows = kRows, source.columns = kColumns;
  source.owned = std::make_unique<std::byte[]>(bytes.size());
  std::memcpy(source.owned.get(), bytes.data(), bytes.size());
  std::byte* const memory = source.owned.get();
  source.data = memory;
  ThreadPool pool(1);
  const CpuTable table(std::move(source), pool);
  std::memset(memory, 0, bytes.size());
  EXPECT_EQ(LookedUp(table, 0), std::vector<float>(kIds.size() * kColumns, 0.0f));
}

}  // namespace
}  // namespace dyad::kernels
