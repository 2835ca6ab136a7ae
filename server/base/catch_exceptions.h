// The one place where exceptions of libraries end. Ours are none.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/base/message_text.h"

namespace dyad {

// What f() returns, or a Status for what it throws. ResourceExhausted: no memory; Internal: the
// rest.
template <typename F>
auto CatchExceptions(std::string_view doing, F f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(Text(doing, ": not enough memory"));
  } catch (const std::exception& exception) {
    const std::string_view what = exception.what();
    return absl::InternalError(Text(doing, ": ", what.substr(0, what.find('\n'))));
  }
}

}  // namespace dyad
