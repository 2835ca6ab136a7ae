// A call that came over HTTP: its exchange, and its end there.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/api/call.h"
#include "server/http/exchange.h"

namespace dyad {

// The client's id is its header x-request-id; it comes back with every answer. Threads: as Call.
class HttpCall final : public Call, public std::enable_shared_from_this<HttpCall> {
 public:
  // The name that a route has for a field of the API.
  using Rename = std::string (*)(std::string_view field);

  // `route` as RpcRecord::method: it lives as long as the program.
  HttpCall(const ServerState& state, std::shared_ptr<HttpExchange> exchange, std::string_view route,
           Rename rename);

  const std::shared_ptr<HttpExchange>& exchange() const { return exchange_; }
  const HttpRequest& request() const { return exchange_->request(); }

  // Of the model that answers, for the header of that name.
  void SetDigest(std::string digest) { digest_ = std::move(digest); }
  // Headers of every answer of this call: its id, and what was added.
  void AddFields(HttpFields fields) { added_ = std::move(fields); }
  HttpFields Fields() const;

  // Ends the call with an answer, or with an error's. Once, one of them.
  void Answer(HttpResponse response);
  void Fail(const absl::Status& status, HttpFields more = {});
  // Ends a call whose answer was streamed, behind `tail`.
  void EndStream(std::string tail, const absl::Status& status);

  // What the client is told of an error, as an event's data.
  std::string ErrorData(const absl::Status& status) const;

 private:
  void Finish(const absl::Status& status, int http_status);

  const std::shared_ptr<HttpExchange> exchange_;
  const Rename rename_;
  std::string digest_;
  HttpFields added_;
};

}  // namespace dyad
