// Headers, and the record of a call's end.
#include "server/routes/http_call.h"

#include <utility>

#include "server/api/request_error.h"

namespace dyad {
namespace {

Arrival ArrivalOf(const HttpExchange& exchange, std::string_view route, absl::Time deadline) {
  Arrival arrival;
  arrival.method = route;
  arrival.deadline = deadline;
  const HttpFields& fields = exchange.request().fields;
  arrival.request_id = std::string(FindField(fields, "x-request-id").value_or(""));
  for (const HttpField& field : fields) {
    if (Lower(field.name) == "authorization") arrival.authorizations.push_back(field.value);
  }
  arrival.peer = exchange.peer();
  return arrival;
}

}  // namespace

HttpCall::HttpCall(const ServerState& state, std::shared_ptr<HttpExchange> exchange,
                   std::string_view route, ErrorStyle style, absl::Time deadline)
    : Call(state, ArrivalOf(*exchange, route, deadline)),
      exchange_(std::move(exchange)),
      style_(style) {}

HttpFields HttpCall::Fields() const {
  HttpFields fields = added_;
  fields.push_back({"x-request-id", record().request_id});
  if (record().model.empty()) return fields;
  const auto model = state().models.Find(record().model);
  if (model.ok()) fields.push_back({"x-dyad-model-digest", (*model)->info.digest});
  return fields;
}

void HttpCall::Answer(HttpResponse response) {
  const absl::Status room = unread().Add(static_cast<int64_t>(response.body.size()));
  if (!room.ok()) return Fail(room);
  // What waits to be read counts until it has left.
  exchange_->Keep(shared_from_this());
  Finish(absl::OkStatus(), response.status);
  for (HttpField& field : Fields()) response.fields.push_back(std::move(field));
  exchange_->Answer(std::move(response));
}

void HttpCall::Fail(const absl::Status& status, HttpFields more) {
  HttpResponse response = ErrorAnswer(status);
  Finish(status, response.status);
  for (HttpField& field : more) response.fields.push_back(std::move(field));
  for (HttpField& field : Fields()) response.fields.push_back(std::move(field));
  exchange_->Answer(std::move(response));
}

void HttpCall::EndStream(std::string tail, const absl::Status& status) {
  Finish(status, 200);
  exchange_->Write(std::move(tail), [exchange = exchange_] { exchange->End(); });
}

HttpResponse HttpCall::ErrorAnswer(const absl::Status& status) const {
  return style_.answer(style_.rename == nullptr ? status : WithFieldNames(status, style_.rename));
}

void HttpCall::Finish(const absl::Status& status, int http_status) {
  Close(status);
  record().http_status = http_status;
  Report();
}

}  // namespace dyad
