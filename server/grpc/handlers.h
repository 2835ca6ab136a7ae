// How a unary method answers: at once, or when its plan has been carried out.
#pragma once

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/status/statusor.h"
#include "server/base/catch_exceptions.h"
#include "server/base/status_macros.h"
#include "server/grpc/rpc_call.h"
#include "server/grpc/unary_call.h"
#include "server/grpc/wire_message.h"

namespace dyad {

// What a request asks for: an answer, or a plan for one.
template <typename Request, typename Result>
using Handler = absl::StatusOr<Result> (*)(const Request&, Call&);

template <typename Request, typename Result>
absl::StatusOr<Result> Handle(Handler<Request, Result> handler, const grpc::ByteBuffer& bytes,
                              Call& call) {
  return CatchExceptions("request", [&]() -> absl::StatusOr<Result> {
    RETURN_IF_ERROR(call.CheckKey());
    RETURN_IF_ERROR(call.unread().CheckRoom(1));
    ASSIGN_OR_RETURN(const Request request, ReadMessage<Request>(bytes, 1, call.state().limits));
    // gRPC would keep it until the answer is read.
    const_cast<grpc::ByteBuffer&>(bytes).Clear();
    return handler(request, call);
  });
}

// Ends a call with what is there at once.
template <typename Response>
grpc::ServerUnaryReactor* EndWith(RpcCall call, const absl::StatusOr<Response>& response,
                                  grpc::ByteBuffer* out) {
  const auto write = [&]() -> absl::Status {
    RETURN_IF_ERROR(response.status());
    ASSIGN_OR_RETURN(*out, call.Hold(WriteMessage(*response, call.state().limits)));
    return absl::OkStatus();
  };
  const absl::Status status = write();
  return new EndedCall<grpc::ServerUnaryReactor>(std::move(call), status);
}

// Answers at once, on gRPC's thread; the cost is bounded by the request's size.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* AnswerNow(RpcCall call, Handler<Request, Response> handler,
                                    const grpc::ByteBuffer& in, grpc::ByteBuffer* out) {
  const absl::StatusOr<Response> response = Handle(handler, in, call);
  return EndWith(std::move(call), response, out);
}

// Answers later, if there is a plan.
template <typename Answer, typename Response, typename Request, typename Plan>
grpc::ServerUnaryReactor* AnswerLater(RpcCall call, Handler<Request, Plan> handler,
                                      const grpc::ByteBuffer& in, grpc::ByteBuffer* out) {
  absl::StatusOr<Plan> plan = Handle(handler, in, call);
  if (!plan.ok()) return new EndedCall<grpc::ServerUnaryReactor>(std::move(call), plan.status());
  auto* reactor = new UnaryCall<Answer, Plan, Response>(std::move(call), *std::move(plan), out);
  reactor->Start();
  return reactor;
}

}  // namespace dyad
