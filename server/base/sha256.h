// SHA-256 of bytes that come in pieces, and the lines in which sha256sum says it of files.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct evp_md_ctx_st;  // OpenSSL's

namespace dyad {

class Sha256 {
 public:
  Sha256();

  void Add(std::string_view bytes);

  // 64 hexadecimal digits of all that was added. Once. Errors: Internal, if OpenSSL has no SHA-256.
  absl::StatusOr<std::string> Hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool ok_;
};

// The same of bytes that are all there.
std::string Sha256Of(std::string_view bytes);

// As sha256sum prints it: names with a backslash or line break are escaped, and the line says so.
std::string Sha256Line(std::string_view hex, const std::string& name);

}  // namespace dyad
