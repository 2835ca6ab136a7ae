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
constexpr int kMaxFaults = 8;

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
  info.set_reason(fault.reason);
  info.set_domain(std::string(kDomain));
  (*info.mutable_metadata())["field"] = fault.field;
  (*info.mutable_metadata())["value"] = value;
  (*info.mutable_metadata())["limit"] = fault.limit;
  Attach(status, info);
  return status;
}

absl::Status FieldFaults::Add(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) return status;
  if (faults_.size() < size_t{kMaxFaults}) {
    faults_.push_back(status);
  } else {
    ++left_out_;
  }
  return absl::OkStatus();
}

absl::Status FieldFaults::status() const {
  if (faults_.empty()) return absl::OkStatus();
  if (faults_.size() == 1) return faults_.front();
  google::rpc::BadRequest named;
  std::string message;
  size_t left_out = left_out_;
  for (const absl::Status& fault : faults_) {
    const auto fields = Find<google::rpc::BadRequest>(fault);
    if (!fields.has_value()) return fault;
    for (const auto& violation : fields->field_violations()) {
      if (named.field_violations_size() == kMaxFaults) {
        ++left_out;
        continue;
      }
      absl::StrAppend(&message, message.empty() ? "" : ". ", violation.field(), " ",
                      violation.description());
      *named.add_field_violations() = violation;
    }
  }
  if (left_out > 0) absl::StrAppend(&message, ". ", left_out, " more");
  absl::Status status = absl::InvalidArgumentError(message);
  Attach(status, named);
  Attach(status, *Find<google::rpc::ErrorInfo>(faults_.front()));
  return status;
}

absl::Status WithFieldNames(const absl::Status& status,
                            const std::function<std::string(std::string_view)>& rename) {
  auto fields = Find<google::rpc::BadRequest>(status);
  if (!fields.has_value()) return status;
  std::string before;
  std::string after;
  for (auto& violation : *fields->mutable_field_violations()) {
    const char* separator = before.empty() ? "" : ". ";
    absl::StrAppend(&before, separator, violation.field(), " ", violation.description());
    violation.set_field(rename(violation.field()));
    absl::StrAppend(&after, separator, violation.field(), " ", violation.description());
  }
  // What stands behind the fields: how many more there are.
  const std::string_view message(status.message().data(), status.message().size());
  if (message.starts_with(before)) after.append(message.substr(before.size()));
  absl::Status renamed(status.code(), after);
  Attach(renamed, *fields);
  if (auto info = Find<google::rpc::ErrorInfo>(status); info.has_value()) {
    auto& metadata = *info->mutable_metadata();
    metadata["field"] = rename(metadata["field"]);
    Attach(renamed, *info);
  }
  return renamed;
}

std::vector<std::string> FieldsOf(const absl::Status& status) {
  std::vector<std::string> names;
  const auto fields = Find<google::rpc::BadRequest>(status);
  if (!fields.has_value()) return names;
  for (const auto& violation : fields->field_violations()) names.push_back(violation.field());
  return names;
}

std::string ReasonOf(const absl::Status& status) {
  const auto info = Find<google::rpc::ErrorInfo>(status);
  return info.has_value() ? info->reason() : "";
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
