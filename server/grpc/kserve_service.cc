// Each method: bytes in, what server/kserve says, bytes out.
#include "server/grpc/kserve_service.h"

#include "inference/open_inference_grpc.grpc.pb.h"
#include "server/grpc/handlers.h"
#include "server/kserve/infer.h"
#include "server/kserve/metadata.h"

namespace dyad {
namespace {

using grpc::ByteBuffer;
using grpc::CallbackServerContext;
using UnaryReactor = grpc::ServerUnaryReactor;

using Inference = inference::GRPCInferenceService;
using RawInference =
    Inference::WithRawCallbackMethod_ServerLive<Inference::WithRawCallbackMethod_ServerReady<
        Inference::WithRawCallbackMethod_ModelReady<Inference::WithRawCallbackMethod_ServerMetadata<
            Inference::WithRawCallbackMethod_ModelMetadata<
                Inference::WithRawCallbackMethod_ModelInfer<Inference::Service>>>>>>;

// Probes have no key to show.
template <typename Request, typename Response>
UnaryReactor* AnswerProbe(RpcCall call, Handler<Request, Response> handler, ByteBuffer* out) {
  const absl::StatusOr<Response> response = handler({}, call);
  return EndWith(std::move(call), response, out);
}

class KserveService final : public RawInference {
 public:
  explicit KserveService(const ServerState& state) : state_(state) {}

  UnaryReactor* ServerLive(CallbackServerContext* context, const ByteBuffer*,
                           ByteBuffer* out) override {
    RpcCall call(state_, context, "GRPCInferenceService/ServerLive");
    return AnswerProbe(std::move(call), dyad::ServerLive, out);
  }
  UnaryReactor* ServerReady(CallbackServerContext* context, const ByteBuffer*,
                            ByteBuffer* out) override {
    RpcCall call(state_, context, "GRPCInferenceService/ServerReady");
    return AnswerProbe(std::move(call), dyad::ServerReady, out);
  }
  UnaryReactor* ModelReady(CallbackServerContext* context, const ByteBuffer* in,
                           ByteBuffer* out) override {
    return AnswerNow({state_, context, "GRPCInferenceService/ModelReady"}, dyad::ModelReady, *in,
                     out);
  }
  UnaryReactor* ServerMetadata(CallbackServerContext* context, const ByteBuffer* in,
                               ByteBuffer* out) override {
    return AnswerNow({state_, context, "GRPCInferenceService/ServerMetadata"}, dyad::ServerMetadata,
                     *in, out);
  }
  UnaryReactor* ModelMetadata(CallbackServerContext* context, const ByteBuffer* in,
                              ByteBuffer* out) override {
    return AnswerNow({state_, context, "GRPCInferenceService/ModelMetadata"}, dyad::ModelMetadata,
                     *in, out);
  }
  UnaryReactor* ModelInfer(CallbackServerContext* context, const ByteBuffer* in,
                           ByteBuffer* out) override {
    return AnswerLater<InferAnswer, inference::ModelInferResponse>(
        {state_, context, "GRPCInferenceService/ModelInfer"}, PlanInfer, *in, out);
  }

 private:
  const ServerState& state_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeKserveService(const ServerState& state) {
  return std::make_unique<KserveService>(state);
}

}  // namespace dyad
