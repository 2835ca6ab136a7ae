// Checks that several requests share. Every error is InvalidField (request_error.h) unless said.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "dyad/v1/common.pb.h"
#include "server/api/request_error.h"
#include "server/api/request_limits.h"
#include "server/api/served_model.h"

namespace dyad {

// A text of a request and where it stood: "items[3].text".
struct TextField {
  std::string name;
  std::string_view text;
};

// At most `limits.max_prompt_bytes`, of what the caller sent.
absl::Status CheckBytes(const RequestLimits& limits, const TextField& field);

// FailedPrecondition (NO_TOKENIZER) if `model` serves token ids only.
absl::Status NeedsTokenizer(const ServedModel& model);

// REQUIRES: bounded by CheckBytes, but for what we put in front. Errors also as NeedsTokenizer.
absl::StatusOr<Encoding> EncodeField(const ServedModel& model, const TextField& field,
                                     const EncodeOptions& options);

// PARSE unless LITERAL is asked for.
absl::StatusOr<SpecialTokens> ParseSpecialTokens(v1::SpecialTokens value);

inline std::span<const int32_t> ToSpan(const google::protobuf::RepeatedField<int32_t>& ids) {
  return {ids.data(), static_cast<size_t>(ids.size())};
}

// Every id in the model's vocabulary; an error names position and value.
absl::Status CheckIds(const ServedModel& model, const std::string& field,
                      std::span<const int32_t> ids);

// Tokens of a text that is only scored: the context, and one that nothing is read after.
inline int64_t MostScoredTokens(const ServedModel& model) {
  return int64_t{model.limits.context_length} + 1;
}

// A number and the range that it must be in; NaN is in none.
template <typename T>
struct Ranged {
  std::string field;
  T value;
  T low;
  T high;
};

enum class Bounds { kClosed, kOpenLow, kOpenHigh };  // [low, high], (low, high], [low, high)

template <typename T>
absl::Status CheckRange(const Ranged<T>& number, Bounds bounds = Bounds::kClosed) {
  const bool above =
      bounds == Bounds::kOpenLow ? number.value > number.low : number.value >= number.low;
  const bool below =
      bounds == Bounds::kOpenHigh ? number.value < number.high : number.value <= number.high;
  if (above && below) return absl::OkStatus();
  return InvalidField(
      {number.field, absl::StrCat(number.value),
       absl::StrCat("must be in ", bounds == Bounds::kOpenLow ? "(" : "[", number.low, ", ",
                    number.high, bounds == Bounds::kOpenHigh ? ")" : "]")});
}

}  // namespace dyad
