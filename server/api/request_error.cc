// Errors with google.rpc details as payloads; a payload's type URL is that of the detail's Any.
#include "server/api/request_error.h"

#include <google/rpc/error_details.pb.h>

#include <cstdint>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

constexpr std::string_view kDomain = "dyad.v1";
constexpr size_t kMaxValueBytes = 100;

template <typename Detail>
std::string TypeUrl() {
  return absl::StrCat("type.googleapis.com/", Detail::descriptor()->full_name());
}

template <typename Detail>
void Attach(absl::Status& status, const Detail& detail) {
  status.SetPayload(TypeUrl<Detail>(), absl::Cord(detail.SerializeAsString()));
}

template <typename Detail>
std::optional<Detail> Find(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl<Detail>());
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

}  // namespace

absl::Status InvalidField(const FieldFault& fault) {
  const std::string value = Shortened(fault.value, kMaxValueBytes);
  absl::Status status =
      absl::InvalidArgumentError(absl::StrCat(fault.field, " is ", value, "; ", fault.limit));
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(fault.field);
  violation->set_description(absl::StrCat("is ", value, "; ", fault.limit));
  Attach(status, bad_request);
  google::rpc::ErrorInfo info;
  info.set_reason("INVALID_FIELD");
  info.set_domain(std::string(kDomain));
  (*info.mutable_metadata())["field"] = fault.field;
  (*info.mutable_metadata())["value"] = value;
  (*info.mutable_metadata())["limit"] = fault.limit;
  Attach(status, info);
  return status;
}

absl::Status TooLarge(const SizeFault& fault) {
  absl::Status status = absl::ResourceExhaustedError(
      absl::StrCat(fault.what, " has ", fault.bytes, " bytes; the server's limit is ", fault.limit,
                   " (", fault.flag, ")"));
  google::rpc::ErrorInfo info;
  info.set_reason(fault.reason);
  info.set_domain(std::string(kDomain));
  (*info.mutable_metadata())["size"] = absl::StrCat(fault.bytes);
  (*info.mutable_metadata())["limit"] = absl::StrCat(fault.limit);
  Attach(status, info);
  return status;
}

absl::Status WithReason(absl::Status status, std::string_view reason) {
  if (status.ok() || Find<google::rpc::ErrorInfo>(status).has_value()) return status;
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(std::string(kDomain));
  Attach(status, info);
  return status;
}

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay) {
  google::rpc::RetryInfo info;
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(delay);
  info.mutable_retry_delay()->set_seconds(nanoseconds / 1'000'000'000);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
  Attach(status, info);
  return status;
}

std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const auto info = Find<google::rpc::RetryInfo>(status);
  if (!info.has_value()) return std::nullopt;
  return absl::Seconds(info->retry_delay().seconds()) +
         absl::Nanoseconds(info->retry_delay().nanos());
}

std::string Shortened(std::string_view text, size_t max_bytes) {
  constexpr std::string_view kCut = "…";
  // Four bytes beyond the bound are enough to see whether anything is cut, however long the text
  // is.
  ValidText valid = ToValidText(text.substr(0, max_bytes + 4));
  if (valid.consumed < text.size() && text.size() <= max_bytes) {
    valid.text.append(kReplacementCharacter);  // the text ends within a character
  }
  if (valid.text.size() <= max_bytes) return std::move(valid.text);
  if (max_bytes < kCut.size()) return "";
  size_t kept = max_bytes - kCut.size() + 1;
  kept = PreviousChar(valid.text, kept);
  return valid.text.substr(0, kept).append(kCut);
}

}  // namespace dyad
