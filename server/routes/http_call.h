// A call that came over HTTP: its exchange, and its end there.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/api/call.h"
#include "server/http/exchange.h"

namespace dyad {

// How a family of routes says what is wrong.
struct ErrorStyle {
  // The answer to an error, whose body may also stand in a stream.
  HttpResponse (*answer)(const absl::Status&);
  // The name that a route has for a field of the API.
  std::string (*rename)(std::string_view field) = nullptr;
};

// The client's id is its header x-request-id; it comes back with every answer. Threads: as Call.
class HttpCall final : public Call, public std::enable_shared_from_this<HttpCall> {
 public:
  // `route` as RpcRecord::method: it lives as long as the program.
  HttpCall(const ServerState& state, std::shared_ptr<HttpExchange> exchange, std::string_view route,
           ErrorStyle style, absl::Time deadline = absl::InfiniteFuture());

  const std::shared_ptr<HttpExchange>& exchange() const { return exchange_; }
  const HttpRequest& request() const { return exchange_->request(); }

  // Headers of every answer of this call: its id, the digest of its model (Call::SetModel), and
  // what was added.
  void AddFields(HttpFields fields) { added_ = std::move(fields); }
  HttpFields Fields() const;

  // Ends the call with an answer, or with an error's. Once, one of them.
  void Answer(HttpResponse response);
  void Fail(const absl::Status& status, HttpFields more = {});
  // Ends a call whose answer was streamed, behind `tail`.
  void EndStream(std::string tail, const absl::Status& status);

  // What the client is told of an error, as an event's data.
  std::string ErrorData(const absl::Status& status) const { return ErrorAnswer(status).body; }

 private:
  HttpResponse ErrorAnswer(const absl::Status& status) const;
  void Finish(const absl::Status& status, int http_status);

  const std::shared_ptr<HttpExchange> exchange_;
  const ErrorStyle style_;
  HttpFields added_;
};

}  // namespace dyad
