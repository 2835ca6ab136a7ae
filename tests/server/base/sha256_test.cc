// Known digests, in one piece and in several.
#include "server/base/sha256.h"

#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

// FIPS 180-2, appendix B.
constexpr char kOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256Test, KnownDigests) {
  EXPECT_EQ(Sha256Of("abc"), kOfAbc);
  EXPECT_EQ(Sha256Of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256Test, PiecesAreTheWhole) {
  Sha256 sha;
  for (const char* piece : {"", "a", "bc"}) sha.Add(piece);
  const auto hex = sha.Hex();
  ASSERT_OK(hex);
  EXPECT_EQ(*hex, kOfAbc);
}

TEST(Sha256Test, LinesAreTheTools) {
  EXPECT_EQ(Sha256Line("12", "a b"), "12  a b\n");
  EXPECT_EQ(Sha256Line("12", "a\nb\\"), "\\12  a\\nb\\\\\n");
}

}  // namespace
}  // namespace dyad
