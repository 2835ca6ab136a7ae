// Known digests, in one piece and in several.
#include "server/base/sha256.h"

#include <openssl/crypto.h>
#include <unistd.h>

#include "gtest/gtest.h"

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
  EXPECT_EQ(sha.Hex(), kOfAbc);
}

// As when memory runs out while a model loads, or while a key is looked at.
[[noreturn]] void DigestWithoutMemoryOfOpenSsl() {
  const int set =
      CRYPTO_set_mem_functions([](size_t, const char*, int) -> void* { return nullptr; },
                               [](void*, size_t, const char*, int) -> void* { return nullptr; },
                               [](void*, const char*, int) {});
  if (set != 1) _exit(3);  // it has allocated before
  _exit(Sha256Of("abc") == kOfAbc ? 0 : 1);
}

TEST(Sha256Test, NeedsNoMemoryOfOpenSsl) {
  EXPECT_EXIT(DigestWithoutMemoryOfOpenSsl(), ::testing::ExitedWithCode(0), "");
}

TEST(Sha256Test, LinesAreTheTools) {
  EXPECT_EQ(Sha256Line("12", "a b"), "12  a b\n");
  EXPECT_EQ(Sha256Line("12", "a\nb\\"), "\\12  a\\nb\\\\\n");
}

}  // namespace
}  // namespace dyad
