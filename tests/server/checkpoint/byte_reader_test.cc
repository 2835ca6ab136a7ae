// Little-endian numbers and runs of bytes; never past the end.
#include "server/checkpoint/byte_reader.h"

#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"

namespace dyad {
namespace {

using ::dyad::testing::HeapBytes;

TEST(ByteReaderTest, ReadsFrontToBack) {
  const HeapBytes bytes("\x01\x02\x03\x04\x05\x06\x07rest\nx");
  ByteReader reader(bytes.view());
  EXPECT_EQ(reader.Number<uint8_t>(), 1);
  EXPECT_EQ(reader.Number<uint16_t>(), 0x0302);
  EXPECT_EQ(reader.Number<uint32_t>(), 0x07060504u);
  EXPECT_EQ(reader.Line(), "rest");
  EXPECT_EQ(reader.position(), 12u);
  EXPECT_EQ(reader.remaining(), 1u);
}

TEST(ByteReaderTest, StaysWhereTooFewBytesAreLeft) {
  const HeapBytes bytes("abc");
  ByteReader reader(bytes.view());
  EXPECT_EQ(reader.Number<uint32_t>(), std::nullopt);
  EXPECT_FALSE(reader.Bytes(4));
  EXPECT_FALSE(reader.Bytes(~uint64_t{0}));
  EXPECT_FALSE(reader.Line());
  EXPECT_EQ(reader.position(), 0u);
  EXPECT_EQ(AsText(*reader.Bytes(3)), "abc");
  EXPECT_FALSE(reader.Number<uint8_t>());
  EXPECT_TRUE(reader.Bytes(0));
}

}  // namespace
}  // namespace dyad
