// Whether a sanitizer watches, which makes a multiply-add take ten to a hundred times as long:
// tests of many or large inputs take fewer then, as the release build runs all of them.
#pragma once

namespace dyad::testing {

#ifdef DYAD_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace dyad::testing
