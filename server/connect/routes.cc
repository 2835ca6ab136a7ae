// A row for each method.
#include "server/connect/routes.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/api/describe_model.h"
#include "server/api/describe_server.h"
#include "server/api/generate_answer.h"
#include "server/api/request_error.h"
#include "server/api/score_answer.h"
#include "server/api/tokenize.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"
#include "server/connect/error.h"
#include "server/connect/message_json.h"
#include "server/routes/json_body.h"
#include "server/routes/whole_answer.h"

namespace dyad {
namespace {

// What a request asks for: an answer, or a plan for one.
template <typename Request, typename Result>
using Handler = absl::StatusOr<Result> (*)(const Request&, Call&);

constexpr char kTimeoutField[] = "Connect-Timeout-Ms";
constexpr size_t kMaxTimeoutDigits = 10;

absl::StatusOr<absl::Time> DeadlineOf(const HttpRequest& request) {
  const auto field = FindField(request.fields, kTimeoutField);
  if (!field.has_value()) return absl::InfiniteFuture();
  int64_t milliseconds = 0;
  if (field->size() > kMaxTimeoutDigits || !absl::SimpleAtoi(AbslView(*field), &milliseconds) ||
      milliseconds < 0) {
    return InvalidField({kTimeoutField, Shortened(*field, 100),
                         "must be a whole number of milliseconds, at most 10 digits"});
  }
  return SteadyNow() + absl::Milliseconds(milliseconds);
}

absl::Status NoRoute(std::string_view path) {
  for (const std::string_view stream : {"/GenerateStream", "/ScoreMinimalPairs"}) {
    if (!path.ends_with(stream)) continue;
    return Refusal(
        absl::StatusCode::kUnimplemented,
        Text(path,
             " is a stream; over HTTP /v1/completions streams text, and Score takes many items"),
        "UNSUPPORTED_ENDPOINT");
  }
  return Refusal(absl::StatusCode::kUnimplemented,
                 Text("there is no method ", Shortened(path, 200)), "UNKNOWN_PATH");
}

// The path's model in front goes before an absent one of the body.
template <typename Request>
absl::Status SetModel(const std::string& fixed, Request& request) {
  if constexpr (requires { request.set_model(fixed); }) {
    if (fixed.empty()) return absl::OkStatus();
    if (!request.model().empty() && request.model() != fixed) {
      return InvalidField({"model", Shortened(request.model(), 100),
                           Text("the path names ", Shortened(fixed, 100))});
    }
    request.set_model(fixed);
  }
  return absl::OkStatus();
}

template <typename Request, typename Result>
absl::StatusOr<Result> Handle(const Ask& ask, Handler<Request, Result> handler) {
  RETURN_IF_ERROR(ask.call->unread().CheckRoom(1));
  Request request;
  RETURN_IF_ERROR(ReadMessageJson(ask.call->request().body, request));
  RETURN_IF_ERROR(SetModel(ask.fixed_model, request));
  return handler(request, *ask.call);
}

absl::StatusOr<HttpResponse> Write(const google::protobuf::Message& message) {
  ASSIGN_OR_RETURN(std::string json, WriteMessageJson(message));
  return HttpResponse{200, {{"Content-Type", "application/json"}}, std::move(json)};
}

absl::StatusOr<HttpResponse> WriteGenerated(const v1::GenerateResponse& response) {
  return Write(response);
}
absl::StatusOr<HttpResponse> WriteScores(const ScorePieces& pieces) {
  ASSIGN_OR_RETURN(const v1::ScoreResponse response, JoinPieces(pieces));
  return Write(response);
}

template <typename Request, typename Response>
Route Now(std::string_view path, Handler<Request, Response> handler) {
  return {"POST", path, [handler](const Ask& ask) {
            const auto answer = [&]() -> absl::StatusOr<HttpResponse> {
              ASSIGN_OR_RETURN(const Response response, Handle(ask, handler));
              return Write(response);
            };
            absl::StatusOr<HttpResponse> response = answer();
            if (!response.ok()) return ask.call->Fail(response.status());
            ask.call->Answer(*std::move(response));
          }};
}

template <typename Answer, typename Result, typename Request, typename Plan>
Route Later(std::string_view path, Handler<Request, Plan> handler,
            absl::StatusOr<HttpResponse> (*write)(const Result&)) {
  return {"POST", path, [handler, write](const Ask& ask) {
            WholeAnswer<Answer, Plan, Result>::Start(ask.call, Handle(ask, handler), write);
          }};
}

}  // namespace

RouteFamily ConnectRoutes() {
  RouteFamily family;
  family.prefix = "/dyad.v1.";
  family.error = &ConnectError;
  family.no_route = &NoRoute;
  family.deadline = &DeadlineOf;
  family.routes = {
      Later<WholeGenerateAnswer>("/dyad.v1.GenerationService/Generate", &PlanGenerate,
                                 &WriteGenerated),
      Later<ScoreAnswer>("/dyad.v1.ScoringService/Score", &PlanScore, &WriteScores),
      Now("/dyad.v1.TokenizerService/Tokenize", &Tokenize),
      Now("/dyad.v1.TokenizerService/Detokenize", &Detokenize),
      Now("/dyad.v1.ModelService/ListModels", &ListModels),
      Now("/dyad.v1.ModelService/GetModel", &GetModel),
      Now("/dyad.v1.ServerService/GetServerInfo", &GetServerInfo),
  };
  return family;
}

}  // namespace dyad
