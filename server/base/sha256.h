// SHA-256 of bytes that come in pieces, and the lines in which sha256sum says it of files.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace dyad {

// Cannot fail: nothing is allocated before Hex's text.
class Sha256 {
 public:
  using Digest = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

  Sha256();

  void Add(std::string_view bytes);

  // Of all that was added. One of these, once.
  Digest End();
  std::string Hex();  // 64 hexadecimal digits

 private:
  SHA256_CTX context_;
};

// The same of bytes that are all there.
std::string Sha256Of(std::string_view bytes);

// As sha256sum prints it: names with a backslash or line break are escaped, and the line says so.
std::string Sha256Line(std::string_view hex, const std::string& name);

}  // namespace dyad
