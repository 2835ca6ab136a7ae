// The reply of api/error_reply.h, spelt in JSON.
#include "server/connect/error.h"

#include <google/rpc/error_details.pb.h>

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "server/api/error_reply.h"
#include "server/base/message_text.h"
#include "server/connect/message_json.h"
#include "server/routes/http_error.h"
#include "server/routes/json_body.h"

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kTypePrefix = "type.googleapis.com/";

template <typename Detail>
bool AddDebug(const google::protobuf::Any& any, Json& json) {
  Detail detail;
  if (!any.Is<Detail>() || !any.UnpackTo(&detail)) return false;
  const absl::StatusOr<std::string> text = WriteMessageJson(detail);
  if (text.ok()) json["debug"] = Json::parse(*text, nullptr, false);
  return true;
}

Json DetailJson(const google::protobuf::Any& any) {
  std::string type = any.type_url();
  if (type.starts_with(kTypePrefix)) type.erase(0, kTypePrefix.size());
  std::string value = absl::Base64Escape(any.value());
  while (value.ends_with('=')) value.pop_back();
  Json json = {{"type", std::move(type)}, {"value", std::move(value)}};
  AddDebug<google::rpc::ErrorInfo>(any, json) || AddDebug<google::rpc::BadRequest>(any, json) ||
      AddDebug<google::rpc::RetryInfo>(any, json);
  return json;
}

}  // namespace

HttpResponse ConnectError(const absl::Status& status) {
  const google::rpc::Status reply = ToErrorReply(status);
  // "canceled" has one l there.
  std::string code = absl::AsciiStrToLower(AbslView(CodeName(status.code())));
  if (status.code() == absl::StatusCode::kCancelled) code = "canceled";
  Json json = {{"code", std::move(code)}, {"message", reply.message()}, {"details", Json::array()}};
  for (const google::protobuf::Any& any : reply.details()) {
    json["details"].push_back(DetailJson(any));
  }
  return ErrorResponse(ToHttpError(status), JsonBytes(json));
}

}  // namespace dyad
